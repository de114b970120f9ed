"""The repository's host: what a key may do there, and what it may not."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HostFactory
from tests.lab import Host
from tests.preparation.conftest import Player

pytestmark = pytest.mark.hosts

FOREIGN = '# mine\r\nfrom="10.0.0.1" ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== \xe9 me@home\n\n  \nno newline at the end'


class Key:
    """A key pair of the test's own, as a client would have it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.path, self.folder = folder / name, folder
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.path)], check=True)
        self.public = " ".join((folder / f"{name}.pub").read_text().split()[:2])

    def ssh(self, host: Host) -> list[str]:
        known = self.folder / "known_hosts"
        known.write_text(host.known_hosts)
        options = [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            f"UserKnownHostsFile={known}",
            "IdentitiesOnly=yes",
            "IdentityAgent=none",
            f"Port={host.lab.port}",
        ]
        return ["ssh", "-F", "none", "-i", str(self.path), *(part for option in options for part in ("-o", option))]

    def run(
        self, host: Host, *words: str, options: tuple[str, ...] = (), **asked: Any
    ) -> subprocess.CompletedProcess[str]:
        argv = [*self.ssh(host), *options, f"borg@{host.address}", *words]
        return subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, **asked
        )

    def environment(self, host: Host) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "BORG_BASE_DIR": str(self.folder / f"base-{self.path.name}"),
            "BORG_RSH": " ".join(self.ssh(host)),
            "BORG_PASSPHRASE": "x",
            "LANG": "C.UTF-8",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }

    def start(self, host: Host, *words: str) -> subprocess.Popen[str]:
        """Borg with this key; {} in the words is the address of the host."""
        base = f"ssh://borg@{host.address}:{host.lab.port}"
        argv = ["/usr/bin/borg", *(word.replace("{}", base) for word in words)]
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(host),
        )

    def borg(self, host: Host, *words: str) -> subprocess.CompletedProcess[str]:
        running = self.start(host, *words)
        out, err = running.communicate(timeout=120)
        return subprocess.CompletedProcess(running.args, running.returncode, out, err)


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[subprocess.Popen[str]]:
    """Whatever happens, it does not go on after the test."""
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def vault(number: int, path: str, *keys: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "cyborg.backup.repository_host": {"vault": number, "account": "borg", "path": path, "keys": list(keys), **more}
    }


def client_key(key: Key, **more: Any) -> dict[str, Any]:
    return {"name": "client", "key": key.public, **more}


def controller_key(key: Key) -> dict[str, Any]:
    return {"name": "controller", "mode": "controller", "key": key.public}


def stat(host: Host, *paths: str) -> list[str]:
    return host.run(["stat", "-c", "%n %U %a", *paths]).stdout.splitlines()


def test_from_nothing(play: Player, host_factory: HostFactory, tmp_path: Path) -> None:
    nas, client, controller = host_factory(), Key(tmp_path, "client"), Key(tmp_path, "controller")
    task = vault(7, "/srv/backup/borg/web1", client_key(client), controller_key(controller))
    checked = play(nas, [task], check=True).good().result("repository_host")
    assert len(checked["changes"]) == 6, checked
    assert not nas.exists("/var/lib/cyborg")
    assert not nas.exists("/srv/backup")
    assert not nas.exists("/usr/bin/borg")
    assert "borg" not in nas.read("/etc/passwd").decode()

    first = play(nas, [task]).good().result("repository_host")
    assert first["changed"]
    assert first["borg_version"] == "1.2.4"
    assert stat(
        nas,
        "/srv/backup",
        "/srv/backup/borg",
        "/var/lib/borg",
        "/var/lib/borg/.ssh",
        "/var/lib/borg/.ssh/authorized_keys",
        "/usr/local/lib/cyborg/serve",
        f"/var/lib/cyborg/locks/{first['tag']}",
        "/var/lib/cyborg",
    ) == [
        "/srv/backup root 755",
        "/srv/backup/borg borg 700",
        "/var/lib/borg root 755",
        "/var/lib/borg/.ssh root 755",
        "/var/lib/borg/.ssh/authorized_keys root 644",
        "/usr/local/lib/cyborg/serve root 755",
        f"/var/lib/cyborg/locks/{first['tag']} borg 600",
        "/var/lib/cyborg root 755",
    ]
    second = play(nas, [task]).good()
    assert second.changed == [], second.output
    assert play(nas, [task], check=True).good().changed == []

    done = client.borg(nas, "init", "-e", "repokey-blake2", "{}/srv/backup/borg/web1")
    assert done.returncode == 0, done.stderr
    done = client.borg(nas, "create", "--json", "{}/srv/backup/borg/web1::a", "/etc/hosts")
    assert done.returncode == 0, done.stderr
    done = controller.borg(nas, "list", "--short", "{}/srv/backup/borg/web1")
    assert done.stdout == "a\n", done.stderr
    assert play(nas, [task]).good().changed == []


def test_what_a_key_may_not(play: Player, host_factory: HostFactory, tmp_path: Path) -> None:
    nas, one, two = host_factory(borg="1.2"), Key(tmp_path, "one"), Key(tmp_path, "two")
    play(nas, [vault(1, "/srv/borg/one", client_key(one)), vault(2, "/srv/borg/two", client_key(two))]).good()
    assert one.borg(nas, "init", "-e", "none", "{}/srv/borg/one").returncode == 0

    done = one.borg(nas, "list", "{}/srv/borg/two")
    assert done.returncode != 0
    assert "not allowed" in done.stderr.lower()
    for words in (
        ["id"],
        ["sh", "-c", "'borg serve; id'"],
        ["scp", "-t", "/tmp/x"],
        ["borg", "list", "/srv/borg/one"],
        ["'borg serve"],
    ):
        done = one.run(nas, *words)
        assert done.returncode == 75, (words, done)
        assert "cyborg: this key is for Borg alone" in done.stderr
        assert done.stdout == ""
    # No terminal, no forwarding of ports or of the agent.
    assert "PTY allocation request failed" in one.run(nas, "id", options=("-tt",)).stderr
    done = one.run(nas, options=("-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:22"))
    assert done.returncode != 0
    assert "remote port forwarding failed" in done.stderr
    done = one.run(nas, options=("-W", f"127.0.0.1:{nas.lab.port}"))
    assert done.returncode != 0
    assert "administratively prohibited" in done.stderr
    sftp = subprocess.run(
        ["sftp", *one.ssh(nas)[1:], f"borg@{nas.address}"],
        input="ls\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert sftp.returncode != 0
    # The words of a hostile Borg are not taken over: its vault stays limited.
    rsh = ["serve", "--restrict-to-path", "/", "--info", "--debug"]
    done = one.run(nas, "borg", *rsh)
    assert "unrecognized" not in done.stderr
    assert one.run(nas, "borg serve --umask=000", options=()).returncode == 0


def test_who_holds_the_kernels_lock_is_alone_and_clears_up(
    play: Player, host_factory: HostFactory, tmp_path: Path
) -> None:
    nas, client, controller = host_factory(borg="1.2"), Key(tmp_path, "client"), Key(tmp_path, "controller")
    play(nas, [vault(1, "/srv/borg/v", client_key(client), controller_key(controller), lock_wait=2)]).good()
    assert client.borg(nas, "init", "-e", "none", "{}/srv/borg/v").returncode == 0
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with ended(controller.start(nas, "with-lock", "{}/srv/borg/v", "cat", str(gate))) as holding:
        deadline = time.monotonic() + 30
        while not nas.exists("/srv/borg/v/lock.exclusive"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        done = client.borg(nas, "break-lock", "{}/srv/borg/v")
        assert done.returncode != 0
        assert "cyborg: vault busy" in done.stderr
        assert nas.exists("/srv/borg/v/lock.exclusive")
        # One that waits long enough is served when the other has ended.
        play(nas, [vault(1, "/srv/borg/v", client_key(client), controller_key(controller), lock_wait=60)]).good()
        with ended(client.start(nas, "create", "{}/srv/borg/v::a", "/etc/hosts")) as waiting:
            time.sleep(1)
            assert waiting.poll() is None
            gate.write_text("go")
            assert holding.wait(60) == 0
            _, err = waiting.communicate(timeout=60)
            assert waiting.returncode == 0, err
    assert controller.borg(nas, "check", "{}/srv/borg/v").returncode == 0
    # One of a Borg that died with the host, whose pid belongs to somebody else now: Borg alone would wait for it.
    lock = "/srv/borg/v/lock.exclusive"
    left = f'mkdir {lock} && touch {lock}/"$(hostname)@1.1-0"'
    nas.run(["sh", "-c", left], user="borg")
    done = client.borg(nas, "list", "--lock-wait", "1", "{}/srv/borg/v")
    assert (done.returncode, nas.exists(lock)) == (0, False), done.stderr
    assert "a lock was taken away that a dead Borg had left" in done.stderr
    # But somebody who uses the vault by hand, on the host itself, is left alone.
    by_hand = [*nas.enter, "runuser", "-u", "borg", "--", "borg", "with-lock", "/srv/borg/v", "sleep", "60"]
    env = {**os.environ, "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes", "BORG_BASE_DIR": "/tmp/by-hand"}
    with ended(subprocess.Popen(by_hand, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)):
        deadline = time.monotonic() + 30
        while not nas.exists(lock):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        done = client.borg(nas, "list", "--lock-wait", "1", "{}/srv/borg/v")
        assert done.returncode != 0
        assert nas.exists(lock)
        nas.run(["pkill", "-f", "sleep 60"])


def test_closed_to_clients(play: Player, host_factory: HostFactory, tmp_path: Path) -> None:
    nas, client, controller = host_factory(borg="1.2"), Key(tmp_path, "client"), Key(tmp_path, "controller")
    play(nas, [vault(1, "/srv/borg/v", client_key(client), controller_key(controller))]).good()
    assert client.borg(nas, "init", "-e", "none", "{}/srv/borg/v").returncode == 0
    closed = play(nas, [vault(1, "/srv/borg/v", state="closed")]).good().result("repository_host")
    assert (closed["changed"], closed["busy"]) == (True, False)
    done = client.borg(nas, "list", "{}/srv/borg/v")
    assert done.returncode != 0
    assert "cyborg: vault closed" in done.stderr
    assert controller.borg(nas, "list", "{}/srv/borg/v").returncode == 0
    # A job neither takes over what a person closed, nor opens it.
    job = {"state": "closed", "seconds": 600, "by": "7.1"}
    left = play(nas, [vault(1, "/srv/borg/v", **job), vault(1, "/srv/borg/v", state="open", by="7.1")]).good()
    assert left.result("repository_host")["changed"] is False
    assert "cyborg: vault closed" in client.borg(nas, "list", "{}/srv/borg/v").stderr
    # What an earlier try of the job says does not open what the later one closed.
    opened = vault(1, "/srv/borg/v", state="open")
    play(nas, [opened, vault(1, "/srv/borg/v", **job), vault(1, "/srv/borg/v", state="open", by="7.0")]).good()
    assert "cyborg: vault closed" in client.borg(nas, "list", "{}/srv/borg/v").stderr
    # And after its time it is open by itself.
    play(nas, [vault(1, "/srv/borg/v", **{**job, "seconds": 1})]).good()
    time.sleep(1.5)
    assert client.borg(nas, "list", "{}/srv/borg/v").returncode == 0


def test_quota_and_append_only(play: Player, host_factory: HostFactory, tmp_path: Path) -> None:
    nas, client, controller = host_factory(borg="1.2"), Key(tmp_path, "client"), Key(tmp_path, "controller")
    play(nas, [vault(1, "/srv/borg/v", client_key(client), controller_key(controller), quota=12_000_000)]).good()
    data = tmp_path / "data"
    data.write_bytes(os.urandom(7_000_000))
    assert client.borg(nas, "init", "-e", "none", "{}/srv/borg/v").returncode == 0
    assert client.borg(nas, "create", "{}/srv/borg/v::a", str(data)).returncode == 0
    # What is deleted stays, and counts.
    assert client.borg(nas, "delete", "{}/srv/borg/v::a").returncode == 0
    client.borg(nas, "compact", "{}/srv/borg/v")
    assert int(nas.run(["du", "-sb", "/srv/borg/v"]).stdout.split()[0]) > 7_000_000
    data.write_bytes(os.urandom(7_000_000))
    done = client.borg(nas, "create", "{}/srv/borg/v::b", str(data))
    assert done.returncode != 0
    assert "quota" in done.stderr.lower()
    # The controller is not held by the quota, and can compact.
    assert controller.borg(nas, "compact", "{}/srv/borg/v").returncode == 0
    assert client.borg(nas, "create", "{}/srv/borg/v::b", str(data)).returncode == 0


def test_lines_of_others_stay(play: Player, host_factory: HostFactory, tmp_path: Path) -> None:
    nas, one, two = host_factory(borg="1.2"), Key(tmp_path, "one"), Key(tmp_path, "two")
    nas.run(["useradd", "--create-home", "--shell", "/bin/bash", "borg"])
    nas.write("/home/borg/.ssh/authorized_keys", FOREIGN.encode("latin-1"))
    nas.run(["chown", "-R", "borg:", "/home/borg/.ssh"])
    nas.run(["chmod", "0700", "/home/borg/.ssh"])
    done = play(nas, [vault(1, "/srv/borg/one", client_key(one)), vault(2, "/srv/borg/two", client_key(two))]).good()
    assert any("chown root /home/borg" in note for note in done.result("repository_host")["notes"])
    data = nas.read("/home/borg/.ssh/authorized_keys")
    assert data.startswith(FOREIGN.encode("latin-1") + b"\n")
    assert data.count(b"\n") == FOREIGN.count("\n") + 3
    assert stat(nas, "/home/borg/.ssh/authorized_keys") == ["/home/borg/.ssh/authorized_keys root 644"]
    assert one.borg(nas, "init", "-e", "none", "{}/srv/borg/one").returncode == 0
    # Another key for the same client takes the place of the first.
    three = Key(tmp_path, "three")
    play(nas, [vault(1, "/srv/borg/one", client_key(three))]).good()
    assert nas.read("/home/borg/.ssh/authorized_keys").count(b"\n") == FOREIGN.count("\n") + 3
    assert three.borg(nas, "list", "{}/srv/borg/one").returncode == 0
    assert "Permission denied" in one.run(nas, "borg", "serve").stderr
    # Taking a vault's keys away leaves the rest, and the vault.
    play(nas, [vault(1, "/srv/borg/one", state="absent")]).good()
    play(nas, [vault(2, "/srv/borg/two", state="absent")]).good()
    assert nas.read("/home/borg/.ssh/authorized_keys") == FOREIGN.encode("latin-1") + b"\n"
    assert nas.exists("/srv/borg/one/config")


def test_keys_that_are_refused(play: Player, host_factory: HostFactory, tmp_path: Path) -> None:
    nas, one, two = host_factory(borg="1.2"), Key(tmp_path, "one"), Key(tmp_path, "two")
    play(nas, [vault(1, "/srv/borg/one", client_key(one))]).good()
    before = nas.read("/var/lib/borg/.ssh/authorized_keys")
    bad = [
        one.public + "\nssh-ed25519 " + two.public.split()[1],
        'command="id" ' + two.public,
        two.public + "\0",
        "ssh-ed25519 " + "A" * 68,
        "ssh-rsa " + two.public.split()[1],
        two.public + "A" * 1_000_000,
        "",
    ]
    tasks = [dict(vault(2, "/srv/borg/two", {"name": "client", "key": key}), ignore_errors=True) for key in bad]
    done = play(nas, tasks).good()
    assert [entry["result"]["cyborg_error"]["code"] for entry in done.entries] == ["hostile_answer"] * len(bad)
    # A key that another vault has: the first line with it would win.
    assert play(nas, [vault(2, "/srv/borg/two", client_key(one))]).error("repository_host")["code"] == "hostile_answer"
    assert nas.read("/var/lib/borg/.ssh/authorized_keys") == before
    # A line without limits would win as well.
    nas.write("/var/lib/borg/.ssh/authorized_keys", before + f"{two.public} me\n".encode())
    error = play(nas, [vault(2, "/srv/borg/two", client_key(two))]).error("repository_host")
    assert "line 2" in error["message"]


def test_a_key_for_a_while(play: Player, host_factory: HostFactory, tmp_path: Path) -> None:
    nas, client, other = host_factory(borg="1.2"), Key(tmp_path, "client"), Key(tmp_path, "other")
    grant = vault(1, "/srv/borg/v", {"name": "job-9", "key": other.public, "seconds": 3600}, state="granted")
    assert play(nas, [grant]).error("repository_host")["code"] == "vault_missing"
    play(nas, [vault(1, "/srv/borg/v", client_key(client))]).good()
    assert client.borg(nas, "init", "-e", "none", "{}/srv/borg/v").returncode == 0
    play(nas, [grant]).good()
    assert other.borg(nas, "list", "{}/srv/borg/v").returncode == 0
    play(nas, [vault(1, "/srv/borg/v", state="revoked", names=["job-9"])]).good()
    assert "Permission denied" in other.run(nas, "borg", "serve").stderr
    assert client.borg(nas, "list", "{}/srv/borg/v").returncode == 0
    # One that is over is taken away by the next change, whoever makes it.
    play(nas, [vault(1, "/srv/borg/v", {"name": "job-10", "key": other.public, "seconds": 1}, state="granted")]).good()
    text = nas.read("/var/lib/borg/.ssh/authorized_keys").decode()
    assert 'expiry-time="' in text
    nas.write("/var/lib/borg/.ssh/authorized_keys", text.replace('expiry-time="20', 'expiry-time="19'))
    play(nas, [vault(1, "/srv/borg/v", state="revoked", names=["nobody"])]).good()
    assert "job-10" not in nas.read("/var/lib/borg/.ssh/authorized_keys").decode()


#: What is there before, the vault's path, its account, and what the refusal says.
REFUSED = [
    (["useradd", "-M", "-s", "/usr/sbin/nologin", "mute"], "/srv/borg/v", "mute", "has the shell /usr/sbin/nologin"),
    (
        ["install", "-d", "-o", "daemon", "/srv/theirs"],
        "/srv/theirs/v",
        "borg",
        "/srv/theirs belongs to daemon (uid 1)",
    ),
    (["install", "-d", "-o", "daemon", "/srv/v"], "/srv/v", "borg", "/srv/v belongs to daemon (uid 1) and not to borg"),
    (["ln", "-s", "/etc", "/srv/link"], "/srv/link", "borg", "is a link or no folder"),
    (["install", "-d", "-m", "0777", "/srv/all"], "/srv/all/v", "borg", "can be written by others (mode 0777)"),
    (["install", "-d", "/var/lib/named"], "/srv/borg/v", "named", "is there already; make the account yourself"),
    (["true"], "/srv/../etc/v", "borg", "cannot be the folder"),
    (["true"], "srv/v", "borg", "cannot be the folder"),
    (["true"], "/", "borg", "root folder"),
    (["true"], "/srv/v\n", "borg", "cannot be the folder"),
    (["true"], "/srv/v", "-x", "not the name of an account"),
]


def test_what_is_somebody_elses_is_refused(play: Player, host_factory: HostFactory, tmp_path: Path) -> None:
    nas, key = host_factory(borg="1.2"), Key(tmp_path, "one")
    play(nas, [vault(1, "/srv/good/v", client_key(key))]).good()
    tasks = []
    for command, path, account, _ in REFUSED:
        nas.run(command)
        task = vault(2, path, client_key(key))
        task["cyborg.backup.repository_host"]["account"] = account
        tasks.append(dict(task, ignore_errors=True))
    look = ["find", "/srv", "/etc/passwd", "/var/lib/borg", "/var/lib/cyborg", "-printf", "%p %u %m %s\n"]
    before = nas.run(look).stdout
    for check in (True, False):
        done = play(nas, tasks, check=check).good()
        for entry, (_, _, _, said) in zip(done.entries, REFUSED, strict=True):
            error = entry["result"]["cyborg_error"]
            assert said in error["message"]
            assert error["code"] in ("bad_arguments", "unsupported")
    assert nas.run(look).stdout == before


def test_vaults_beside_a_folder_of_roots(play: Player, host_factory: HostFactory, tmp_path: Path) -> None:
    """A disk that the administrator mounted belongs to root; the vault's own folder is made in it."""
    nas, one, two = host_factory(borg="1.2", tmpfs_vault="32m"), Key(tmp_path, "one"), Key(tmp_path, "two")
    play(nas, [vault(1, "/srv/borg/one", client_key(one)), vault(2, "/./two", client_key(two))]).good()
    assert stat(nas, "/srv/borg", "/srv/borg/one", "/var/lib/borg/two") == [
        "/srv/borg root 755",
        "/srv/borg/one borg 700",
        "/var/lib/borg/two borg 700",
    ]
    for key, path in ((one, "/srv/borg/one"), (two, "/./two")):
        done = key.borg(nas, "init", "-e", "none", "{}" + path)
        assert done.returncode == 0, done.stderr
