"""The role on a hypervisor, by plain ansible-playbook: domains without a system in them, Borg, and what goes wrong."""

from __future__ import annotations

import subprocess
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from tests.lab.hypervisor import IMAGES
from tests.roles.conftest import PASSPHRASE, VAULT
from tests.vm.conftest import Machines, failed, well

pytestmark = pytest.mark.hosts

NAME = "a b'\"{{ 7*7 }}"


@pytest.fixture(scope="module")
def domain(machines: Machines) -> str:
    """A domain that runs, with 120 MiB of data on a disk of 2 GiB."""
    path = f"{IMAGES}/data.raw"
    machines.sh_there(f"truncate -s 2G {path}; head -c 120M /dev/urandom | dd of={path} bs=1M seek=9 conv=notrunc")
    machines.hypervisor.define(NAME, [(path, "raw")])
    machines.hypervisor.virsh("start", "--domain", NAME)
    return NAME


def healthy(machines: Machines, domain: str) -> None:
    assert machines.hypervisor.state(domain).startswith("running")
    assert machines.hypervisor.left(domain) == []


def test_the_hypervisor_is_prepared(machines: Machines) -> None:
    play = "ansible-playbook -i hosts playbooks/prepare_hypervisor.yml"
    scratch = "/var/lib/libvirt/cyborg"
    machines.host.run(["mv", "/usr/bin/qemu-nbd", "/usr/bin/qemu-nbd.away"])
    said = well(machines.sh(f"{play} --check"))
    assert "would install qemu-nbd by apt-get" in said
    assert f"would make the folder {scratch}" in said
    assert not machines.host.exists(scratch)
    machines.host.run(["mv", "/usr/bin/qemu-nbd.away", "/usr/bin/qemu-nbd"])
    assert f"did make the folder {scratch}" in well(machines.sh(play))
    assert machines.sh_there(f"stat -c '%U %a' {scratch}").split() == ["root", "711"]
    again = well(machines.sh(play))
    assert "changed=0" in again
    assert "did make" not in again
    machines.hypervisor.stop()
    assert "libvirt does not answer on the hypervisor" in failed(machines.sh(play))
    machines.hypervisor.start()
    said = failed(machines.sh(f"{play} -e prepare_hypervisor_scratch=/etc/passwd"))
    assert "/etc/passwd is there, and is not a folder of root's" in said


def test_an_unchanged_disk_costs_nothing_the_second_time(machines: Machines, domain: str) -> None:
    before = machines.archives()
    assert f"would make the archive vm-{machines._count + 1}" in machines.save(domain, "--check")
    assert machines.archives() == before
    said = machines.save(domain)
    assert "vda: 120 of 2048 MiB hold data" in said
    assert "its guest agent" in said or "no channel for a guest agent" in said
    assert 120 << 20 < machines.stats()["original_size"] < 121 << 20
    machines.save(domain)
    assert machines.stats()["deduplicated_size"] < 1200 << 10
    healthy(machines, domain)
    machines.unpack("/root/by-hand")
    machines.sh_there(f"cmp /root/by-hand/vda.raw {IMAGES}/data.raw; rm -r /root/by-hand")


def test_it_comes_back(machines: Machines, domain: str) -> None:
    said = machines.load("--check")
    assert "would bring" in said
    machines.load(folder="/srv/back", into="back", format="qcow2")
    machines.sh_there(f"qemu-img compare -f qcow2 -F raw /srv/back/vda.qcow2 {IMAGES}/data.raw; rm -r /srv/back")
    machines.hypervisor.remove("back")
    assert "never overwritten" in failed(machines.restore("vm", shared={"borg_overwrite": True}))


def test_what_cannot_be_saved_is_said(machines: Machines, domain: str) -> None:
    before = machines.archives()
    cases: dict[str, dict[str, Any]] = {
        "There is no domain nobody on this hypervisor": {"name": "nobody"},
        "no writable disk that is not left out": {"leave_out": "vda"},
    }
    said = machines.each("vm", [{"name": domain, "keep_free": 64, **case} for case in cases.values()])
    for line, expected in zip(said, cases, strict=True):
        assert "FAILED!" in line
        assert expected in line
    assert "cannot be quiesced (quiesce: required)" in failed(machines.backup("vm", name=domain, quiesce="required"))
    assert machines.archives() == before
    healthy(machines, domain)


KILLED = {
    "borg": "pkill -KILL -f '^/usr/bin/python3 /usr/bin/borg create'",
    "the program": "kill -KILL $(pgrep -f '^/usr/bin/python3 -I -S .*/PROGRAM' | head -n 1)",
    "the agent": "pkill -KILL -f '^/[^ ]*python3[^ ]* -I -S -$'",
}


@pytest.mark.parametrize(
    "whom", ["borg", "the agent", pytest.param("the program", marks=pytest.mark.faults)]
)
def test_whoever_is_killed_the_domain_is_well(machines: Machines, domain: str, whom: str) -> None:
    # As large as new, and slow to compress: Borg is at work with it for a while.
    machines.sh_there(f"head -c 120M /dev/urandom | dd of={IMAGES}/data.raw bs=1M seek=9 conv=notrunc status=none")
    before = machines.archives()
    size = int(machines.sh_there(f"du -sm {VAULT}").split()[0])
    with ThreadPoolExecutor(1) as pool:
        done: Future[subprocess.CompletedProcess[str]] = pool.submit(
            machines.backup, "vm", name=domain, keep_free=64, shared={"borg_compression": "zstd,19"}
        )
        machines.hypervisor.wait(
            lambda: done.done() or int(machines.sh_there(f"du -sm {VAULT}").split()[0]) > size + 30,
            "Borg has begun to write",
        )
        assert not done.done(), done.result().stdout
        machines.sh_there(KILLED[whom])
        said = failed(done.result())
    assert PASSPHRASE not in said
    machines.hypervisor.wait(lambda: machines.hypervisor.left(domain) == [], "nothing is left")
    healthy(machines, domain)
    left = [name for name in machines.archives() if not name.endswith(".checkpoint")]
    # A Borg that nobody looks after any more may still come to its end: that archive is whole, see the test below.
    assert left == before or (whom == "the agent" and left[:-1] == before)
    machines.sh_there(f"borg break-lock {VAULT}")


def test_the_vault_is_whole(machines: Machines) -> None:
    machines.borg("check", VAULT)


def test_a_vault_that_fills_up(machines: Machines, domain: str) -> None:
    machines.sh_there("mkdir /srv/full; mount -t tmpfs -o size=60m tmpfs /srv/full")
    machines.borg("init", "--encryption", "repokey-blake2", "/srv/full/vault")
    said = failed(
        machines.backup("vm", name=domain, keep_free=64, shared={"borg_repository": "/srv/full/vault"})
    )
    assert "full" in said
    healthy(machines, domain)
    machines.sh_there("umount /srv/full")


def test_a_command_of_ones_own(machines: Machines) -> None:
    command = "set -e; echo \"of $VM_NAME\"; seq 100000"
    well(machines.backup("vm", name=NAME, provider="command", command=command))
    assert machines.saved() == {"machine": "-"}
    well(machines.restore("vm", name=NAME, provider="command", command='cat > "/root/$VM_INTO"', into="new one"))
    assert machines.sh_there("head -n 1 '/root/new one'").rstrip("\n") == f"of {NAME}"
    assert "exit code 3" in failed(machines.backup("vm", name=NAME, provider="command", command="seq 9; exit 3"))


def test_a_provider_of_ones_own(machines: Machines) -> None:
    """A role on the roles path, without any Python."""
    role = machines.folder / "own/vm_provider_mine/tasks"
    role.mkdir(parents=True)
    task = """\
- name: Bring or take it
  ansible.builtin.import_role:
    name: cyborg.backup.borg
    tasks_from: %s
    rolespec_validate: false
  vars:
    borg_command: %s
    borg_environment:
      WHAT: "{{ policy_vm_settings.what }}"
"""
    (role / "backup.yml").write_text(task % ("stream", 'echo "mine $WHAT"'))
    (role / "restore.yml").write_text(task % ("load", 'cat > "/root/$WHAT"'))
    machines.environment["ANSIBLE_ROLES_PATH"] = str(role.parent.parent)
    try:
        well(machines.backup("vm", name=NAME, provider="mine", settings={"what": "a b"}))
        well(machines.restore("vm", name=NAME, provider="mine", settings={"what": "a b"}))
    finally:
        del machines.environment["ANSIBLE_ROLES_PATH"]
    assert machines.sh_there("cat '/root/a b'") == "mine a b\n"
