"""Queueing: what is new, what is found, what is left out, and what waits for what."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from cyborglib.errors import ErrorCode, Invalid, JobError, NotFound
from cyborglib.model import JobStatus, Variables
from cyborglib.planning import NewJob
from cyborglib.store import Store
from tests.store.fleet import Fleet, free_job, ids


def test_a_chain_waits_in_order(fleet: Fleet) -> None:
    queued = fleet.store.jobs.queue(fleet.chain())
    assert [(job.kind, job.status) for job in queued] == [
        ("prepare_client", JobStatus.PENDING),
        ("prepare_repository", JobStatus.WAITING),
        ("backup", JobStatus.WAITING),
        ("catalog", JobStatus.WAITING),
    ]
    client, vault, backup, catalog = queued
    assert (vault.after, backup.after, catalog.after) == ((client.id,), (client.id, vault.id), (backup.id,))
    assert backup.reason == "waits for prepare client of web1.example.org"
    assert client.reason.startswith("waits for an engine")
    assert queued.new == list(queued)
    assert client.created_at == datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_variables_are_sealed_and_come_back(fleet: Fleet) -> None:
    values = Variables({"password": "very secret", "n": [1, 2.5, None, {"deep": True}]})
    (job,) = fleet.store.jobs.queue([NewJob(fleet.job("restore", extra_vars=values, options={"paths": ["a"]}))])
    assert job.extra_vars == values
    assert job.options.plain() == {"paths": ["a"]}
    with fleet.store.transaction() as connection:
        (row,) = connection.exec_driver_sql("SELECT extra_vars FROM cyborg_jobs").all()
    assert "secret" not in row[0]


def test_an_unfinished_backup_is_given_and_nothing_is_made_around_it(fleet: Fleet) -> None:
    first = fleet.store.jobs.queue(fleet.chain())
    again = fleet.store.jobs.queue(fleet.chain(due=datetime(2026, 3, 2, tzinfo=UTC)))
    assert ids(again) == ids(first)[:3]
    assert again.new == []
    assert len(fleet.store.jobs) == 4


def test_two_backups_share_the_preparation_of_their_client(fleet: Fleet, store: Store) -> None:
    fleet.store.jobs.queue(fleet.chain()[:1])
    queued = store.jobs.queue(fleet.chain())
    assert [job.id for job in queued.new] == [2, 3, 4]
    assert queued[0].id == 1
    assert store.jobs.get(3).after == (1, 2)


def test_a_preparation_that_asks_for_more_is_another_one(fleet: Fleet, store: Store) -> None:
    job = fleet.job("prepare_client", options={"update": True})
    first = store.jobs.queue([NewJob(fleet.job("prepare_client", options={"update": False}))])
    second = store.jobs.queue([NewJob(job)])
    assert ids(first) != ids(second)
    assert ids(store.jobs.queue([NewJob(job)])) == ids(second)


def test_the_same_thing_planned_twice_is_one_job(fleet: Fleet, store: Store) -> None:
    queued = store.jobs.queue([*fleet.chain()[:1], *fleet.chain()[:1]])
    assert ids(queued) == [1, 1]
    assert len(store.jobs) == 1


def test_a_preparation_that_is_being_canceled_is_not_shared(fleet: Fleet, store: Store) -> None:
    store.jobs.queue(fleet.chain()[:1])
    store.jobs.cancel(fleet.take().job.id or 0)
    assert ids(store.jobs.queue(fleet.chain()[:1])) == [2]


def test_a_moment_of_a_schedule_is_answered_once(fleet: Fleet, open_store: Callable[..., Store]) -> None:
    due = datetime(2026, 3, 1, 2, tzinfo=UTC)
    other = open_store()
    (job,) = fleet.store.jobs.queue([NewJob(fleet.job("backup", due=due))])
    fleet.store.jobs.cancel(job.id or 0)
    assert other.jobs.queue([NewJob(fleet.job("backup", due=due))]) == []
    assert len(other.jobs.queue([NewJob(fleet.job("backup", due=due.replace(day=2)))])) == 1
    assert len(other.jobs.queue([NewJob(fleet.job("backup", 1, due=due))])) == 1


def test_what_only_a_backup_left_out_needed_is_left_out(fleet: Fleet) -> None:
    due = datetime(2026, 3, 1, 2, tzinfo=UTC)
    (job,) = fleet.store.jobs.queue([NewJob(fleet.job("backup", due=due))])
    fleet.store.jobs.cancel(job.id or 0)
    assert fleet.store.jobs.queue(fleet.chain(due=due)) == []
    assert len(fleet.store.jobs) == 1


def test_a_job_may_wait_for_jobs_of_the_store(fleet: Fleet, store: Store) -> None:
    first, second = store.jobs.queue([NewJob(free_job()), NewJob(free_job())])
    (after,) = store.jobs.queue([NewJob(fleet.job("backup", after=(first, second)))])
    assert after.status is JobStatus.WAITING
    assert after.after == (first.id, second.id)
    done = fleet.take()
    store.jobs.succeed(done.job.id or 0, done.fence)
    (later,) = store.jobs.queue([NewJob(fleet.job("backup", 1, after=(first,)))])
    assert later.status is JobStatus.PENDING


def test_a_job_after_one_that_failed_is_skipped_at_once(fleet: Fleet, store: Store) -> None:
    store.jobs.queue([NewJob(free_job("web1"))])
    claim = fleet.take()
    store.jobs.fail(1, claim.fence, JobError(ErrorCode.INTERNAL, "no"))
    (job,) = store.jobs.queue([NewJob(fleet.job("backup", after=(1,)))])
    assert (job.status, job.reason) == (JobStatus.SKIPPED, "drill of web1 failed: no")
    assert job.ended_at is not None


@pytest.mark.parametrize("after", [(0,), (1,), (-1,)])
def test_an_order_that_cannot_be_is_refused(store: Store, after: tuple[int, ...]) -> None:
    with pytest.raises(Invalid, match="must come after"):
        store.jobs.queue([NewJob(free_job(), after=after)])
    assert len(store.jobs) == 0


def test_what_is_gone_queues_nothing(fleet: Fleet, store: Store) -> None:
    with pytest.raises(NotFound, match="no client with the id 99"):
        store.jobs.queue([NewJob(free_job()), NewJob(fleet.job("backup", client=99))])
    with pytest.raises(NotFound, match="no job with the id 99"):
        store.jobs.queue([NewJob(fleet.job("backup", after=(99,)))])
    assert len(store.jobs) == 0


def test_a_job_that_is_in_the_store_is_not_queued_again(store: Store) -> None:
    (job,) = store.jobs.queue([NewJob(free_job())])
    with pytest.raises(Invalid, match="already"):
        store.jobs.queue([NewJob(job)])


def test_a_large_launch_is_queued_whole(fleet: Fleet, store: Store) -> None:
    plan = [NewJob(free_job(f"host{n}"), after=(n - 1,) if n % 3 else ()) for n in range(1200)]
    queued = store.jobs.queue(plan)
    assert ids(queued) == list(range(1, 1201))
    assert queued[700].after == ((700,) if 700 % 3 else ())
    assert store.jobs.unfinished() == 1200


def test_what_comes_after_a_job_that_is_skipped_at_once_is_skipped_too(fleet: Fleet, store: Store) -> None:
    store.jobs.queue([NewJob(free_job("web1"))])
    store.jobs.cancel(1)
    queued = store.jobs.queue([NewJob(fleet.job("backup", after=(1,))), NewJob(fleet.job("catalog"), after=(0,))])
    assert [(job.status, job.reason) for job in queued] == [(JobStatus.SKIPPED, "drill of web1 was canceled")] * 2
    assert store.jobs.unfinished() == 0


def test_engines_that_plan_at_once_make_one_backup(fleet: Fleet, open_store: Callable[..., Store]) -> None:
    due = datetime(2026, 3, 1, 2, tzinfo=UTC)
    stores = [open_store() for _ in range(4)]
    for n in range(3):
        given: list[list[int]] = []
        errors: list[BaseException] = []
        barrier = threading.Barrier(4)

        def plan(
            store: Store, n: int, barrier: threading.Barrier, given: list[list[int]], errors: list[BaseException]
        ) -> None:
            barrier.wait()
            try:
                given.append(ids(store.jobs.queue(fleet.chain(n, due=due))))
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=plan, args=(store, n, barrier, given, errors)) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        first = list(range(4 * n + 1, 4 * n + 5))
        assert sorted(given) == [first[:3]] * 3 + [first]
    assert len(fleet.store.jobs) == 12
