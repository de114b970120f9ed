"""A guest that runs and writes is backed up, and brought back, and goes on."""

from __future__ import annotations

import pytest

from tests.lab.hypervisor import IMAGES, Guest, counters
from tests.vm.conftest import Machines

pytestmark = pytest.mark.hosts


@pytest.fixture(scope="module")
def guest(machines: Machines) -> Guest:
    made = machines.hypervisor.guest("web1")
    made.boot()
    return made


def healthy(machines: Machines, guest: Guest) -> None:
    """It runs and counts, and nothing of a backup is left."""
    hypervisor = machines.hypervisor
    assert hypervisor.state(guest.name) == "running (booted)"
    assert hypervisor.left(guest.name) == []
    written = f"stat -c %Y.%y {IMAGES}/{guest.name}-a.raw"
    before = machines.sh_there(written)
    hypervisor.wait(lambda: machines.sh_there(written) != before, "it writes")


def test_a_guest_that_writes_is_saved_at_one_moment(machines: Machines, guest: Guest) -> None:
    before = guest.said().count("GUEST freeze")
    said = machines.save("web1")
    assert "file systems were frozen at the moment of the backup" in said
    assert machines.saved() == {"machine.tar": "-"}
    assert guest.said().count("GUEST freeze") == guest.said().count("GUEST thaw") == before + 1
    healthy(machines, guest)
    machines.unpack("/root/first")
    # Frozen file systems are clean: nothing has to be played back, or mended.
    for image in ("vda.raw", "vdb.raw"):
        assert "clean" in machines.sh_there(f"e2fsck -n /root/first/{image}")
    first, second = counters(machines.host, "/root/first/vda.raw", "/root/first/vdb.raw")
    assert first > 0
    assert first - second in (0, 1)


def test_it_comes_back_and_boots(machines: Machines, guest: Guest) -> None:
    hypervisor = machines.hypervisor
    machines.save("web1")
    machines.unpack("/root/taken")
    said = machines.load(into="web2")
    assert "is defined as web2, and not started" in said
    assert hypervisor.state("web2").startswith("shut off")
    folder = f"{IMAGES}/web2"
    assert machines.sh_there(f"ls {folder}").split() == ["domain.xml", "vda.raw", "vdb.qcow2"]
    machines.sh_there(f"cmp {folder}/vda.raw /root/taken/vda.raw")
    machines.sh_there(f"qemu-img compare -f qcow2 -F raw {folder}/vdb.qcow2 /root/taken/vdb.raw")
    assert int(machines.sh_there(f"du -sm {folder}").split()[0]) < 100
    old, new = (hypervisor.virsh("dumpxml", "--inactive", name) for name in ("web1", "web2"))
    for tag in ("<uuid>", "<mac "):
        assert len({line for text in (old, new) for line in text.splitlines() if tag in line}) == 2
    # Both write to one console, which is allowed to one domain at a time.
    hypervisor.virsh("destroy", "web1")
    machines.sh_there(f"rm {guest.console}")
    booted = Guest(hypervisor, "web2", guest.console)
    booted.boot()
    first, second = counters(machines.host, "/root/taken/vda.raw", "/root/taken/vdb.raw")
    assert f"GUEST found {first:09} {second:09}" in booted.said()
    hypervisor.remove("web2")
    machines.sh_there(f"rm {guest.console}")
    guest.boot()
