"""A virtual machine of a real hypervisor through the library: backed up while it runs, and brought back."""

from __future__ import annotations

import pytest

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.lab.hypervisor import IMAGES, Hypervisor

pytestmark = pytest.mark.hosts

NAME = "a b'\"{{ 7*7 }}"


def test_a_machine_goes_and_comes_back(fleet: Fleet) -> None:
    kvm = fleet.client("kvm1", servers="hypervisor")
    host = fleet.hosts["kvm1"]
    hypervisor = Hypervisor(host)
    image = f"{IMAGES}/disk.raw"
    fill = f"truncate -s 1G {image}; head -c 40M /dev/urandom | dd of={image} bs=1M seek=3 conv=notrunc"
    host.run(["bash", "-ec", fill])
    hypervisor.define(NAME, [(image, "raw")])
    hypervisor.virsh("start", "--domain", NAME)
    web = fleet.cyborg.clients.add(cy.Client("web1", hypervisor=kvm, vm_name=NAME))
    policy = fleet.cyborg.policies.add(
        cy.Policy(
            "machines", type="vm", repository=fleet.repository(), clients=[web], extra_vars={"keep_free": 64}
        )
    )
    [job] = fleet.run(policy)
    assert any("as after a power cut" in warning for warning in job.warnings), fleet.said()
    archive = fleet.only(job)
    [again] = fleet.run(policy)
    assert fleet.only(again).deduplicated_bytes < archive.original_bytes // 100
    assert hypervisor.state(NAME).startswith("running")
    assert hypervisor.left(NAME) == []
    back = fleet.restore(archive, to=kvm, options={"into": "web2", "folder": "/srv/back"})
    assert back.status == "successful", fleet.said()
    host.run(["cmp", image, "/srv/back/vda.raw"])
    assert "web2" in hypervisor.domains()
    # A name that is taken is not touched.
    refused = fleet.restore(archive, to=kvm, options={"into": NAME})
    assert refused.status == "failed"
    assert refused.error is not None
    assert refused.error.code == "destination_exists", fleet.said()
    # Its hypervisor's own disk is full.
    full = fleet.cyborg.policies.add(
        cy.Policy(
            "full", type="vm", repository=policy.repository, clients=[web], extra_vars={"keep_free": 10_000_000}
        )
    )
    [job] = fleet.cyborg.run(full)
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.code == "client_full"
    assert hypervisor.left(NAME) == []
