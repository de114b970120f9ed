"""An engine that is killed at each step a job can go, just before it is committed and just after: all that was queued
ends.

The steps are those of `model.STEPS`, which is what the store lets jobs go by. A process of its own does what leads to
all of them, and is killed at one; then another engine comes, whose hosts say either that Borg went on, or that they
know of nothing.
"""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

import cyborglib as cy
from cyborglib.engine.loading import Loading
from cyborglib.executor import Control, Run
from cyborglib.model import STEPS
from cyborglib.testing import FakeExecutor
from tests.engine.conftest import KEY
from tests.engine.fleet import Fleet, assert_settled, let_leases_pass

#: (from, to); a job that is new comes from "".
Step = tuple[str, str]
#: Jobs are queued in one transaction with all that is planned with them, so one step stands for them.
QUEUED: Step = ("", "pending")
#: The engine commits an end that was told without a start as both, together.
BOTH: Step = ("starting", "successful")
ALL: list[Step] = [QUEUED, *((old.value, new.value) for old, to in STEPS.items() for new in sorted(to))]
ALL.remove(BOTH)
UNREACHABLE = cy.Outcome(error=cy.JobError("unreachable", "down"), gone=True)
MISSING = cy.Outcome(error=cy.JobError("source_missing", "no such folder"), gone=True)


class Watch:
    """Sees each step of each job in the moment at which it is committed, by triggers, and calls somebody."""

    def __init__(self, cyborg: cy.Cyborg, call: Callable[[set[Step], str], None]) -> None:
        self.steps: set[Step] = set()
        self.committed: set[Step] = set()
        self.call = call
        engine = cyborg._store._database._engine
        engine.dispose()
        event.listen(engine, "connect", self._connected)
        event.listen(engine, "commit", lambda _connection: self._commit())
        event.listen(engine, "rollback", lambda _connection: self.steps.clear())
        event.listen(engine, "checkin", lambda *_: self._committed())

    def _connected(self, connection: sqlite3.Connection, _record: Any) -> None:
        connection.create_function("note", 2, lambda old, new: self.steps.add((old, new)))
        body = "BEGIN SELECT note({}, NEW.status); END"
        connection.execute(
            "CREATE TEMP TRIGGER changed AFTER UPDATE OF status ON main.cyborg_jobs WHEN OLD.status != NEW.status "
            + body.format("OLD.status")
        )
        connection.execute("CREATE TEMP TRIGGER made AFTER INSERT ON main.cyborg_jobs " + body.format("''"))

    def _commit(self) -> None:
        self.committed |= self.steps
        self.call(self.steps, "before")

    def _committed(self) -> None:
        if self.committed:
            steps, self.committed, self.steps = self.committed, set(), set()
            self.call(steps, "after")


class Odd(FakeExecutor):
    """Does what leads to every step, by the name of the policy and the attempt."""

    def execute(self, run: Run, control: Control) -> None:
        [host] = run.hosts
        job = control.job(host.job)
        if host.recover or job.kind is not cy.JobKind.BACKUP or run.playbook == "recover":
            super().execute(run, control)
        elif job.policy_name == "quick":
            self._end(host, control)  # an end without a start
        elif job.policy_name == "late":
            control.ended(host.job, MISSING)
        elif job.policy_name == "twice" and job.attempt == 1:
            control.ended(host.job, UNREACHABLE)
        elif job.policy_name == "unwanted":
            Odd.cancel(host.job)
            control.ended(host.job, cy.Outcome(error=cy.JobError("canceled", "canceled"), gone=True))
        else:
            super().execute(run, control)

    cancel: Callable[[int], object]


def answer(job: cy.Job) -> cy.Outcome:
    if job.policy_name == "again" and job.attempt == 1:
        return UNREACHABLE
    if job.policy_name == "broken":
        return MISSING
    if job.policy_name == "stopped":
        Odd.cancel(job.id or 0)
        return cy.Outcome(error=cy.JobError("canceled", "canceled"), gone=True)
    return cy.Outcome()


POLICIES = ("etc", "again", "broken", "stopped", "quick", "late", "twice", "unwanted")


def opened(path: Path, executor: FakeExecutor) -> cy.Cyborg:
    return cy.Cyborg(f"sqlite:///{path}/cyborg.db", executor=executor, key=KEY)


def prepared(path: Path) -> None:
    """A fleet that is ready, of which one client is not."""
    with opened(path, FakeExecutor()) as cyborg:
        it = Fleet(cyborg, 1).ready()
        it.set(parallel=1, retry_delays=(0,))
        for name in POLICIES[1:]:
            it.add_policy(name)
        web2 = cyborg.clients.add(cy.Client("web2"))
        it.add_policy("fresh", clients=[web2])


def everything(cyborg: cy.Cyborg) -> None:
    """What leads to every step."""
    Odd.cancel = staticmethod(lambda job: cyborg.cancel(job))
    [fresh] = cyborg.launch("fresh")
    for name in POLICIES:
        cyborg.launch(name)
    [waiting] = cyborg.jobs.find(kind="catalog", policy=fresh.policy)
    cyborg.cancel(waiting)
    [pending] = cyborg.launch("etc")
    cyborg.cancel(pending)
    cyborg.launch("etc")
    cyborg.settings = attrs.evolve(cyborg.settings, prepare=False)
    client = cyborg.clients.get("web1")
    # Not ready any more when its turn comes, and not to be prepared: skipped. And a database that is away once.
    web3 = cyborg.clients.add(cy.Client("web3"))
    cyborg.policies.add(cy.Policy("skipped", "config", cyborg.repositories.get("vault"), clients=[web3]))
    cyborg.launch("skipped")
    assert client.ready
    real, away = Loading.work, [OperationalError("SELECT", {}, sqlite3.OperationalError("database is locked"))]

    def once(self: Loading, claim: Any, now: Any) -> Any:
        if away and claim.job.kind is cy.JobKind.BACKUP:
            raise away.pop()
        return real(self, claim, now)

    Loading.work = once  # type: ignore[method-assign]
    try:
        cyborg.work()
    finally:
        Loading.work = real  # type: ignore[method-assign]


def test_what_leads_to_every_step_leads_to_every_step(tmp_path: Path) -> None:
    prepared(tmp_path)
    seen: set[Step] = set()
    with opened(tmp_path, Odd(answer)) as cyborg:
        Watch(cyborg, lambda steps, _when: seen.update(steps))
        everything(cyborg)
        assert_settled(cyborg)
    assert seen - {("", "waiting")} == set(ALL)


def kills() -> Iterator[Any]:
    """Each step once, before and after in turn; the other half is among the long ones."""
    for number, step in enumerate(ALL):
        for when in ("before", "after"):
            marks = () if (number % 2) == (when == "after") else pytest.mark.faults
            yield pytest.param(step, when, id="-".join((*step, when)), marks=marks)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a fleet, to be copied."""
    folder = tmp_path_factory.mktemp("killed")
    prepared(folder)
    return folder / "cyborg.db"


@pytest.mark.parametrize(("step", "when"), list(kills()))
def test_killed_at(step: Step, when: str, tmp_path: Path, fleet: Path) -> None:
    shutil.copy(fleet, tmp_path)
    pid = os.fork()
    if not pid:
        try:
            cyborg = opened(tmp_path, Odd(answer))

            def die(steps: set[Step], now: str) -> None:
                if step in steps and now == when:
                    os.kill(os.getpid(), signal.SIGKILL)

            Watch(cyborg, die)
            everything(cyborg)
        finally:
            os._exit(3)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL, "it never came to that step"
    with opened(tmp_path, Knowing(when == "after")) as cyborg:
        known = {job.id: job for job in cyborg.jobs}
        assert any(job.status == step[1] for job in known.values()) or when == "before"
        for archive in cyborg.archives:
            cyborg._given.vaults[archive.vault][archive.name] = archive.borg_id
        let_leases_pass(cyborg)
        cyborg.work()
        assert_settled(cyborg)
        archived = [archive.job for archive in cyborg.archives]
        good = [job.id for job in cyborg.jobs.find(kind="backup", status="successful")]
        assert sorted(archived) == sorted(good), "an archive for each success, and no other"
        for job in cyborg.jobs:
            before = known.get(job.id)
            assert job.attempt <= job.attempts
            if before is not None and before.finished:
                assert job.status == before.status, "what had ended has ended"
            if job.status in ("failed", "skipped"):
                assert job.error or job.reason
        # The queue goes on.
        [job] = cyborg.run("etc")
        assert job.status == "successful"


class Knowing(FakeExecutor):
    """The hosts of the next engine: they say that what was begun went well, or that they know of nothing."""

    def __init__(self, know: bool) -> None:
        super().__init__()
        self.know = know
        self.begun: set[tuple[int, int]] = set()

    def execute(self, run: Run, control: Control) -> None:
        for host in run.hosts:
            if not host.recover and run.playbook == "backup":
                assert (host.job, host.attempt) not in self.begun
                self.begun.add((host.job, host.attempt))
        if self.know or not any(host.recover for host in run.hosts):
            super().execute(run, control)
            return
        for host in run.hosts:
            control.ended(host.job, cy.Outcome(error=cy.JobError("lost", "it was restarted"), gone=True))
