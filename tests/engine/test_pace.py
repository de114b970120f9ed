"""What starts when, what it costs to look, and that nothing waits for a clock where an event would do.

No test looks at a watch: what should come by an event comes although the next look is an hour away.
"""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
from sqlalchemy import create_engine, event

import cyborglib as cy
from cyborglib.engine.recording import JITTER, _delay
from cyborglib.kinds import Work
from cyborglib.planning import Key, NewJob
from cyborglib.testing import FakeExecutor
from tests.engine.fleet import Fleet, Meanwhile, assert_settled, until

HOUR = 3600.0


@pytest.fixture
def no_poll(monkeypatch):
    monkeypatch.setattr("cyborglib.engine.engine.POLL", HOUR)


def test_what_is_queued_starts_at_once(no_poll, fleet):
    it = fleet()
    with Meanwhile(it.cyborg.serve):
        until(lambda: it.cyborg._engine._workers)
        for _ in range(3):
            it.cyborg.launch(it.policy)
            until(it.cyborg._store.jobs.idle)
        it.cyborg.stop()
    assert it.statuses() == {"successful": 8}


def test_a_chain_goes_on_by_itself(no_poll, fleet):
    it = fleet(clients=3)
    assert {job.status for job in it.cyborg.run(it.policy)} == {"successful"}


def test_a_cancel_frees_what_waited(no_poll, in_hand):
    it = in_hand()
    other = it.add_policy("other")
    [first], [second] = it.cyborg.launch(it.policy), it.cyborg.launch(other)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        it.cyborg.cancel(first)
        given.control.ended(first.id, cy.Outcome(error=cy.JobError("canceled", "canceled")))
        given.leave()
        given = it.executor.next()
        assert given.jobs == [second.id]
        given.succeed().leave()


def test_a_stream_of_ends_keeps_nobody_waiting(no_poll, in_hand, monkeypatch):
    """Gathering begins with the first that ends; those that end later do not put it off again and again."""
    it = in_hand(clients=2)
    it.set(parallel=2)
    first, second = it.clients
    [slow] = it.cyborg.launch(it.policy, [first])
    outbox, over = it.cyborg._engine._outbox, threading.Event()

    def stream():
        while not over.wait(0.02):
            outbox.wake()

    with Meanwhile(it.cyborg.work), Meanwhile(stream):
        given = it.executor.next().start()
        it.cyborg.launch(it.policy, [second])
        other = it.executor.next()
        over.set()
        other.succeed().leave()
        given.succeed().leave()
    assert it.cyborg.jobs.get(slow.id).status == "successful"


def test_jobs_that_become_free_together_go_into_one_run(no_poll, fleet, monkeypatch):
    monkeypatch.setattr("cyborglib.engine.engine.GATHER", HOUR)
    it = fleet(clients=6)
    it.cyborg.run(it.policy)
    runs = [(run.playbook, len(run.hosts)) for run in it.cyborg._given.runs]
    assert runs == [("prepare_client", 6), ("prepare_repository", 6), ("backup", 6), ("catalog", 6)]


def test_no_more_than_parallel_are_at_work(in_hand):
    it = in_hand(clients=5)
    it.set(parallel=2)
    it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        left = 5
        while left:
            given = it.executor.next().start()
            assert it.cyborg._engine.busy <= 2
            left -= len(given.jobs)
            given.succeed().leave()
    assert_settled(it.cyborg)


def test_two_that_work_share_the_places(in_hand):
    it = in_hand(clients=5)
    it.set(parallel=2)
    first = it.add_policy("first", clients=it.clients[:3])
    second = it.add_policy("second", clients=it.clients[3:])
    with Meanwhile(lambda: it.cyborg.run(first)) as one, Meanwhile(lambda: it.cyborg.run(second)) as two:
        left = 5
        while left:
            given = it.executor.next().start()
            assert it.cyborg._engine.busy <= 2
            left -= len(given.jobs)
            given.succeed().leave()
        assert {job.status for job in [*one.join(), *two.join()]} == {"successful"}
    assert_settled(it.cyborg)


def test_a_retry_waits_its_time(fleet, clock):
    left = [2]

    def answer(job):
        if job.kind == "backup" and left[0]:
            left[0] -= 1
            return cy.Outcome(error=cy.JobError("unreachable", "no route to host"))
        return cy.Outcome()

    it = fleet(answer)
    it.set(retry_delays=(100, 1000))
    [job] = it.cyborg.launch(it.policy)
    waits = []

    @it.cyborg.on(cy.JobRetried)
    def listener(event):
        waits.append((event.job.not_before - clock()).total_seconds())
        clock.forward(seconds=waits[-1])

    it.cyborg.work()
    assert it.cyborg.jobs.get(job.id).attempt == 3
    assert 75 <= waits[0] <= 125
    assert 750 <= waits[1] <= 1250


@pytest.mark.parametrize(("attempt", "meant"), [(1, 10), (2, 60), (3, 60), (21, 60)])
def test_retries_are_spread_within_bounds(attempt, meant, clock):
    job = cy.Job(kind="backup", id=1, attempt=attempt)
    work = Work(job=job, fence=1, settings=cy.Settings(retry_delays=(10, 60)), now=clock())
    found = [_delay(work, job).total_seconds() for _ in range(300)]
    assert meant * (1 - JITTER) <= min(found) < max(found) <= meant * (1 + JITTER)
    assert max(found) - min(found) > meant * JITTER, "a fleet does not come back as one"


class Counter:
    """How many of its steps SQLite took: what a query costs, whatever else the machine does."""

    def __init__(self, path) -> None:
        self.steps = self.statements = 0
        self.engine = create_engine(f"sqlite:///{path}")
        event.listen(self.engine, "connect", self._connected)
        event.listen(self.engine, "before_cursor_execute", self._executed)

    def _connected(self, driver, _record) -> None:
        driver.set_progress_handler(self._step, 10)

    def _step(self) -> int:
        self.steps += 10
        return 0

    def _executed(self, *_) -> None:
        self.statements += 1

    def cost(self, call) -> tuple[int, int]:
        self.steps = self.statements = 0
        call()
        return self.steps, self.statements


@pytest.fixture
def counted(opened, tmp_path, clock):
    counter = Counter(tmp_path / "cyborg.db")
    it = Fleet(opened(counter.engine, executor=FakeExecutor(), clock=clock))
    yield it, counter
    counter.engine.dispose()


def waiting_jobs(it: Fleet, count: int, *, key: str = "") -> None:
    fresh = cy.Job(kind="drill", timeout=60)
    keys = (Key(key),) if key else ()
    it.cyborg._store.jobs.queue([NewJob(fresh, keys) for _ in range(count)])


def test_a_look_costs_the_same_however_many_wait(counted):
    """Thousands of jobs wait for a client that another engine works on; each second somebody looks."""
    it, counter = counted
    waiting_jobs(it, 50, key="client:7")
    assert it.cyborg._store.jobs.claim("another engine", limit=1, now=it.cyborg._clock(), lease=3600)
    look = it.cyborg._engine._look
    looks = (lambda: look(lambda: None), lambda: look(lambda: None if not it.cyborg._store.jobs.idle() else ()))
    costs = []
    for more in (0, 3000):
        waiting_jobs(it, more, key="client:7")
        looks[0]()  # parks what is new
        costs.append([max(counter.cost(one) for _ in range(5)) for one in looks])
    assert all(steps < 500 and statements < 12 for few in costs for steps, statements in few), costs


def test_to_know_whether_a_run_is_over_costs_by_the_run(counted):
    it, counter = counted
    waiting_jobs(it, 20)
    some = [job.id for job in it.cyborg.jobs]
    few = counter.cost(lambda: it.cyborg._store.jobs.left(some))
    waiting_jobs(it, 1000)
    many = counter.cost(lambda: it.cyborg._store.jobs.left(some))
    assert many[0] <= few[0] + 100
    assert it.cyborg._store.jobs.left(some) == set(some)


def test_a_run_of_many_asks_in_pages(counted):
    it, counter = counted
    waiting_jobs(it, 1200)
    ids = [job.id for job in it.cyborg.jobs]
    _, statements = counter.cost(lambda: it.cyborg._store.jobs.left(ids))
    assert statements <= 4


def test_nothing_runs_where_nothing_is_at_work(fleet):
    it = fleet()
    it.cyborg.run(it.policy)
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("cyborglib-")])


def test_progress_is_written_now_and_then_and_told_always(in_hand, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("cyborglib.engine.scribe.time.monotonic", lambda: now[0])
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    written = []
    write = it.cyborg._store.jobs.progress
    monkeypatch.setattr(it.cyborg._store.jobs, "progress", lambda *a: (written.append(a[2].files), write(*a)))
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        for n in range(20):
            given.control.progress(job.id, cy.Progress(files=n))
            until(lambda n=n: sum(isinstance(e, cy.JobProgressed) for e in it.told) == n + 1)
            now[0] += 0.5
        given.succeed().leave()
    assert written == [0, 4, 8, 12, 16]
    assert [e.progress.files for e in it.told if isinstance(e, cy.JobProgressed)] == list(range(20))


def test_progress_is_measured_against_the_last_backup(in_hand):
    it = in_hand()
    for n in range(2):
        [job] = it.cyborg.launch(it.policy)
        with Meanwhile(it.cyborg.work):
            given = it.executor.next().start()
            if n:
                for size in (0, 250, 5000):
                    given.control.progress(job.id, cy.Progress(original_bytes=size))
                    until(
                        lambda size=size: any(
                            isinstance(e, cy.JobProgressed) and e.progress.original_bytes == size for e in it.told
                        )
                    )
            given.succeed().leave()
    found = [event.progress for event in it.told if isinstance(event, cy.JobProgressed)]
    assert [progress.fraction for progress in found] == [0.0, 0.25, 0.99]
    assert found[0].remaining is None
    assert found[1].remaining == pytest.approx(found[1].seconds * 3)
    assert all(one.seconds <= two.seconds for one, two in pairwise(found))
