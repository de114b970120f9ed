"""Whatever is done to a queue, in whatever order: no job is lost, and none runs beside one it must not run beside."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import select

from cyborglib.errors import ErrorCode, JobError
from cyborglib.model import FINISHED, JobStatus
from cyborglib.planning import Key, NewJob
from cyborglib.sealing import Sealer
from cyborglib.store import Claim, Store, schema
from cyborglib.testing import FixedClock
from tests.store.fleet import free_job, ids

SEALER = Sealer([Sealer.generate_key()])
DOWN = JobError(ErrorCode.UNREACHABLE, "down")
keys = st.lists(st.builds(Key, st.sampled_from(["a", "b", "c"]), st.booleans()), max_size=2, unique_by=lambda k: k.name)
ACTIVE = (JobStatus.STARTING, JobStatus.RUNNING)


class Queue(RuleBasedStateMachine):
    """Engines that take, end, lose and hand back jobs, and people who queue and cancel them."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FixedClock()
        self.store = Store("sqlite://", key=SEALER, clock=self.clock)
        self.claims: list[Claim] = []

    def teardown(self) -> None:
        self.store.close()

    @rule(plan=st.lists(st.tuples(keys, st.lists(st.integers(0, 30), max_size=2)), min_size=1, max_size=3))
    def queue(self, plan: list[tuple[list[Key], list[int]]]) -> None:
        known = [job.id for job in self.store.jobs]
        jobs = []
        for place, (held, needs) in enumerate(plan):
            after = tuple(dict.fromkeys(need % place for need in needs if place and need % 2))
            there = tuple(dict.fromkeys(known[need % len(known)] for need in needs if known and not need % 2))
            jobs.append(NewJob(free_job(after=there), tuple(held), after))
        self.store.jobs.queue(jobs)

    @rule(limit=st.integers(1, 3), owner=st.sampled_from("xy"))
    def claim(self, limit: int, owner: str) -> None:
        startable = self.startable()
        got = self.store.jobs.claim(owner, limit=limit, now=self.clock(), lease=60)
        assert len(got) <= limit
        # A round takes the oldest that may start, and never none while one may.
        assert bool(got) == bool(startable)
        if got:
            assert got[0].job.id == startable[0]
        self.claims += got

    @precondition(lambda self: self.claims)
    @rule(which=st.integers(0, 50), how=st.sampled_from(["succeed", "fail", "retry", "skip", "give back", "cancel"]))
    def end(self, which: int, how: str) -> None:
        claim = self.claims.pop(which % len(self.claims))
        job, fence = claim.job.id or 0, claim.fence
        jobs = self.store.jobs
        if how == "succeed":
            jobs.started(job, fence)
            changed = jobs.succeed(job, fence)
        elif how == "fail":
            changed = jobs.fail(job, fence, DOWN)
        elif how == "retry":
            changed = jobs.fail(job, fence, DOWN, retry_at=self.clock() + timedelta(seconds=10))
        elif how == "skip":
            changed = jobs.skip(job, fence, "no")
        elif how == "give back":
            changed = jobs.give_back(job, fence)
        else:
            jobs.cancel(job)
            changed = jobs.finish_canceled(job, fence)
        assert changed[0].id == job
        assert len(set(ids(changed))) == len(changed)

    @precondition(lambda self: self.claims)
    @rule(which=st.integers(0, 50))
    def lose_and_adopt(self, which: int) -> None:
        place = which % len(self.claims)
        claim = self.claims[place]
        with self.store.transaction() as connection:
            lost = f"UPDATE cyborg_jobs SET lease_until = 0 WHERE id = {claim.job.id}"
            connection.exec_driver_sql(lost)
        adopted = self.store.jobs.adopt(claim.job.id or 0, "z", 60)
        assert adopted is not None
        assert adopted.fence == claim.fence + 1
        self.claims[place] = adopted

    @rule(which=st.integers(0, 50))
    def cancel(self, which: int) -> None:
        left = [job.id for job in self.store.jobs if job.status in (JobStatus.WAITING, JobStatus.PENDING)]
        if left:
            changed = self.store.jobs.cancel(left[which % len(left)] or 0)
            assert {job.status for job in changed[1:]} <= {JobStatus.SKIPPED}

    @rule()
    def time_passes(self) -> None:
        self.clock.forward(seconds=11)

    def startable(self) -> list[int]:
        """Told from the rules alone: pending, its time come, its keys free."""
        held, wanted = self.held(), self.wanted()
        found = []
        for job in self.store.jobs:
            late = job.not_before is None or job.not_before <= self.clock()
            free = all(not held[key] or (not alone and not any(held[key])) for key, alone in wanted[job.id or 0])
            if job.status is JobStatus.PENDING and late and free:
                found.append(job.id or 0)
        return found

    def held(self) -> dict[str, list[bool]]:
        found: dict[str, list[bool]] = defaultdict(list)
        with self.store.transaction() as connection:
            for key, alone in connection.execute(select(schema.holds.c.key, schema.holds.c.exclusive)):
                found[key].append(alone)
        return found

    def wanted(self) -> dict[int, list[tuple[str, bool]]]:
        found: dict[int, list[tuple[str, bool]]] = defaultdict(list)
        table = schema.job_keys.c
        with self.store.transaction() as connection:
            for job, key, alone in connection.execute(select(table.job, table.key, table.exclusive)):
                found[job].append((key, alone))
        return found

    @invariant()
    def who_holds_a_key_alone_is_alone(self) -> None:
        for holders in self.held().values():
            assert len(holders) == 1 or not any(holders)

    @invariant()
    def what_is_at_work_holds_its_keys_and_nothing_else_holds_any(self) -> None:
        wanted = self.wanted()
        at_work = [job.id or 0 for job in self.store.jobs if job.status in ACTIVE]
        assert Counter(key for job in at_work for key, _ in wanted[job]) == Counter(
            {key: len(holders) for key, holders in self.held().items()}
        )
        assert sorted(at_work) == sorted(ids(self.claims))
        assert not {job.id for job in self.store.jobs if job.status in FINISHED} & set(wanted)

    @invariant()
    def what_waits_waits_for_something(self) -> None:
        jobs = {job.id: job for job in self.store.jobs}
        for job in jobs.values():
            needs = [jobs[need].status for need in job.after]
            if job.status is JobStatus.WAITING:
                assert any(status not in FINISHED for status in needs)
                assert job.reason.startswith("waits for ")
            if job.status in (JobStatus.PENDING, *ACTIVE, JobStatus.SUCCESSFUL):
                assert all(status is JobStatus.SUCCESSFUL for status in needs)
            assert (job.ended_at is not None) == job.finished


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
