"""How ssh is called, whatever stands in the user's configuration."""

from __future__ import annotations

import subprocess
from pathlib import Path

import attrs
import pytest

from cyborglib.ansible import ssh
from cyborglib.ansible.ssh import Pins, ssh_arguments
from cyborglib.executor import Host

HOST = Host(name="job-7", address="192.0.2.7", host_key="ssh-ed25519 AAAAC3Nz comment", key_of="client-3", title="web1")
PINS = Pins(known_hosts=Path("/run/x/1/known_hosts"), sockets=Path("/run/x/s"), version=(9, 2))

GOLDEN = """\
-o BatchMode=yes
-o StrictHostKeyChecking=yes
-o UserKnownHostsFile=/run/x/1/known_hosts
-o GlobalKnownHostsFile=/dev/null
-o HostKeyAlias=cyborg-client-3
-o HashKnownHosts=no
-o CheckHostIP=no
-o UpdateHostKeys=no
-o VerifyHostKeyDNS=no
-o ForwardAgent=no
-o ForwardX11=no
-o ClearAllForwardings=yes
-o Tunnel=no
-o PermitLocalCommand=no
-o RemoteCommand=none
-o RequestTTY=no
-o SendEnv=-*
-o ConnectTimeout=10
-o ServerAliveInterval=15
-o ServerAliveCountMax=3
-o LogLevel=ERROR
-o KnownHostsCommand=none
-o ControlMaster=auto
-o ControlPersist=120
-o ControlPath=/run/x/s/"""

#: What a user may have in ~/.ssh/config, meaning well or not.
HOSTILE = """\
Host *
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  GlobalKnownHostsFile /etc/evil
  KnownHostsCommand /bin/false
  UpdateHostKeys yes
  VerifyHostKeyDNS yes
  ControlMaster auto
  ControlPath {folder}/master
  ControlPersist yes
  ForwardAgent yes
  ForwardX11 yes
  LocalForward 1234 localhost:22
  RemoteForward 1235 localhost:22
  Tunnel yes
  PermitLocalCommand yes
  LocalCommand touch {folder}/pwned
  RemoteCommand touch {folder}/pwned
  RequestTTY force
  SendEnv *
  BatchMode no
  LogLevel QUIET
  HostKeyAlias evil
  HashKnownHosts yes
  ProxyJump jump.example.org
  User ann
  Port 2222
  IdentityFile {folder}/id
"""


def test_the_options_are_these_and_no_others() -> None:
    golden, found = GOLDEN.split(), ssh_arguments(PINS, HOST, connect_timeout=10)
    assert found[:-1] == golden[:-1]
    assert found[-1] == golden[-1] + ssh.socket_name(HOST)


def test_an_old_client_is_not_told_words_it_does_not_know() -> None:
    found = ssh_arguments(attrs.evolve(PINS, version=(8, 4)), HOST, connect_timeout=10)
    assert not [option for option in found if "KnownHostsCommand" in option]


def settings(*argv: str) -> dict[str, str]:
    """What ssh itself makes of a command line."""
    done = subprocess.run(["ssh", "-G", *argv], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def test_ours_hold_against_a_hostile_configuration(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(HOSTILE.format(folder=tmp_path))
    found = settings("-F", str(config), *ssh_arguments(PINS, HOST, connect_timeout=10), "192.0.2.7")
    assert {
        name: found.get(name)
        for name in (
            "stricthostkeychecking", "userknownhostsfile", "globalknownhostsfile", "knownhostscommand",
            "updatehostkeys", "verifyhostkeydns", "controlmaster", "controlpath", "forwardagent",
            "forwardx11", "clearallforwardings",
            "tunnel", "permitlocalcommand", "remotecommand", "requesttty", "batchmode", "loglevel",
            "hostkeyalias", "hashknownhosts", "serveraliveinterval", "localforward", "remoteforward",
        )
    } == {
        "stricthostkeychecking": "true", "userknownhostsfile": "/run/x/1/known_hosts",
        "globalknownhostsfile": "/dev/null", "knownhostscommand": None, "updatehostkeys": "false",
        "verifyhostkeydns": "false", "controlmaster": "auto", "controlpath": f"/run/x/s/{ssh.socket_name(HOST)}",
        "forwardagent": "no", "forwardx11": "no", "clearallforwardings": "yes", "tunnel": "false",
        "permitlocalcommand": "no", "remotecommand": None, "requesttty": "false", "batchmode": "yes",
        "loglevel": "ERROR", "hostkeyalias": "cyborg-client-3", "hashknownhosts": "no", "serveraliveinterval": "15",
        "localforward": None, "remoteforward": None,
    }  # fmt: skip


def test_the_rest_of_the_users_configuration_stays(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(HOSTILE.format(folder=tmp_path))
    found = settings("-F", str(config), *ssh_arguments(PINS, HOST, connect_timeout=10), "192.0.2.7")
    assert (found["user"], found["port"], found["proxyjump"]) == ("ann", "2222", "jump.example.org")
    assert found["identityfile"] == f"{tmp_path}/id"


@pytest.mark.parametrize(
    "change",
    [{"host_key": "ssh-ed25519 BBBB"}, {"address": "192.0.2.8"}, {"port": 23}, {"user": "ann"}, {"key_of": "client-4"}],
)
def test_nothing_that_changed_uses_an_old_connection(change: dict[str, object]) -> None:
    assert ssh.socket_name(attrs.evolve(HOST, **change)) != ssh.socket_name(HOST)


def test_another_job_of_the_same_host_uses_the_same_connection() -> None:
    assert ssh.socket_name(attrs.evolve(HOST, name="job-8", become=False)) == ssh.socket_name(HOST)


def test_a_pin_is_one_line_of_type_and_key() -> None:
    assert ssh.known_hosts_line(HOST) == "cyborg-client-3 ssh-ed25519 AAAAC3Nz\n"


def test_the_version_is_known() -> None:
    assert ssh.version() > (7, 0)
