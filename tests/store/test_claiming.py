"""Claiming: who gets which job, and what keeps jobs apart."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
from attrs import evolve

from cyborglib.errors import ErrorCode, JobError
from cyborglib.model import JobStatus
from cyborglib.planning import Key, NewJob
from cyborglib.store import Claim, Store
from cyborglib.testing import FixedClock
from tests.store.conftest import KEY
from tests.store.fleet import Fleet, alone, free_job, ids, shared


def queue(store: Store, *keys: tuple[Key, ...]) -> list[int]:
    return ids(store.jobs.queue([NewJob(free_job(f"host{n}"), key) for n, key in enumerate(keys)]))


def test_a_claimed_job_is_starting_and_its_tokens_grow(fleet: Fleet, store: Store) -> None:
    queue(store, ())
    claim = fleet.take()
    assert (claim.job.id, claim.job.status, claim.job.attempt, claim.fence) == (1, JobStatus.STARTING, 1, 1)
    assert fleet.claim() == []
    assert store.jobs.get(1) == claim.job


def test_the_oldest_come_first_and_no_more_than_asked(fleet: Fleet, store: Store) -> None:
    queue(store, *[()] * 5)
    assert ids(fleet.claim(2)) == [1, 2]
    assert ids(fleet.claim(2)) == [3, 4]
    assert fleet.claim(0) == []
    assert ids(fleet.claim(2)) == [5]


def test_a_key_held_alone_excludes_everybody(fleet: Fleet, store: Store) -> None:
    queue(store, alone("vault:9"), alone("vault:9"), shared("vault:9"), alone("vault:8"))
    first = fleet.claim()
    assert ids(first) == [1, 4]
    assert fleet.claim() == []
    assert store.jobs.get(2).reason == "vault:9 is used by job 1 (drill of host0)"
    store.jobs.succeed(1, first[0].fence)
    assert store.jobs.get(2).reason.startswith("waits for an engine")
    assert ids(fleet.claim()) == [2]
    assert store.jobs.get(3).reason == "vault:9 is used by job 2 (drill of host1)"


def test_readers_share_a_key_and_keep_writers_out(fleet: Fleet, store: Store) -> None:
    queue(store, shared("v"), shared("v"), alone("v"), shared("v"))
    readers = fleet.claim()
    assert ids(readers) == [1, 2, 4]
    store.jobs.succeed(1, readers[0].fence)
    store.jobs.succeed(2, readers[1].fence)
    assert fleet.claim() == []
    queue(store, shared("v"))
    assert ids(fleet.claim()) == [5]


def test_a_reader_parked_behind_writers_joins_other_readers(fleet: Fleet, store: Store) -> None:
    queue(store, alone("v"), *[alone("v")] * 40, shared("v"), shared("v"))
    (writer,) = fleet.claim()
    store.jobs.queue([NewJob(free_job(), shared("v"))])
    assert fleet.claim() == []  # by now all are parked
    store.jobs.succeed(1, writer.fence)
    (second,) = fleet.claim()
    assert second.job.id == 2
    for job in range(3, 42):
        store.jobs.cancel(job)
    store.jobs.succeed(2, second.fence)
    assert ids(fleet.claim()) == [42, 43, 44]


def test_a_job_needs_all_of_its_keys(fleet: Fleet, store: Store) -> None:
    queue(store, alone("v1", "c1"), alone("v2", "c1"), alone("v1", "c2"), alone("v2", "c2"))
    both = fleet.claim()
    assert ids(both) == [1, 4]
    store.jobs.succeed(1, both[0].fence)
    assert fleet.claim() == []
    store.jobs.succeed(4, both[1].fence)
    assert ids(fleet.claim()) == [2, 3]


def test_the_client_and_the_vault_are_named_as_people_call_them(fleet: Fleet, store: Store) -> None:
    store.jobs.queue([NewJob(free_job(f"job{n}"), alone("client:1")) for n in (1, 2)])
    fleet.claim()
    assert store.jobs.get(2).reason == "the client web1.example.org is used by job 1 (drill of job1)"


def test_a_job_to_be_tried_again_waits_for_its_time(fleet: Fleet, store: Store, clock: FixedClock) -> None:
    queue(store, alone("v"), alone("v"))
    claim = fleet.take()
    later = clock() + timedelta(seconds=10)
    store.jobs.fail(1, claim.fence, JobError(ErrorCode.UNREACHABLE, "down"), retry_at=later)
    other = fleet.take()
    assert other.job.id == 2
    store.jobs.succeed(2, other.fence)
    assert fleet.claim() == []
    clock.forward(seconds=10)
    again = fleet.take()
    assert (again.job.id, again.job.attempt, again.fence, again.job.error) == (1, 2, 2, None)


def test_a_new_job_may_not_start_before_its_time(fleet: Fleet, store: Store, clock: FixedClock) -> None:
    store.jobs.queue([NewJob(evolve(free_job(), not_before=clock() + timedelta(hours=1)))])
    assert fleet.claim() == []
    clock.forward(hours=1)
    assert ids(fleet.claim()) == [1]


def test_only_some_jobs(fleet: Fleet, store: Store) -> None:
    queue(store, *[()] * 1300)
    assert ids(fleet.claim(3, only=[7, 1250, 5, 9000])) == [5, 7, 1250]
    assert ids(fleet.claim(2)) == [1, 2]


def test_a_line_longer_than_a_round_is_gone_through(fleet: Fleet, store: Store) -> None:
    """Hundreds of jobs that cannot start stand before one that can."""
    queue(store, alone("v"), *[alone("v")] * 1100, ())
    assert ids(fleet.claim()) == [1, 1102]


def test_eight_threads_claim_each_job_once(open_store: Callable[..., Store]) -> None:
    first = open_store()
    queue(first, *[alone(f"v{n % 20}") for n in range(40)])
    taken: list[int] = []
    errors: list[BaseException] = []

    def engine(name: str) -> None:
        fleet = Fleet.__new__(Fleet)
        fleet.store = open_store()
        try:
            while fleet.store.jobs.unfinished():
                time.sleep(0.005)
                for claim in fleet.claim(3, owner=name):
                    taken.append(claim.job.id or 0)
                    fleet.store.jobs.started(claim.job.id or 0, claim.fence)
                    fleet.store.jobs.succeed(claim.job.id or 0, claim.fence)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=engine, args=(f"engine{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert Counter(taken) == Counter(range(1, 41))


ENGINE = """
import sys, time
from datetime import UTC, datetime
from cyborglib.store import Store

store = Store(sys.argv[1], key=sys.argv[2])
while store.jobs.unfinished():
    time.sleep(0.005)
    for claim in store.jobs.claim(sys.argv[3], limit=2, now=datetime(2030, 1, 1, tzinfo=UTC), lease=60):
        print(claim.job.id, claim.job.client_name, flush=True)
        store.jobs.succeed(claim.job.id, claim.fence)
store.close()
"""


def test_two_processes_claim_each_job_once(store: Store, url: str) -> None:
    queue(store, *[alone(f"v{n % 7}") for n in range(30)])
    argv = [sys.executable, "-c", ENGINE, url, KEY]
    engines = [
        subprocess.Popen([*argv, name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for name in "ab"
    ]
    said = [engine.communicate(timeout=120) for engine in engines]
    assert [(engine.returncode, err) for engine, (_, err) in zip(engines, said, strict=True)] == [(0, ""), (0, "")]
    lines = [line.split()[0] for out, _ in said for line in out.splitlines()]
    assert Counter(lines) == Counter(str(n) for n in range(1, 31))


def test_what_is_held_is_never_held_twice(open_store: Callable[..., Store]) -> None:
    """Engines in threads watch each other: at no moment do two hold one key."""
    first = open_store()
    queue(first, *[alone("only") for _ in range(12)])
    inside = 0
    most = 0
    guard = threading.Lock()
    errors: list[BaseException] = []

    def engine(name: str) -> None:
        nonlocal inside, most
        fleet = Fleet.__new__(Fleet)
        fleet.store = open_store()
        try:
            while fleet.store.jobs.unfinished():
                time.sleep(0.005)
                for claim in fleet.claim(5, owner=name):
                    with guard:
                        inside += 1
                        most = max(most, inside)
                    time.sleep(0.005)
                    with guard:
                        inside -= 1
                    fleet.store.jobs.succeed(claim.job.id or 0, claim.fence)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=engine, args=(f"engine{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (errors, most) == ([], 1)


def test_a_job_given_back_may_be_taken_again(fleet: Fleet, store: Store) -> None:
    queue(store, alone("v"))
    claim = fleet.take()
    (job,) = store.jobs.give_back(1, claim.fence)
    assert (job.status, job.attempt) == (JobStatus.PENDING, 0)
    again: Claim = fleet.take()
    assert (again.job.attempt, again.fence) == (1, 2)


@pytest.mark.parametrize("status", ["waiting", "canceled"])
def test_what_waits_or_ended_is_not_claimed(fleet: Fleet, store: Store, status: str) -> None:
    store.jobs.queue([NewJob(free_job()), NewJob(free_job(), after=(0,))])
    if status == "canceled":
        store.jobs.cancel(1)
    else:
        fleet.take()
    assert fleet.claim() == []


def test_a_job_that_cannot_be_read_is_failed_when_its_turn_comes(fleet: Fleet, store: Store) -> None:
    """Or it would be at work for ever, with what it holds."""
    plan = [NewJob(free_job(f"host{n}"), alone(f"v{n}")) for n in (1, 2)]
    store.jobs.queue([NewJob(evolve(one.job, extra_vars={"a": 1}), one.keys) for one in plan])
    store.jobs.queue([NewJob(free_job(), alone("v1")), NewJob(evolve(free_job(), after=(1,)))])
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE cyborg_jobs SET extra_vars = 'broken' WHERE id = 1")
    assert ids(fleet.claim()) == [2]
    assert ids(fleet.claim()) == [3]
    reason = "drill of host1 failed: what is sealed in jobs/extra_vars/1 does not open"
    assert store.jobs.get(4).reason.startswith(reason)
    assert store.jobs.unfinished() == 2
