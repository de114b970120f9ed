"""Runs over ssh, on real hosts: keys, connections, cancel, and what goes wrong on the way."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import attrs
import pytest

from cyborglib.ansible import AnsibleExecutor
from cyborglib.errors import ErrorCode
from cyborglib.executor import Host as Target
from cyborglib.executor import HostRun, Outcome
from tests.ansible.conftest import PASSPHRASE, Recorder, backup
from tests.conftest import HostFactory
from tests.lab import Host, Lab
from tests.lab.host import PASSWORD

pytestmark = pytest.mark.hosts

VAULT = "/srv/vault"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGqFr7sMAVYFfbzfr4951UXF4dZ0Sfe/YQSBtMly0ssw"
Remote = Callable[..., HostRun]


def failed(outcome: Outcome) -> ErrorCode:
    assert outcome.error is not None
    return outcome.error.code


@pytest.fixture
def control() -> Recorder:
    return Recorder({"borg_passphrase": PASSPHRASE})


@pytest.fixture
def make(host_factory: HostFactory) -> Callable[..., Host]:
    """Hosts with Borg, an empty vault and something to save."""

    def made(name: str | None = None, **asked: object) -> Host:
        host = host_factory(name, **{"borg": "1.2", **asked})
        fill(host)
        return host

    return made


def fill(host: Host) -> None:
    host.run(["mkdir", "-p", "/srv/data"])
    host.write("/srv/data/file", "some text")
    host.run(["borg", "init", "--encryption", "repokey-blake2", VAULT], env={"BORG_PASSPHRASE": PASSPHRASE})


@pytest.fixture
def remote() -> Remote:
    """Makes jobs on a host."""
    attempt = int(time.time() * 1000) % 10**9

    def job(host: Host, job: int = 1, variables: dict[str, object] | None = None, **target: object) -> HostRun:
        reached = Target(
            **{
                "name": f"job-{job}", "address": host.address, "host_key": host.host_key,
                "key_of": f"client-{host.number}", "title": host.name, **target,
            }
        )  # fmt: skip
        given = {
            "borg_repository": VAULT, "borg_archive": f"archive-{job}", "borg_lock_wait": 5,
            "policy_folders_folders": ["/srv/data"], **(variables or {}),
        }  # fmt: skip
        return HostRun(job=job, attempt=attempt, host=reached, variables=given, secrets=("borg_passphrase",))

    return job


def archives(host: Host) -> list[str]:
    return str(host.run(["borg", "list", "--short", VAULT], env={"BORG_PASSPHRASE": PASSPHRASE}).stdout).split()


def large(host: Host, megabytes: int = 300) -> None:
    host.run(["dd", "if=/dev/urandom", "of=/srv/data/large", "bs=1M", f"count={megabytes}", "status=none"])


def borgs(host: Host) -> list[list[str]]:
    return [argv for argv in host.processes() if "create" in argv]


def test_a_backup_over_ssh(
    executor: AnsibleExecutor, control: Recorder, make: Callable[..., Host], remote: Remote
) -> None:
    host = make()
    executor.execute(backup(remote(host)), control)
    assert control.outcomes[1].successful, control.outcomes[1].error
    assert archives(host) == ["archive-1"]
    assert control.pins == []
    # The connection is kept warm, and another run uses it.
    assert executor._home is not None
    masters = list((executor._home.path / "s").iterdir())
    assert len(masters) == 1
    executor.execute(backup(remote(host, 2)), control)
    assert control.outcomes[2].successful
    assert list((executor._home.path / "s").iterdir()) == masters
    executor.close()
    assert not [argv for argv in ps() if "[mux]" in argv and str(masters[0]) in argv]
    # With the second job the agent was told that the first one's result is in safe hands.
    assert host.run(["ls", "/run/cyborg"]).stdout.split() == [f"0.2.{remote(host).attempt}"]


def ps() -> list[str]:
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_first_key(executor: AnsibleExecutor, control: Recorder, make: Callable[..., Host], remote: Remote) -> None:
    host = make()
    executor.execute(backup(remote(host, host_key="")), control)
    assert failed(control.outcomes[1]) is ErrorCode.HOST_KEY_UNKNOWN
    executor.execute(backup(remote(host, 2, host_key="", accept_new=True)), control)
    assert control.outcomes[2].successful, control.outcomes[2].error
    assert control.pins == [(2, f"client-{host.number}", host.host_key, True)]
    control.pins_recorded = False
    executor.execute(backup(remote(host, 3, host_key="", accept_new=True)), control)
    assert failed(control.outcomes[3]) is ErrorCode.HOST_KEY_CHANGED


def test_a_first_key_from_the_users_known_hosts(
    executor: AnsibleExecutor, control: Recorder, make: Callable[..., Host], remote: Remote, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    host = make()
    ssh = subprocess.run(["which", "ssh"], capture_output=True, text=True, check=True).stdout.strip()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ssh").write_text(f'#!/bin/sh\nexec {ssh} -F {tmp_path}/config "$@"\n')
    (tmp_path / "bin/ssh").chmod(0o755)
    (tmp_path / "config").write_text(f"Host *\n  UserKnownHostsFile {tmp_path}/known\n  GlobalKnownHostsFile none\n")
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    (tmp_path / "known").write_text(f"{host.address} {host.host_key}\n")
    executor.execute(backup(remote(host, host_key="")), control)
    assert control.outcomes[1].successful, control.outcomes[1].error
    # Somebody in between shows another key than the one the user has known for long: not even a host that may be
    # taken at its word is believed then.
    (tmp_path / "known").write_text(f"{host.address} {OTHER_KEY}\n")
    executor.execute(backup(remote(host, 2, host_key="", accept_new=True)), control)
    assert failed(control.outcomes[2]) is ErrorCode.HOST_KEY_CHANGED
    of = f"client-{host.number}"
    assert control.pins == [(1, of, host.host_key, False), (2, of, OTHER_KEY, False)]


def test_a_changed_key_even_with_an_open_connection(
    executor: AnsibleExecutor, control: Recorder, make: Callable[..., Host], remote: Remote
) -> None:
    host = make()
    before = remote(host)
    executor.execute(backup(before), control)
    assert control.outcomes[1].successful
    # Pinned anew to something else: the warm connection of the old pin must not be used.
    executor.execute(backup(remote(host, 2, host_key=OTHER_KEY)), control)
    assert failed(control.outcomes[2]) is ErrorCode.HOST_KEY_CHANGED
    assert f"cyborg.trust(cyborg.clients.get({host.number}))" in str(control.outcomes[2].error)
    # The host itself has another key: the old connection died with the old host.
    host.reinstall()
    fill(host)
    executor.execute(backup(attrs.evolve(before, job=3, host=attrs.evolve(before.host, name="job-3"))), control)
    assert failed(control.outcomes[3]) is ErrorCode.HOST_KEY_CHANGED


HOSTILE = """\
Host *
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  ControlMaster auto
  ControlPath ~/.ssh/master
  ControlPersist 60
  ForwardAgent yes
  PermitLocalCommand yes
  LocalCommand touch ~/pwned
  RemoteCommand touch /tmp/pwned
  RequestTTY force
  LogLevel QUIET
  BatchMode no
"""


def test_a_hostile_configuration_with_an_open_master(
    lab: Lab, control: Recorder, make: Callable[..., Host], remote: Remote, tmp_path: Path
) -> None:
    """The user's own set-up logs in without a look at the key; ours must not. The home folder, which ssh takes from
    /etc/passwd, is another one for this test alone."""
    host = make()
    home = tmp_path / "home"
    (home / ".ssh").mkdir(mode=0o700, parents=True)
    (home / ".ssh/config").write_text(HOSTILE)
    (tmp_path / "passwd").write_text(
        "".join(
            f"root:x:0:0:root:{home}:/bin/bash\n" if line.startswith("root:") else line
            for line in Path("/etc/passwd").read_text().splitlines(keepends=True)
        )
    )
    program = tmp_path / "program.py"
    program.write_text(
        textwrap.dedent(f"""
        import os, subprocess, sys
        sys.path[:0] = {sys.path!r}
        from cyborglib.ansible import AnsibleExecutor
        from cyborglib.executor import Host, HostRun
        from tests.ansible.conftest import Recorder, backup
        login = ["ssh", "-o", "RemoteCommand=none", "{host.address}", "true"]
        assert subprocess.run(login, stdin=subprocess.DEVNULL).returncode == 0
        assert os.path.exists("{home}/.ssh/master"), "the trap is not set"
        control, executor = Recorder({{"borg_passphrase": {PASSPHRASE!r}}}), AnsibleExecutor()
        given = {{"borg_repository": {VAULT!r}, "policy_folders_folders": ["/srv/data"]}}
        for job, key in ((1, {host.host_key!r}), (2, {OTHER_KEY!r})):
            work = HostRun(
                job=job, attempt={int(time.time())}, secrets=("borg_passphrase",),
                host=Host(name=f"job-{{job}}", address={host.address!r}, host_key=key, key_of="client-1"),
                variables={{**given, "borg_archive": f"a{{job}}"}},
            )
            executor.execute(backup(work), control)
            outcome = control.outcomes[job]
            print(job, outcome.error.code if outcome.error else "well", flush=True)
        executor.close()
        subprocess.run(["ssh", "-O", "exit", "{host.address}"], stdin=subprocess.DEVNULL, capture_output=True)
        """)
    )
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", 'mount --bind "$1" /etc/passwd && exec "$2" "$3"', "sh", tmp_path / "passwd",
         sys.executable, program],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False,
        env={**os.environ, "SSH_AUTH_SOCK": str(lab.auth_sock)},
    )  # fmt: skip
    assert done.stdout.split("\n")[:2] == ["1 well", "2 host_key_changed"], done.stdout + done.stderr
    assert archives(host) == ["a1"]
    assert host.run(["test", "-e", "/tmp/pwned"], check=False).returncode == 1


def test_what_is_wrong_on_the_way(
    executor: AnsibleExecutor, control: Recorder, make: Callable[..., Host], remote: Remote
) -> None:
    host, down = make("up"), make("down")
    down.stop()
    works = [
        remote(host, 1, user="nobody"),
        remote(down, 2),
        remote(host, 3, address="127.83.250.250"),
        remote(host, 4, address="no.such.host.invalid"),
        remote(host, 5),
        remote(host, 6, interpreter="/nowhere/python3"),
    ]
    executor.execute(backup(*works), control)
    assert control.outcomes[5].successful, "one host's trouble is not another's"
    assert {job: failed(control.outcomes[job]) for job in (1, 2, 3, 4, 6)} == {
        1: ErrorCode.AUTH_FAILED, 2: ErrorCode.UNREACHABLE, 3: ErrorCode.UNREACHABLE, 4: ErrorCode.UNREACHABLE,
        6: ErrorCode.UNSUPPORTED,
    }  # fmt: skip


@pytest.fixture
def sudoer(make: Callable[..., Host]) -> Callable[..., Host]:
    def made(user_sudo: bool | str) -> Host:
        return make(user_sudo=user_sudo)

    return made


def test_becoming_root_by_sudo(
    executor: AnsibleExecutor, control: Recorder, sudoer: Callable[..., Host], remote: Remote
) -> None:
    host = sudoer(True)
    works = [
        remote(host, 1, user="ops"),
        remote(host, 2, user="ops", become=True),
        remote(host, 3, user="ops", become=False),
        remote(host, 4, become=True),
    ]
    for work in works:
        executor.execute(backup(work), control)
    assert {job: outcome.error and outcome.error.code for job, outcome in control.outcomes.items()} == {
        1: None, 2: None, 3: ErrorCode.BECOME_FAILED, 4: None,
    }, control.outcomes  # fmt: skip


def test_becoming_root_with_a_password(
    executor: AnsibleExecutor, control: Recorder, sudoer: Callable[..., Host], remote: Remote
) -> None:
    host = sudoer("password")
    with_password = {"user": "ops", "become_password": "become_password"}
    asks = ("borg_passphrase", "become_password")
    control.secrets = {"borg_passphrase": PASSPHRASE, "become_password": PASSWORD}
    for job, become in ((1, None), (2, True)):
        executor.execute(backup(attrs.evolve(remote(host, job, **with_password, become=become), secrets=asks)), control)
        assert control.outcomes[job].successful, control.outcomes[job].error
    executor.execute(backup(remote(host, 3, user="ops")), control)
    assert failed(control.outcomes[3]) is ErrorCode.BECOME_FAILED
    control.secrets = {"borg_passphrase": PASSPHRASE, "become_password": "a wrong password"}
    executor.execute(backup(attrs.evolve(remote(host, 4, **with_password), secrets=asks)), control)
    assert failed(control.outcomes[4]) is ErrorCode.BECOME_FAILED
    assert "a wrong password" not in repr(control.outcomes[4])


def test_a_cancel_over_ssh(
    executor: AnsibleExecutor, control: Recorder, make: Callable[..., Host], remote: Remote
) -> None:
    hosts = [make("one"), make("two")]
    large(hosts[0])
    works = [remote(hosts[0], 1, {"borg_compression": "lzma,9"}), remote(hosts[1], 2)]
    thread = threading.Thread(target=executor.execute, args=(backup(*works), control), daemon=True)
    thread.start()
    control.await_told("progress", 1)
    assert borgs(hosts[0])
    control.cancels.add(1)
    began = time.monotonic()
    control.await_told("ended", 1)
    assert time.monotonic() - began < 15
    thread.join(60)
    assert failed(control.outcomes[1]) is ErrorCode.CANCELED
    assert control.outcomes[2].successful
    assert not borgs(hosts[0])
    assert hosts[0].run(["sh", "-c", f"ls {VAULT} | grep lock || true"]).stdout.strip() == ""
    executor.execute(backup(remote(hosts[0], 3, {"policy_folders_folders": ["/etc"]})), control)
    assert hosts[0].run(["ls", "/run/cyborg"]).stdout.split() == [f"0.3.{remote(hosts[0]).attempt}"]


def test_progress_arrives_while_borg_is_at_work(
    executor: AnsibleExecutor, control: Recorder, make: Callable[..., Host], remote: Remote
) -> None:
    host = make()
    for n in range(40):
        host.run(["dd", "if=/dev/urandom", f"of=/srv/data/part-{n:02}", "bs=1M", "count=1", "status=none"])
    executor.execute(backup(remote(host, 1, {"borg_compression": "lzma,6"})), control)
    assert control.outcomes[1].successful, control.outcomes[1].error
    told = [what for what in control.told if what[0] == "progress"]
    sizes = [what[2].original_bytes for what in told]
    assert len(told) > 3
    assert sizes == sorted(sizes)
    assert told[-1][2].path.startswith("srv/data/part-")


def test_a_broken_connection_is_mended(
    executor: AnsibleExecutor, control: Recorder, make: Callable[..., Host], remote: Remote
) -> None:
    host = make()
    large(host, 25)
    thread = threading.Thread(
        target=executor.execute, args=(backup(remote(host, 1, {"borg_compression": "lzma,6"})), control), daemon=True
    )
    thread.start()
    control.await_told("progress", 1)
    assert executor._home is not None
    for socket in (executor._home.path / "s").iterdir():
        subprocess.run(
            ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "x"], capture_output=True, check=False
        )
    for argv, pid in sshd_sessions(host):
        assert argv
        host.run(["kill", "-9", str(pid)], check=False)
    thread.join(180)
    assert control.outcomes[1].successful, control.outcomes[1].error
    assert archives(host) == ["archive-1"]


def sshd_sessions(host: Host) -> list[tuple[str, int]]:
    said = host.run(["ps", "-eo", "pid=,args="]).stdout
    lines = [line.split(None, 1) for line in said.splitlines()]
    return [(words[1], int(words[0])) for words in lines if len(words) > 1 and words[1].startswith("sshd: root")]


def test_a_host_that_restarts_has_lost_its_job(
    executor: AnsibleExecutor, control: Recorder, make: Callable[..., Host], remote: Remote
) -> None:
    host = make()
    large(host)
    thread = threading.Thread(
        target=executor.execute, args=(backup(remote(host, 1, {"borg_compression": "lzma,9"})), control), daemon=True
    )
    thread.start()
    control.await_told("progress", 1)
    host.stop()
    time.sleep(1)
    host.start()
    thread.join(180)
    assert failed(control.outcomes[1]) is ErrorCode.LOST


def test_secrets_stay_where_they_belong(
    executor: AnsibleExecutor, control: Recorder, make: Callable[..., Host], remote: Remote
) -> None:
    """While Borg works on a host, and after: no argv, environment or file there holds the passphrase."""
    host = make()
    large(host, 15)
    thread = threading.Thread(
        target=executor.execute, args=(backup(remote(host, 1, {"borg_compression": "lzma,6"})), control), daemon=True
    )
    thread.start()
    control.await_told("progress", 1)
    canary = PASSPHRASE.encode()
    assert borgs(host)
    assert not [argv for argv in host.processes() if PASSPHRASE in "\0".join(argv)]
    assert not [environment for environment in host.environments() if canary in environment]
    assert leaks(host) == ""
    thread.join(180)
    assert control.outcomes[1].successful, control.outcomes[1].error
    assert leaks(host) == ""
    log = host.run(["borg", "info", "--json", f"{VAULT}::archive-1"], env={"BORG_PASSPHRASE": PASSPHRASE}).stdout
    assert PASSPHRASE not in log


def leaks(host: Host) -> str:
    places = ["/run", "/root", "/tmp", "/var/tmp", "/var/log", "/etc", "/dev/shm", VAULT]
    found = host.run(["grep", "-rlF", "--", PASSPHRASE, *places], check=False)
    return str(found.stdout).strip()


def test_a_newer_borg(executor: AnsibleExecutor, control: Recorder, make: Callable[..., Host], remote: Remote) -> None:
    host = make(borg="1.4")
    works = [
        remote(host, 1),
        remote(host, 2, {"borg_repository": "/nowhere"}),
        remote(host, 3, {"policy_folders_exclude": [{"style": "shell", "pattern": "**"}]}),
    ]
    executor.execute(backup(*works), control)
    assert control.outcomes[1].successful, control.outcomes[1].error
    assert failed(control.outcomes[2]) is ErrorCode.VAULT_MISSING
    assert failed(control.outcomes[3]) is ErrorCode.SOURCE_MISSING
    executor.execute(backup(attrs.evolve(remote(host, 4), secrets=())), control)
    assert failed(control.outcomes[4]) is ErrorCode.WRONG_PASSPHRASE
