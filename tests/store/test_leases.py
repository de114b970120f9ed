"""Leases: whose jobs are whose, by the database's clock."""

from __future__ import annotations

import pytest

from cyborglib.errors import InvalidTransition
from cyborglib.model import JobStatus, Progress
from cyborglib.planning import NewJob
from cyborglib.store import Store
from cyborglib.testing import FixedClock
from tests.store.fleet import Fleet, alone, free_job, ids


@pytest.fixture
def working(fleet: Fleet) -> Store:
    """Two jobs of the engine "a", which began."""
    fleet.store.jobs.queue([NewJob(free_job(), alone("v")), NewJob(free_job()), NewJob(free_job(), alone("v"))])
    for claim in fleet.claim(owner="a"):
        fleet.store.jobs.started(claim.job.id or 0, claim.fence)
    return fleet.store


def let_pass(store: Store) -> None:
    """Let the leases of "a" run out."""
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE cyborg_jobs SET lease_until = lease_until - 61000 WHERE owner = 'a'")


def test_a_lease_lasts_as_long_as_it_says(working: Store) -> None:
    with working.transaction() as connection:
        if connection.dialect.name == "sqlite":
            now = "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"
        else:
            now = "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"
        query = f"SELECT min(lease_until) - {now} FROM cyborg_jobs WHERE lease_until IS NOT NULL"
        assert 50_000 < connection.exec_driver_sql(query).scalar_one() <= 60_000
    assert working.jobs.expired() == []


def test_the_engines_clock_does_not_matter(working: Store, clock: FixedClock) -> None:
    clock.forward(hours=10_000)
    assert working.jobs.expired() == []
    assert working.jobs.heartbeat("a", 60, [1, 2]) == []


def test_what_is_renewed_is_not_over(working: Store) -> None:
    with working.transaction() as connection:
        connection.exec_driver_sql("UPDATE cyborg_jobs SET lease_until = lease_until - 55000 WHERE owner = 'a'")
    assert working.jobs.heartbeat("a", 60, [1, 2]) == []
    with working.transaction() as connection:
        connection.exec_driver_sql("UPDATE cyborg_jobs SET lease_until = lease_until - 55000 WHERE owner = 'a'")
    assert working.jobs.expired() == []


def test_a_lease_that_is_over_is_not_renewed(working: Store) -> None:
    let_pass(working)
    assert ids(working.jobs.expired()) == [1, 2]
    assert working.jobs.heartbeat("a", 60) == [1, 2]
    assert ids(working.jobs.expired()) == [1, 2]
    assert working.jobs.heartbeat("b", 60) == []


def test_a_lease_that_is_over_frees_nothing(working: Store, fleet: Fleet) -> None:
    let_pass(working)
    assert fleet.claim(owner="b") == []


def test_a_lost_job_is_taken_over_once_and_the_first_engine_is_refused(working: Store) -> None:
    first = 1
    assert working.jobs.adopt(1, "b", 60) is None
    let_pass(working)
    claim = working.jobs.adopt(1, "b", 60)
    assert claim is not None
    assert (claim.fence, claim.job.status, claim.job.attempt) == (2, JobStatus.RUNNING, 1)
    assert working.jobs.adopt(1, "c", 60) is None
    assert working.jobs.heartbeat("a", 60, [1, 2]) == [1, 2]
    for late in (
        lambda: working.jobs.succeed(1, first),
        lambda: working.jobs.output(1, ["late"], first),
        lambda: working.jobs.finish_canceled(1, first),
    ):
        with pytest.raises(InvalidTransition, match="taken over by another engine"):
            late()
    working.jobs.progress(1, first, Progress(files=1))
    assert working.jobs.get(1).progress is None
    assert working.jobs.succeed(1, claim.fence)[0].status is JobStatus.SUCCESSFUL


def test_what_was_taken_over_still_holds_its_keys(working: Store, fleet: Fleet) -> None:
    let_pass(working)
    claim = working.jobs.adopt(1, "b", 60)
    assert claim is not None
    assert fleet.claim() == []
    working.jobs.succeed(1, claim.fence)
    assert ids(fleet.claim()) == [3]


def test_an_engine_that_goes_away_hands_its_jobs_on(working: Store) -> None:
    working.jobs.release("b")
    assert working.jobs.expired() == []
    working.jobs.release("a")
    assert ids(working.jobs.expired()) == [1, 2]
    assert working.jobs.adopt(2, "b", 60) is not None


def test_what_ended_has_no_lease(working: Store) -> None:
    let_pass(working)
    working.jobs.succeed(1, 1)
    assert ids(working.jobs.expired()) == [2]
    assert working.jobs.adopt(1, "b", 60) is None


def test_only_the_jobs_named_are_renewed(working: Store) -> None:
    """What an engine claimed without ever hearing of it must not be kept alive by what it does know."""
    with working.transaction() as connection:
        connection.exec_driver_sql("UPDATE cyborg_jobs SET lease_until = lease_until - 55000 WHERE owner = 'a'")
    assert working.jobs.heartbeat("a", 60, [1]) == []
    with working.transaction() as connection:
        connection.exec_driver_sql("UPDATE cyborg_jobs SET lease_until = lease_until - 10000 WHERE owner = 'a'")
    assert ids(working.jobs.expired()) == [2]
