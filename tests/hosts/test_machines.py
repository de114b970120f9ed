"""A virtual machine, backed up from its hypervisor by the library while it runs, and brought back."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import attrs
import pytest

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.lab.hypervisor import IMAGES, Guest, Hypervisor, counters

pytestmark = pytest.mark.hosts

NAME = "web one"


class Site:
    """A hypervisor with a guest at work, and a policy for it."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet, self.cyborg = fleet, fleet.cyborg
        self.kvm = fleet.client("kvm1", servers="hypervisor")
        self.hypervisor = Hypervisor(fleet.hosts["kvm1"])
        self.guest = self.hypervisor.guest(NAME)
        self.guest.boot()
        # The machine itself is reached by nobody.
        self.web = self.cyborg.clients.add(cy.Client("web1.example.org", hypervisor=self.kvm, vm_name=NAME))
        self.vault = fleet.repository()
        self.policy = self.cyborg.policies.add(
            cy.Policy("disks", type="vm", repository=self.vault, clients=[self.web], retries=0,
                      extra_vars={"keep_free": 64})
        )  # fmt: skip


@pytest.fixture
def site(fleet: Fleet) -> Iterator[Site]:
    return Site(fleet)


def test_from_nothing_to_a_machine_that_boots_from_what_was_saved(site: Site) -> None:
    fleet, hypervisor = site.fleet, site.hypervisor
    [job] = fleet.run(site.policy)
    assert [one.kind.value for one in site.cyborg.jobs] == [
        "prepare_client", "prepare_hypervisor", "prepare_repository", "backup", "catalog",
    ]  # fmt: skip
    assert site.cyborg.clients.get("kvm1").providers == ("libvirt",)
    assert (job.client, job.hypervisor) == (site.web.id, site.kvm.id)
    assert hypervisor.state(NAME) == "running (booted)"
    assert hypervisor.left(NAME) == []
    archive = fleet.only(job)
    assert archive.confirmed_at is not None
    # Here it is a tar, which tar itself unpacks.
    here = fleet.folder / "here"
    assert fleet.restore(archive, destination=here).status == "successful", fleet.said()
    subprocess.run(["tar", "-xSf", here / "machine.tar", "-C", here], check=True)
    assert {path.name for path in here.iterdir()} >= {"machine.tar", "domain.xml", "vda.raw", "vdb.raw"}
    # There a new machine.
    back = fleet.restore(archive, to=site.kvm)
    assert back.status == "successful", fleet.said()
    restored = f"{NAME}-restored-{back.id}"
    assert any(restored in line for line in hypervisor.domains())
    hypervisor.virsh("destroy", "--domain", NAME)
    fleet.hosts["kvm1"].run(["rm", site.guest.console])
    booted = Guest(hypervisor, restored, site.guest.console)
    booted.boot()
    fleet.hosts["kvm1"].run(["install", "-d", "/root/here"])
    for image in ("vda.raw", "vdb.raw"):
        fleet.hosts["kvm1"].write(f"/root/here/{image}", (here / image).read_bytes())
    first, other = counters(fleet.hosts["kvm1"], "/root/here/vda.raw", "/root/here/vdb.raw")
    assert first - other in (0, 1)
    assert f"GUEST found {first:09} {other:09}" in booted.said()
    # What is there is never written over.
    again = fleet.restore(archive, to=site.kvm, options={"into": NAME})
    assert again.error is not None
    assert again.error.code == "destination_exists", fleet.said()
    hypervisor.remove(restored)
    boots(site, archive)


def boots(site: Site, archive: cy.Archive) -> None:
    """A drill boots it, without a network, and leaves nothing; one that waits for what nobody says fails."""
    fleet, cyborg, host = site.fleet, site.cyborg, site.fleet.hosts["kvm1"]
    before = site.hypervisor.domains(), host.run(["ls", IMAGES]).stdout
    for console, seconds, code in (("GUEST up", 120, None), ("nobody says this", 5, "load_failed")):
        drill = cy.Drill(host=site.kvm, options={"console": console, "seconds": seconds})
        cyborg.policies.replace(attrs.evolve(cyborg.policies.get(site.policy.id), drill=drill))
        [job] = cyborg.finish(cyborg.drill(archive))
        assert (job.error and job.error.code) == code, fleet.said()
        assert (site.hypervisor.domains(), host.run(["ls", IMAGES]).stdout) == before
        assert not [argv for argv in host.processes() if "cyborg-drill" in " ".join(argv)]
    [proof] = cyborg.proofs.find(archive=archive.id)
    assert (proof.how, proof.bytes > 0, proof.seconds > 0) == ("booted", True, True)
    assert "last words: " in str(job.error).lower()
    kept = cyborg.archives.get(archive.id)
    assert kept.proved_at == proof.proved_at
    assert kept.doubtful.startswith("a restore drill failed: ")


def test_a_cancel_leaves_the_machine_as_it_was(site: Site) -> None:
    fleet, hypervisor = site.fleet, site.hypervisor
    # So slow that there is a middle.
    site.cyborg.clients.replace(attrs.evolve(site.cyborg.clients.get("kvm1"), bandwidth_limit=300))
    fleet.hosts["kvm1"].run(["sh", "-c", f"head -c 60000000 /dev/urandom > '{IMAGES}/noise.raw'"])
    hypervisor.virsh("attach-disk", NAME, f"{IMAGES}/noise.raw", "vdc", "--driver", "qemu", "--subdriver", "raw")

    @site.cyborg.on(cy.JobProgressed)
    def cancel(event: cy.JobProgressed) -> None:
        if event.progress.original_bytes > 3_000_000 and not event.job.cancel_requested:
            site.cyborg.cancel(event.job)

    [job] = site.cyborg.run(site.policy)
    assert job.status == "canceled", fleet.said()
    assert hypervisor.state(NAME) == "running (booted)"
    assert hypervisor.left(NAME) == []
    assert len(site.cyborg.archives) == 0
