"""Two clients on one small disk: the quota of one, the reserve of all, and what goes on when there is room."""

from __future__ import annotations

import attrs
import pytest

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.hosts.test_trouble import unlocked

pytestmark = pytest.mark.hosts


def fill(fleet: Fleet, name: str, megabytes: int) -> None:
    """What this client has to back up: nothing of it deduplicates or compresses."""
    script = 'mkdir -p /srv/data && head -c "$1" /dev/urandom > /srv/data/big'
    fleet.hosts[name].run(["sh", "-c", script, "sh", str(megabytes * 10**6)])


def paused(fleet: Fleet) -> dict[str, str]:
    """Which client's vault is paused for what."""
    vaults = {vault.id: fleet.cyborg.clients.get(vault.client).hostname for vault in fleet.cyborg.vaults}
    return {vaults[pause.vault]: str(pause.code) for pause in fleet.cyborg.pauses if pause.vault}


def test_one_client_cannot_fill_the_disk_of_all(fleet: Fleet) -> None:
    cyborg = fleet.cyborg
    cyborg.settings = attrs.evolve(cyborg.settings, quota_share=10)
    one, two = fleet.client("web1"), fleet.client("web2")
    vault = fleet.repository(tmpfs_vault="400m")
    policy = cyborg.policies.add(
        cy.Policy(
            "data",
            type="folders",
            repository=vault,
            clients=[one, two],
            retries=0,
            compression="none",
            extra_vars={"folders": ["/srv/data"]},
        )
    )
    for name in ("web1", "web2"):
        fill(fleet, name, 1)
    fleet.run(policy)
    nas = fleet.hosts["nas"]
    known = {entry.filesystem for entry in cyborg.vaults}
    assert len(known) == 1
    assert known != {""}
    # One writes without end: it is stopped by its quota, a tenth of what was free, and the other one goes on.
    fill(fleet, "web1", 60)
    fill(fleet, "web2", 12)
    jobs = {job.client_name: job for job in cyborg.run(policy)}
    assert (jobs["web1"].status, jobs["web1"].error.code) == ("failed", "quota_reached"), fleet.said()
    assert jobs["web2"].status == "successful", fleet.said()
    assert paused(fleet) == {"web1": "quota_reached"}
    # Of a quota nobody can be asked: the next one that comes tries, and waits on at no cost.
    [late] = cyborg.run(policy, clients=["web1"])
    assert (late.status, late.attempt, late.error) == ("pending", 1, None), fleet.said()
    assert "has reached its quota" in late.reason
    # What anybody else left there but the reserve is not given away either, whatever the quota says.
    fill(fleet, "web2", 60)
    free = nas.run(["df", "-B1", "--output=avail", "/srv/borg"]).stdout.split()[-1]
    nas.run(["sh", "-c", f"head -c {int(free) - 40_000_000} /dev/zero > /srv/borg/filler"])
    [job] = cyborg.run(policy, clients=["web2"])
    assert (job.status, job.error.code) == ("failed", "vault_full"), fleet.said()
    assert paused(fleet) == {"web1": "quota_reached", "web2": "vault_full"}
    left = int(nas.run(["df", "-B1", "--output=avail", "/srv/borg"]).stdout.split()[-1])
    # A twentieth, but for some chunks that were on their way.
    assert 5_000_000 <= left <= 21_000_000, "nothing is left for a compact"
    # Who waits costs nothing, and says for what; the host is asked, and there is no room.
    [small] = cyborg.run(policy, clients=["web2"])
    assert (small.status, small.attempt) == ("pending", 0), fleet.said()
    assert "is full up to the reserve" in small.reason
    assert [job.status for job in cyborg.jobs.find(kind="measure")] == ["successful"], fleet.said()
    assert [event for event in fleet.told if isinstance(event, cy.VaultPaused)]
    for entry in cyborg.vaults:
        assert unlocked(fleet, entry)
        # A compact finds the room that it needs.
        nas.run(["borg", "compact", entry.where.path], user="borg", env={"BORG_BASE_DIR": "/tmp/borg"})
    # With room they go on: one as its host says so, the other with another quota.
    nas.run(["rm", "/srv/borg/filler"])
    fill(fleet, "web1", 5)
    fill(fleet, "web2", 3)
    cyborg.settings = attrs.evolve(cyborg.settings, quota_share=90)
    prepared = cyborg.finish(cyborg.prepare(vault))
    assert {job.status for job in prepared} == {"successful"}, fleet.said()
    done = cyborg.finish([late, small])
    assert [job.status for job in done] == ["successful", "successful"], fleet.said()
    assert cyborg.pauses == []
    assert len([event for event in fleet.told if isinstance(event, cy.VaultResumed)]) == 2
