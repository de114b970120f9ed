"""The lab itself: hosts are real, apart from each other, and leave nothing behind."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import HostFactory
from tests.lab import Lab, LabError
from tests.lab.lab import STATE, sweep
from tests.lab.machine import marked, mounts_below

pytestmark = pytest.mark.hosts


def said(done: subprocess.CompletedProcess[bytes]) -> str:
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode().strip()


def test_a_host_is_its_own_machine(host_factory: HostFactory) -> None:
    web, nas = host_factory("web1"), host_factory("nas")
    assert said(web.ssh("hostname; id -un")) == "web1\nroot"
    web.write("/etc/only-here", "x")
    assert web.exists("/etc/only-here")
    assert not nas.exists("/etc/only-here")
    assert not Path("/etc/only-here").exists()
    assert web.host_key != nas.host_key
    with_sleep = subprocess.Popen([*web.ssh_argv(), "exec sleep 3600"], stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while ["sleep", "3600"] not in web.processes():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert ["sleep", "3600"] not in nas.processes()
    finally:
        with_sleep.kill()
        with_sleep.wait()


def test_the_agent_opens_hosts(lab: Lab, host_factory: HostFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    web = host_factory()
    argv = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={lab.known_hosts_file}"]
    argv += ["-o", "StrictHostKeyChecking=yes", f"root@{web.address}", "hostname"]
    assert said(subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False)) == web.name
    monkeypatch.delenv("SSH_AUTH_SOCK")
    refused = subprocess.run(argv, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    assert b"Permission denied" in refused.stderr


def test_power_loss_keeps_files(host_factory: HostFactory) -> None:
    web = host_factory(tmpfs_vault="8m")
    key = web.host_key
    web.write("/root/a file", b"\0\xff", mode=0o600)
    web.write("/srv/borg/b", "b")
    web.write("/run/c", "c")
    web.stop()
    assert web.processes() == []
    assert web.ssh("true").returncode == 255
    assert web.read("/root/a file") == b"\0\xff"
    web.start()
    assert web.run(["stat", "-c", "%a", "/root/a file"]).stdout == "600\n"
    assert web.read("/srv/borg/b") == b"b"
    assert not web.exists("/run/c")
    assert web.host_key == key
    assert said(web.ssh("hostname")) == web.name


def test_reinstall_is_another_machine_at_the_same_address(host_factory: HostFactory) -> None:
    web = host_factory()
    key, address = web.host_key, web.address
    web.write("/root/a", "a")
    web.reinstall()
    assert web.host_key != key
    assert web.address == address
    assert not web.exists("/root/a")
    assert said(web.ssh("hostname")) == web.name


def test_cut_off_and_mended(host_factory: HostFactory) -> None:
    web = host_factory()
    said(web.ssh("setsid sleep 3601 </dev/null >/dev/null 2>&1 &"))
    web.cut()
    assert web.ssh("true").returncode == 255
    assert ["sleep", "3601"] in web.processes()
    web.mend()
    assert said(web.ssh("hostname")) == web.name


def test_borg_comes_from_the_hosts_own_archive(host_factory: HostFactory) -> None:
    web = host_factory()
    assert web.ssh("command -v borg").returncode != 0
    # No name server and no route are needed: what a preparation fetches lies in the host.
    web.write("/etc/resolv.conf", "")
    said(web.ssh("apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install borgbackup"))
    assert said(web.ssh("borg --version")) == "borg 1.2.4"


@pytest.mark.parametrize(("borg", "version"), [("1.2", "borg 1.2.4"), ("1.4", "borg 1.4.5")])
def test_borg_is_there_when_asked_for(host_factory: HostFactory, borg: str, version: str) -> None:
    host = host_factory(borg=borg)
    assert said(host.ssh("borg --version")) == version
    host.run(["borg", "init", "-e", "none", "/srv/vault"])
    host.run(["borg", "create", "/srv/vault::one", "/etc"])
    assert host.run(["borg", "list", "--short", "/srv/vault"]).stdout == "one\n"


def test_a_user_with_sudo(host_factory: HostFactory) -> None:
    free, asked = host_factory(user_sudo=True), host_factory(user_sudo="password")
    assert said(free.ssh("id -un; sudo -n id -un", user="ops")) == "ops\nroot"
    assert asked.ssh("sudo -n id -un", user="ops").returncode != 0
    assert said(asked.ssh("echo 'ops has a password' | sudo -S -p '' id -un", user="ops")) == "root"


def test_a_small_vault_fills_up(host_factory: HostFactory) -> None:
    nas = host_factory(tmpfs_vault="1m")
    full = nas.run(["dd", "if=/dev/zero", "of=/srv/borg/x", "bs=64k", "count=32"], check=False)
    assert "No space left" in full.stderr


def test_twenty_four_hosts_and_nothing_left_of_them() -> None:
    with Lab() as lab:
        hosts = lab.many(24)
        assert len({host.address for host in hosts}) == 24
        assert len({host.host_key for host in hosts}) == 24
        asked = [subprocess.Popen([*host.ssh_argv(), "hostname"], stdout=subprocess.PIPE) for host in hosts]
        assert [one.communicate()[0].decode().strip() for one in asked] == [host.name for host in hosts]
        block, folder, state = lab.block, lab.folder, lab.state
    assert marked(str(block)) == []
    assert mounts_below(folder) == []
    assert not folder.exists()
    assert not state.exists()


def test_a_killed_session_is_swept_and_a_living_one_is_not(lab: Lab, host_factory: HostFactory) -> None:
    living = host_factory()
    script = "from tests.lab import Lab; import os, signal; lab = Lab(); lab.host(); print(lab.block, flush=True); "
    script += "os.kill(os.getpid(), signal.SIGKILL)"
    killed = subprocess.run([sys.executable, "-c", script], stdout=subprocess.PIPE, check=False)
    block = killed.stdout.decode().strip()
    assert block
    assert block != str(lab.block)
    sweep()
    assert marked(block) == []
    assert not (STATE / block).exists()
    assert said(living.ssh("hostname")) == living.name


def test_hosts_beside_a_machine_that_serves_ssh_itself() -> None:
    with Lab(port=2222) as lab:
        web = lab.host("web1")
        assert said(web.ssh("hostname")) == "web1"
        assert web.location("/srv/borg") == f"ssh://borg@{web.address}:2222/srv/borg"


def test_mistakes_are_sentences(lab: Lab) -> None:
    before = lab.hosts
    with pytest.raises(LabError, match=r"the lab has None, '1\.2' and '1\.4'"):
        lab.host(borg="2.0")
    assert lab.hosts == before
