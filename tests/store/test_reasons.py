"""Every job that has not begun says for what it waits: which job, vault, client, slot, moment or room."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import attrs
import pytest

from cyborglib.errors import JobError
from cyborglib.model import Job, JobStatus, Pause, Settings
from cyborglib.planning import Key, NewJob
from cyborglib.store import Store
from cyborglib.testing import FixedClock
from tests.store.fleet import Fleet

DOWN = JobError("unreachable", "no route to host")


def backup(fleet: Fleet, n: int = 0) -> int:
    vault, client = Key(f"vault:{fleet.vaults[n].id}"), Key(f"client:{fleet.clients[n].id}")
    [job] = fleet.store.jobs.queue([NewJob(fleet.job("backup", n, attempts=3), (vault, client))])
    return job.id


def waits_for_another_job(fleet: Fleet) -> int:
    return fleet.store.jobs.queue(fleet.chain())[2].id


def waits_for_what_is_left(fleet: Fleet) -> int:
    jobs = fleet.store.jobs.queue(fleet.chain())
    [claim] = fleet.claim()
    fleet.store.jobs.succeed(jobs[0].id, claim.fence)
    return jobs[2].id


def just_queued(fleet: Fleet) -> int:
    return backup(fleet)


def no_slot(fleet: Fleet) -> int:
    fleet.store.settings = attrs.evolve(Settings(), parallel=1)
    backup(fleet)
    fleet.claim(limit=1)
    return backup(fleet, 1)


def the_vault_is_used(fleet: Fleet) -> int:
    fleet.store.jobs.queue([NewJob(fleet.job("check"), (Key(f"vault:{fleet.vaults[0].id}"),))])
    fleet.claim()
    job = backup(fleet)
    fleet.claim()
    return job


def the_client_is_used(fleet: Fleet) -> int:
    fleet.store.jobs.queue([NewJob(fleet.job("prepare_client"), (Key(f"client:{fleet.clients[0].id}"),))])
    fleet.claim()
    job = backup(fleet)
    fleet.claim()
    return job


def parked_at_what_is_free_again(fleet: Fleet) -> int:
    job = the_vault_is_used(fleet)
    [check] = fleet.store.jobs.find(kind="check")
    fleet.store.jobs.fail(check.id, 1, DOWN)
    return job


def tried_again_later(fleet: Fleet) -> int:
    job = backup(fleet)
    [claim] = fleet.claim()
    moment = fleet.store._database.clock() + timedelta(minutes=1)
    fleet.store.jobs.fail(job, claim.fence, DOWN, retry_at=moment)
    return job


def its_time_came(fleet: Fleet) -> int:
    job, other = tried_again_later(fleet), backup(fleet, 1)
    fleet.store.settings = attrs.evolve(Settings(), parallel=1)
    fleet.claim(limit=1)
    fleet.store._database.clock.forward(minutes=2)  # type: ignore[attr-defined]
    fleet.claim(only=[other])
    return job


def not_before(fleet: Fleet) -> int:
    moment = fleet.store._database.clock() + timedelta(hours=1)
    [job] = fleet.store.jobs.queue([NewJob(fleet.job("check", not_before=moment))])
    return job.id


def given_back(fleet: Fleet) -> int:
    job = backup(fleet)
    [claim] = fleet.claim()
    fleet.store.jobs.give_back(job, claim.fence)
    return job


def pause(fleet: Fleet, key: str, code: str = "vault_full") -> None:
    now = fleet.store._database.clock()
    look_at = now + timedelta(minutes=5)
    fleet.store.pauses.add([Pause(key=key, code=code, reason="There is no room.", since=now, look_at=look_at)])  # type: ignore[arg-type]


def the_vault_is_full(fleet: Fleet) -> int:
    pause(fleet, f"vault:{fleet.vaults[0].id}")
    job = backup(fleet)
    fleet.claim()
    return job


def the_client_is_full(fleet: Fleet) -> int:
    pause(fleet, f"client:{fleet.clients[0].id}", "client_full")
    job = backup(fleet)
    fleet.claim()
    return job


def put_back(fleet: Fleet) -> int:
    job = backup(fleet)
    [claim] = fleet.claim()
    pause(fleet, f"vault:{fleet.vaults[0].id}")
    fleet.store.jobs.put_back(job, claim.fence)
    fleet.claim()
    return job


TABLE: list[tuple[Callable[[Fleet], int], str, str]] = [
    (waits_for_another_job, "waiting", "waits for prepare client of web1.example.org"),
    (waits_for_what_is_left, "waiting", "waits for prepare repository of web1.example.org"),
    (just_queued, "pending", "waits for an engine to take it"),
    (no_slot, "pending", "waits for a free slot: 1 jobs are at work"),
    (the_vault_is_used, "pending", "the vault ssh://borg@nas/srv/web1.example.org is used by job 1 (check of web1.exa"),
    (the_client_is_used, "pending", "the client web1.example.org is used by job 1 (prepare client of web1.example.org"),
    (parked_at_what_is_free_again, "pending", "waits for an engine to take it"),
    (
        tried_again_later,
        "pending",
        "is tried again at 2026-03-01 12:01:00 UTC, as it failed (try 1 of 3): no route to ",
    ),
    (its_time_came, "pending", "waits for a free slot: 1 jobs are at work"),
    (not_before, "pending", "is not begun before 2026-03-01 13:00:00 UTC"),
    (given_back, "pending", "waits for an engine to take it"),
    (
        the_vault_is_full,
        "pending",
        "the vault ssh://borg@nas/srv/web1.example.org is paused since 2026-03-01 12:00 UTC",
    ),
    (
        the_client_is_full,
        "pending",
        "the client web1.example.org is paused since 2026-03-01 12:00 UTC: There is no room.",
    ),
    (put_back, "pending", "the vault ssh://borg@nas/srv/web1.example.org is paused since 2026-03-01 12:00 UTC: There"),
]


@pytest.mark.parametrize(("make", "status", "reason"), TABLE, ids=lambda value: getattr(value, "__name__", ""))
def test_a_job_says_for_what_it_waits(fleet: Fleet, make: Callable[[Fleet], int], status: str, reason: str) -> None:
    job = fleet.store.jobs.get(make(fleet))
    assert job.status == status
    assert job.reason.startswith(reason)
    assert fleet.store.jobs.find(id=job.id) == [job]


def test_the_table_knows_every_place_where_a_job_can_wait() -> None:
    """By the states: what has not ended and is not at work."""
    assert {status for _, status, _ in TABLE} == {s.value for s in JobStatus if not s.finished} - {
        "starting",
        "running",
    }


def held(store: Store, kind: str, code: str) -> bool:
    job = Job(kind=kind)  # type: ignore[arg-type]
    now = store._database.clock()
    return Pause(key="vault:1", code=code, reason="", since=now, look_at=now).holds(job.kind)  # type: ignore[arg-type]


def test_who_waits_at_a_pause_is_looked_at_again_when_that_is_over(fleet: Fleet, clock: FixedClock) -> None:
    """And not before: a claim costs by what it hands out."""
    store = fleet.store
    job, other = the_vault_is_full(fleet), backup(fleet, 1)
    assert [claim.job.id for claim in fleet.claim()] == [other]
    assert [found.key for found in store.pauses.all()] == [f"vault:{fleet.vaults[0].id}"]
    assert store.pauses.add(store.pauses.all()) == []
    assert store.pauses.held(clock()) == {job}
    assert store.pauses.held(clock() + timedelta(hours=1)) == set(), "it is time to look"
    assert fleet.claim() == []
    store.pauses.end(store.pauses.all())
    assert [claim.job.id for claim in fleet.claim()] == [job]
    assert held(store, "backup", "quota_reached")
    assert not held(store, "catalog", "quota_reached")
    assert held(store, "catalog", "vault_full")


def test_a_job_that_is_put_back_keeps_its_tries_and_can_be_canceled(fleet: Fleet) -> None:
    job = put_back(fleet)
    found = fleet.store.jobs.get(job)
    assert (found.attempt, found.attempts, found.error) == (1, 4, None)
    fleet.store.pauses.end(fleet.store.pauses.all())
    [claim] = fleet.claim()
    fleet.store.jobs.cancel(job)
    [ended] = fleet.store.jobs.put_back(job, claim.fence)
    assert ended.status == "canceled"


def test_vaults_on_one_file_system_of_one_host(fleet: Fleet) -> None:
    store = fleet.store
    for vault, name in zip(fleet.vaults, ("a", "a", "b"), strict=True):
        store.vaults.observe(vault.id, filesystem=name)
    assert store.pauses.vaults_on(fleet.repository.id, "a") == [1, 2]
    assert store.pauses.vaults_on(fleet.repository.id, "c") == []
    assert store.pauses.unmeasured(fleet.store._database.clock()) == [], "none of them is ready"
    for vault in fleet.vaults:
        store.vaults.observe(vault.id, ready=True)
    assert sorted(store.pauses.unmeasured(fleet.store._database.clock())) == [1, 3]
