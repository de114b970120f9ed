"""A backup that is killed, or fails, leaves a healthy domain and nothing else; what is not ours stays."""

from __future__ import annotations

import pytest

from tests.lab.hypervisor import Hypervisor
from tests.vm.programs import SCRATCH, Programs

pytestmark = pytest.mark.hosts

BACKUP = """\
<domainbackup mode='pull'><server transport='unix' socket='/var/lib/libvirt/qemu/theirs.sock'/>
<disks><disk name='vda' backup='yes' type='file'><scratch file='/var/lib/libvirt/images/theirs.qcow2'/></disk></disks>
</domainbackup>
"""


@pytest.fixture(scope="module")
def domain(programs: Programs) -> str:
    path = programs.image("busy", "64M", "12M")
    programs.hypervisor.define("busy", [(path, "raw")])
    programs.hypervisor.virsh("start", "busy")
    return "busy"


@pytest.fixture
def hypervisor(programs: Programs, domain: str) -> Hypervisor:
    return programs.hypervisor


def healthy(programs: Programs, domain: str) -> None:
    hypervisor = programs.hypervisor
    hypervisor.wait(lambda: hypervisor.left(domain) == [], "nothing is left")
    assert hypervisor.state(domain).startswith("running")
    programs.write(domain, "vda", 0x11, "1M", "64k")


@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_a_program_that_is_killed(programs: Programs, domain: str, signal: str) -> None:
    running = programs.slow(domain)
    assert programs.hypervisor.left(domain) != []
    programs.sh(f"kill -{signal} {programs.pids()[0]}")
    healthy(programs, domain)
    said = programs.go(running)
    assert said.code != 0
    assert signal == "KILL" or "Ended by a signal" in said.trouble
    assert programs.pids() == []


def test_a_reader_that_goes_away(programs: Programs, domain: str) -> None:
    said = programs.run("backup", "| head -c 3000000 > /dev/null", name=domain)
    assert "has gone" in said.trouble
    healthy(programs, domain)


def test_the_next_backup_removes_what_is_left(programs: Programs, domain: str, hypervisor: Hypervisor) -> None:
    running = programs.slow(domain)
    programs.sh(f"kill -KILL {' '.join(programs.pids())}")
    programs.go(running)
    left = programs.mark
    assert f"{SCRATCH}/cyborg-{left}/vda.scratch" in hypervisor.left(domain)
    found = programs.run("look", name=domain).answer
    assert f"What a backup before had left in {SCRATCH}/cyborg-{left} was removed." in found["notes"]
    healthy(programs, domain)
    # The same where the folder was taken away under it, and where it lies elsewhere.
    programs.sh("mkdir -p /srv/scratch")
    running = programs.slow(domain, scratch="/srv/scratch")
    programs.sh(f"kill -KILL {' '.join(programs.pids())}; rm -r /srv/scratch/cyborg-*")
    programs.go(running)
    assert "was ended" in " ".join(programs.run("look", name=domain).answer["notes"])
    healthy(programs, domain)


def test_what_others_have_there_is_left_alone(programs: Programs, domain: str, hypervisor: Hypervisor) -> None:
    programs.host.write("/root/theirs.xml", BACKUP)
    hypervisor.virsh("backup-begin", domain, "/root/theirs.xml")
    for op in ("look", "backup"):
        said = programs.run(op, "> /root/out", name=domain).trouble
        assert said.startswith("cyborg [lock_held]: Another program's backup job")
        assert "theirs.sock" in said
    assert "theirs.sock" in hypervisor.virsh("backup-dumpxml", domain)
    hypervisor.virsh("domjobabort", domain)
    hypervisor.virsh("snapshot-create-as", domain, "theirs", "--disk-only", "--no-metadata", "--print-xml")
    programs.sh(f"mkdir -p {SCRATCH}/theirs {SCRATCH}/cyborg-9.9.9; touch {SCRATCH}/theirs/x {SCRATCH}/cyborg-9.9.9/x")
    programs.run("look", name=domain).answer  # noqa: B018 - it went well
    assert programs.sh(f"ls {SCRATCH}/theirs {SCRATCH}/cyborg-9.9.9").split().count("x") == 2
    programs.sh(f"rm -r {SCRATCH}/theirs {SCRATCH}/cyborg-9.9.9")
    healthy(programs, domain)


def test_two_at_once(programs: Programs, domain: str) -> None:
    running = programs.slow(domain)
    mark = programs.mark
    said = programs.run("look", name=domain).trouble
    assert "Another backup of this domain is at work" in said
    said = programs.run("backup", "> /root/out", name=domain).trouble
    assert "Another backup of this domain is at work" in said
    assert programs.go(running).code == 0
    programs.run("clean", name=domain, mark=mark)
    healthy(programs, domain)


def test_a_file_of_others_in_our_folder(programs: Programs, domain: str) -> None:
    running = programs.slow(domain)
    place = f"{SCRATCH}/cyborg-{programs.mark}"
    programs.sh(f"echo x > '{place}/their file'")
    assert programs.go(running).code == 0
    notes = programs.run("clean", name=domain).answer["notes"]
    assert f"{place}/their file is not ours and was left there." in notes
    programs.sh(f"rm -r {place}")
    healthy(programs, domain)


def test_the_scratch_folder_fills_up(programs: Programs, domain: str) -> None:
    hypervisor = programs.hypervisor
    hypervisor.define("full", [(programs.image("full", "64M", "44M"), "raw")])
    hypervisor.virsh("start", "full")
    programs.sh("mkdir -p /srv/small; mount -t tmpfs -o size=60m,mode=711 tmpfs /srv/small")
    asked = {"name": "full", "scratch": "/srv/small"}
    said = programs.run("backup", "> /root/out", **asked, keep_free=40 << 20).trouble
    assert said.startswith("cyborg [client_full]: There is too little space in /srv/small")
    running = programs.slow(**asked, keep_free=25 << 20)
    for number in range(40):  # what is overwritten is kept, until the floor is reached
        programs.write("full", "vda", number + 1, f"{5 + number}M", "1M")
    # It waits for who takes its stream, and ends all the same.
    hypervisor.wait(lambda: programs.pids() == [], "the backup is given up")
    assert hypervisor.left("full", "/srv/small") == []
    programs.write("full", "vda", 1, "50M", "1M")
    assert hypervisor.state("full").startswith("running")
    said = programs.go(running).trouble
    assert said.startswith("cyborg [client_full]: There is too little space in /srv/small"), said
    hypervisor.remove("full")
    healthy(programs, domain)


def test_a_domain_that_is_stopped_meanwhile(programs: Programs, domain: str, hypervisor: Hypervisor) -> None:
    running = programs.slow(domain)
    hypervisor.virsh("destroy", domain)
    said = programs.go(running).trouble
    assert "stopped" in said
    hypervisor.wait(lambda: hypervisor.left(domain) == [], "nothing is left")
    hypervisor.virsh("start", domain)
    healthy(programs, domain)


def test_a_job_that_somebody_ends(programs: Programs, domain: str, hypervisor: Hypervisor) -> None:
    running = programs.slow(domain)
    hypervisor.virsh("domjobabort", domain)
    said = programs.go(running).trouble
    assert said.startswith("cyborg [dump_failed]")
    healthy(programs, domain)


def test_without_libvirt(programs: Programs, domain: str, hypervisor: Hypervisor) -> None:
    hypervisor.stop()
    assert "libvirt does not answer on this host" in programs.run("look", name=domain).trouble
    hypervisor.start()
    healthy(programs, domain)
