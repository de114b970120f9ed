"""A machine that launches, cancels, breaks, disables, removes and lets time pass: whatever it does, the rules hold."""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime

import attrs
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import cyborglib as cy
from cyborglib.engine.recording import ASKED
from cyborglib.executor import Control, HostRun, Run
from cyborglib.testing import FakeExecutor, FixedClock
from tests.engine.conftest import KEY
from tests.engine.fleet import Fleet, assert_settled, let_leases_pass, sql

#: What may become of a job; most things go well. Lost: its host knows of nothing; unseen: but its archive is in the
#: vault; away: its host cannot be asked.
WHIMS = (
    "well", "well", "well", "fails", "may pass", "lost", "unseen", "away", "silent", "breaks", "twice", "canceled",
    "listener",
)  # fmt: skip
#: How often a host is away, or a run breaks, before it comes to something.
PATIENCE = 4
WRITERS = ("prepare_repository", "backup", "prune", "compact")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Whimsical(FakeExecutor):
    """Does with each job what the machine drew, and watches who works beside whom."""

    def __init__(self) -> None:
        super().__init__()
        self.whims: tuple[str, ...] = ("well",)
        self.wrong: list[str] = []
        self._begun: Counter[tuple[int, int]] = Counter()
        self._active: dict[int, cy.Job] = {}
        self._watch = threading.Lock()
        self.cancel = lambda job: None

    def execute(self, run: Run, control: Control) -> None:
        with self._lock:
            self.runs.append(run)
        looks = run.playbook == "recover"
        for host in run.hosts:
            self._enter(control.job(host.job), asked=host.recover or looks, attempt=host.attempt)
        try:
            for host in run.hosts:
                if looks:
                    self._leave(host.job)
                    self._look(host, control)
                else:
                    self._do(host, control)
        finally:
            for host in run.hosts:
                self._leave(host.job)

    def _do(self, host: HostRun, control: Control) -> None:
        number = host.job * 7 + host.attempt * 3 + host.fence
        whim = self.whims[number % len(self.whims)]
        if host.fence - host.attempt >= PATIENCE and whim in ("away", "silent", "breaks"):
            whim = "lost"
        if whim != "listener":
            control.started(host.job)
        control.output(host.job, whim)
        if whim == "canceled":
            self.cancel(host.job)
        if control.canceled(host.job):
            self._report(host, control, "canceled")
        elif whim == "breaks":
            raise RuntimeError("ansible-playbook was killed")
        elif whim in ("fails", "may pass"):
            self._report(host, control, {"fails": "source_missing", "may pass": "unreachable"}[whim])
        elif whim in ("lost", "unseen", "away"):
            job = control.job(host.job)
            backup = job.kind == "backup"
            if whim == "unseen" and backup:
                name = str(host.variables["borg_archive"])
                self.vaults[job.vault][name] = f"{host.job:032x}{host.attempt:032x}"
            self._report(host, control, "lost", expect=not backup, gone=whim != "away")
        elif whim != "silent":
            self._leave(host.job)
            self._end(host, control)
            if whim == "twice":
                self._report(host, control, "timeout", expect=False)

    def _report(
        self, host: HostRun, control: Control, code: str, *, expect: bool = True, gone: bool = True
    ) -> None:
        self._leave(host.job)
        if control.ended(host.job, cy.Outcome(error=cy.JobError(code, whim_text(code)), gone=gone)) is not expect:
            self.wrong.append(f"the end of job {host.job} ({code}) was {'not ' if expect else ''}taken")

    def _enter(self, job: cy.Job, *, asked: bool, attempt: int) -> None:
        with self._watch:
            self._begun[job.id, attempt] += not asked
            if self._begun[job.id, attempt] > 1:
                self.wrong.append(f"{job} was begun twice")
            for other in self._active.values():
                if job.client is not None and job.client == other.client and "catalog" not in (job.kind, other.kind):
                    self.wrong.append(f"{job} and {other} work on one client")
                if job.vault is not None and job.vault == other.vault and {job.kind, other.kind} & set(WRITERS):
                    self.wrong.append(f"{job} and {other} work on one vault")
            self._active[job.id] = job

    def _leave(self, job: int) -> None:
        with self._watch:
            self._active.pop(job, None)


def whim_text(code: str) -> str:
    return f"the machine drew {code}"


class Machine(RuleBasedStateMachine):
    """A store with its engine; between two steps nothing is at work but what a dead engine left."""

    @initialize(clients=st.integers(1, 3), parallel=st.integers(1, 6), shared=st.booleans())
    def begin(self, clients: int, parallel: int, shared: bool) -> None:
        self.clock = FixedClock(NOON)
        self.executor = Whimsical()
        self.cyborg = cy.Cyborg("sqlite://", executor=self.executor, clock=self.clock, key=KEY)
        self.executor.cancel = self.cancel
        self.it = Fleet(self.cyborg, clients)
        self.it.set(parallel=parallel)
        schedule = self.cyborg.schedules.add(cy.Schedule("hourly", "0 * * * *"))
        self.it.add_policy("timed", schedule=schedule, retention=cy.Retention(hourly=2))
        if shared:
            one = self.cyborg.repositories.add(cy.Repository("one", "borg@nas:/srv/one", shared=True))
            self.it.add_policy("shared", repository=one)

    def teardown(self) -> None:
        if hasattr(self, "cyborg"):
            self.work(("well",))
            self.cyborg.close()

    def one_of(self, values: object, n: int) -> object:
        found = list(values)
        return found[n % len(found)] if found else None

    def cancel(self, job: int) -> None:
        with suppress(cy.InvalidTransition):
            self.cyborg.cancel(job)

    # What happens

    @rule(n=st.integers(0, 9), m=st.integers(0, 9), some=st.booleans())
    def launch(self, n: int, m: int, some: bool) -> None:
        policy = self.one_of(self.cyborg.policies, n)
        if policy is None:
            return
        clients = [self.one_of(policy.clients, m)] if some else None
        unfinished = {(job.policy, job.client): job.id for job in self.it.kind("backup") if not job.finished}
        with suppress(cy.Disabled):
            for job in self.cyborg.launch(policy, clients):
                assert unfinished.get((job.policy, job.client), job.id) == job.id

    @rule(n=st.integers(0, 9), whole=st.booleans())
    def prepare(self, n: int, whole: bool) -> None:
        with suppress(cy.Disabled, cy.Invalid):
            self.cyborg.prepare(self.one_of(self.cyborg.repositories if whole else self.cyborg.clients, n))

    @rule(n=st.integers(0, 9))
    def look_into_vaults(self, n: int) -> None:
        self.cyborg.catalog(self.one_of(self.cyborg.repositories, n))

    @rule(n=st.integers(0, 9), which=st.sampled_from(["check", "compact", "prune"]))
    def look_after_vaults(self, n: int, which: str) -> None:
        shelf = self.cyborg.policies if which == "prune" else self.cyborg.repositories
        with suppress(cy.Disabled, cy.Invalid):
            getattr(self.cyborg, which)(self.one_of(shelf, n))

    @precondition(lambda self: len(self.cyborg.jobs))
    @rule(n=st.integers(0, 99))
    def cancel_one(self, n: int) -> None:
        self.cancel(self.one_of(self.cyborg.jobs, n).id)

    @precondition(lambda self: len(self.cyborg.jobs))
    @rule(n=st.integers(0, 99))
    def relaunch(self, n: int) -> None:
        with suppress(cy.Disabled, cy.Invalid, cy.NotFound):
            self.cyborg.relaunch(self.one_of(self.cyborg.jobs, n))

    @rule(which=st.sampled_from(["clients", "policies", "repositories", "schedules"]), n=st.integers(0, 9))
    def switch(self, which: str, n: int) -> None:
        shelf = getattr(self.cyborg, which)
        if (value := self.one_of(shelf, n)) is not None:
            shelf.replace(attrs.evolve(value, enabled=not value.enabled))

    @rule(which=st.sampled_from(["clients", "policies", "repositories"]), n=st.integers(0, 9))
    def remove(self, which: str, n: int) -> None:
        shelf = getattr(self.cyborg, which)
        if len(shelf) > 1:
            with suppress(cy.InUse):
                shelf.remove(self.one_of(shelf, n))

    @rule(minutes=st.integers(-30, 200))
    def time_passes(self, minutes: int) -> None:
        self.clock.forward(minutes=minutes)
        self.cyborg.tick()

    @rule(limit=st.integers(1, 4), begun=st.booleans())
    def an_engine_dies(self, limit: int, begun: bool) -> None:
        jobs = self.cyborg._store.jobs
        for claim in jobs.claim("dead", limit=limit, now=self.clock(), lease=60):
            if begun:
                jobs.started(claim.job.id, claim.fence)
        let_leases_pass(self.cyborg)

    @rule(n=st.integers(0, 9), whims=st.lists(st.sampled_from(WHIMS), min_size=1, max_size=9).map(tuple))
    def finish_one(self, n: int, whims: tuple[str, ...]) -> None:
        self.executor.whims = whims
        unfinished = [job for job in self.cyborg.jobs if not job.finished]
        if unfinished:
            [job] = self.cyborg.finish([self.one_of(unfinished, n)])
            assert job.finished

    @rule(whims=st.lists(st.sampled_from(WHIMS), min_size=1, max_size=9).map(tuple))
    def work(self, whims: tuple[str, ...]) -> None:
        self.executor.whims = whims
        self.cyborg.work()
        assert_settled(self.cyborg)

    # What always holds

    @invariant()
    def nobody_worked_where_another_did(self) -> None:
        assert not hasattr(self, "executor") or self.executor.wrong == []

    @invariant()
    def rows_agree(self) -> None:
        if not hasattr(self, "cyborg"):
            return
        waiting = "SELECT id FROM cyborg_jobs j WHERE status = '{}' AND {} EXISTS (SELECT 1 FROM cyborg_job_after a "
        waiting += "JOIN cyborg_jobs n ON n.id = a.needs WHERE a.job = j.id AND n.status IN "
        waiting += "('waiting', 'pending', 'starting', 'running'))"
        assert sql(self.cyborg, waiting.format("waiting", "NOT")) == [], "it waits for nobody"
        assert sql(self.cyborg, waiting.format("pending", "")) == [], "it may start before what it needs"
        held = "SELECT h.job FROM cyborg_holds h JOIN cyborg_jobs j ON j.id = h.job WHERE j.status NOT IN "
        assert sql(self.cyborg, held + "('starting', 'running')") == [], "it holds what it does not use"

    @invariant()
    def jobs_are_what_they_say(self) -> None:
        if not hasattr(self, "cyborg"):
            return
        jobs = {job.id: job for job in self.cyborg.jobs}
        archived = Counter(archive.job for archive in self.cyborg.archives)
        for job in jobs.values():
            good = job.kind == "backup" and job.status == "successful"
            assert archived[job.id] == good, f"{job} has {archived[job.id]} archives"
            assert job.attempt <= job.attempts
            if job.status in ("failed", "skipped"):
                assert job.error or job.reason
            needs = {jobs[need].status for need in job.after}
            if needs & {"failed", "canceled", "skipped"}:
                assert job.status in ("skipped", "canceled"), f"{job} goes on without what it needs"
            if job.status == "successful":
                assert needs <= {"successful"}

    @invariant()
    def what_was_told_is_so(self) -> None:
        if not hasattr(self, "cyborg"):
            return
        ends = {"JobSucceeded": "successful", "JobFailed": "failed", "JobCanceled": "canceled", "JobSkipped": "skipped"}
        told: dict[int, list[str]] = {}
        for event in self.it.told:
            if isinstance(event, cy.JobEvent):
                told.setdefault(event.job.id, []).append(type(event).__name__)
        for job in self.cyborg.jobs:
            names = told.get(job.id, [])
            assert names[0] == "JobQueued"
            said = [ends[name] for name in names if name in ends]
            assert said == ([job.status] if job.finished else []), f"{job} was told as {names}"
            assert not said or names[-1] in ends


def test_the_kinds_that_are_asked_for_are_the_ones_that_must_not_run_twice() -> None:
    assert {"backup"} <= ASKED <= set(cy.JobKind)


@pytest.mark.faults
class TestLongMachine(Machine.TestCase):
    """The same for longer."""

    settings = settings(
        max_examples=400, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
    )


TestMachine = Machine.TestCase
TestMachine.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
