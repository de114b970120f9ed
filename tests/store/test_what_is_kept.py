"""What prune and compact ask the store: which vaults are due, which archives count, who wrote a vault, the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from attrs import evolve

from cyborglib.store import Store
from cyborglib.testing import FixedClock
from tests.store.conftest import NOON
from tests.store.fleet import Fleet, ids


def test_vaults_are_due_by_their_moments_and_only_when_ready(store: Store, fleet: Fleet) -> None:
    first, second, third = (vault.id or 0 for vault in fleet.vaults)
    assert store.vaults.upkeep(NOON) == []
    for vault in (first, second, third):
        store.vaults.observe(vault, ready=True)
    assert [vault.id for vault in store.vaults.upkeep(NOON)] == [first, second, third], "nobody told them when"
    later = NOON + timedelta(days=1)
    for vault in (first, second, third):
        store.vaults.observe(vault, prune_at=later)
    store.vaults.observe(second, compact_at=NOON)
    assert [vault.id for vault in store.vaults.upkeep(NOON)] == [second]
    assert len(store.vaults.upkeep(later)) == 3


def test_archives_that_are_gone_on_purpose_are_not_expected(store: Store, fleet: Fleet) -> None:
    made = [store.archives.add(fleet.archive(0, name)) for name in ("kept", "decided", "gone", "missing")]
    store.archives.observe(made[1].id or 0, pruned_at=NOON)
    store.archives.observe(made[2].id or 0, pruned_at=NOON, missing_at=NOON)
    store.archives.observe(made[3].id or 0, missing_at=NOON)
    store.archives.add(fleet.archive(1, "of another vault"))
    vault = fleet.vaults[0].id or 0
    assert [archive.name for archive in store.archives.expected(vault)] == ["kept", "decided", "missing"]


def test_the_last_archives_of_a_policy_and_client_come_by_whole_jobs(store: Store, fleet: Fleet) -> None:
    """A backup may have made an archive for each of many databases: so many jobs are meant, not archives."""
    jobs = ids(list(store.jobs.queue([plan for n in range(3) for plan in fleet.chain(n)])))
    for job in jobs[:3]:
        for part in ("shop", "blog"):
            made = fleet.archive(0, f"{part} of {job}")
            store.archives.add(evolve(made, job=job, part=part))
    pruned = store.archives.add(evolve(fleet.archive(0, "pruned"), job=jobs[2]))
    store.archives.observe(pruned.id or 0, pruned_at=NOON)
    store.archives.add(evolve(fleet.archive(1, "of another client"), job=jobs[0]))
    policy, client = fleet.policy.id or 0, fleet.clients[0].id or 0
    found = store.archives.before(policy, client, 2)
    assert [archive.name for archive in found] == [
        f"{part} of {job}" for job in (jobs[2], jobs[1]) for part in ("blog", "shop")
    ]
    assert store.archives.before(policy, 10**6, 2) == []


def test_who_wrote_a_vault_since_a_time(store: Store, fleet: Fleet, clock: FixedClock) -> None:
    store.jobs.queue(fleet.chain(0))
    store.jobs.queue(fleet.chain(1))
    vault = fleet.vaults[0].id or 0
    assert [job.kind for job in store.jobs.writers(vault, NOON)] == ["prepare_repository", "backup"]
    while claims := fleet.claim():
        for claim in claims:
            assert store.jobs.is_worked(claim.job.id or 0, claim.fence)
            assert not store.jobs.is_worked(claim.job.id or 0, claim.fence + 1)
            store.jobs.started(claim.job.id or 0, claim.fence)
            store.jobs.succeed(claim.job.id or 0, claim.fence)
            assert not store.jobs.is_worked(claim.job.id or 0, claim.fence)
    assert [job.kind for job in store.jobs.writers(vault, clock.now)] == ["prepare_repository", "backup"]
    assert store.jobs.writers(vault, clock.now + timedelta(seconds=1)) == []


def test_the_databases_clock_and_the_newest_time_in_it(store: Store, fleet: Fleet, clock: FixedClock) -> None:
    assert abs(store.database_time() - datetime.now(UTC)) < timedelta(minutes=1), "both are on this machine"
    assert store.newest_time() is None
    store.jobs.queue(fleet.chain(0))
    assert store.newest_time() == NOON
    clock.forward(hours=1)
    [claim] = fleet.claim()
    store.jobs.skip(claim.job.id or 0, claim.fence, "x")
    assert store.newest_time() == clock.now
    clock.forward(hours=1)
    store.archives.add(evolve(fleet.archive(), recorded_at=clock.now))
    assert store.newest_time() == clock.now
