"""Clients from nothing: facts, Borg, the client's key."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import HostFactory
from tests.lab import Host, Lab
from tests.preparation.conftest import Player

pytestmark = pytest.mark.hosts

FACTS = {"cyborg.backup.client_facts": {}}
BORG = {"cyborg.backup.client_borg": {}}
KEY = {"cyborg.backup.client_key": {"name": "client"}}


@pytest.fixture(scope="module")
def web(lab: Lab) -> Iterator[Host]:
    """A host that the tests of this module change in turn."""
    host = lab.host("shared", borg="1.2")
    yield host
    host.remove()


def test_a_host_from_nothing(play: Player, host_factory: HostFactory) -> None:
    web = host_factory()
    first = play(web, [FACTS, BORG, KEY]).good()
    facts = first.result("client_facts")["facts"]
    assert facts["ip"] == web.address
    assert (facts["uid"], facts["os"]["id"], facts["manager"], facts["borg"]) == (0, "debian", "apt-get", "")
    borg = first.result("client_borg")
    assert (borg["borg"], borg["borg_version"], borg["changed"]) == ("/usr/bin/borg", "1.2.4", True)
    assert "CVE-2023-36811" in borg["notes"][0]
    key = first.result("client_key")
    assert key["key"] == "/etc/cyborg/keys/client"
    assert web.read("/etc/cyborg/keys/client.pub").decode().split()[:2] == key["public_key"].split()
    assert (
        web.run(["stat", "-c", "%a %U", "/etc/cyborg/keys", "/etc/cyborg/keys/client"]).stdout == "700 root\n600 root\n"
    )

    second = play(web, [FACTS, BORG, KEY]).good()
    assert second.changed == []
    assert second.result("client_key")["public_key"] == key["public_key"]


def test_login_without_root(play: Player, host_factory: HostFactory) -> None:
    web = host_factory(user_sudo=True)
    ops = {web.name: {"ansible_user": "ops"}}
    tasks = [FACTS, dict(BORG, ignore_errors=True), KEY]
    # Without become all is the login's own, and nothing can be installed.
    done = play(web, tasks, host_vars=ops).good()
    facts = done.result("client_facts")["facts"]
    assert (facts["user"], facts["home"], facts["ip"]) == ("ops", "/home/ops", web.address)
    assert facts["sudo_logs_input"] is False
    error = done.error("client_borg")
    assert error["code"] == "borg_missing"
    assert "not root and may not become root" in error["message"]
    assert done.result("client_key")["key"] == "/home/ops/.config/cyborg/keys/client"
    assert web.run(["stat", "-c", "%a %U", "/home/ops/.config/cyborg/keys"]).stdout == "700 ops\n"
    assert not web.exists("/usr/bin/borg")
    # "Root where the login is not" is the library's own way; -b is a person's.
    for way in ({"cyborg_become": "auto", "ansible_become": True}, {"ansible_become": True}):
        done = play(web, tasks, host_vars={web.name: {**ops[web.name], **way}}).good()
        facts = done.result("client_facts")["facts"]
        assert (facts["user"], facts["ip"]) == ("ops", web.address)
        borg = done.result("client_borg")
        assert (borg["uid"], borg["home"], borg["borg_version"]) == (0, "/root", "1.2.4")
        assert done.result("client_key")["key"] == "/etc/cyborg/keys/client"


def test_sudo_that_logs_what_it_is_fed(play: Player, host_factory: HostFactory) -> None:
    web = host_factory(user_sudo=True)
    web.write("/etc/sudoers.d/log", "Defaults log_input\n", mode=0o440)
    done = play(web, [FACTS], host_vars={web.name: {"ansible_user": "ops"}}).good()
    assert "log_input" in done.result("client_facts")["notes"][0]


def test_no_python(play: Player, host_factory: HostFactory) -> None:
    web = host_factory()
    web.run(["mv", "/usr/bin/python3", "/usr/bin/python3.gone"])
    error = play(web, [FACTS]).error("client_facts")
    assert error["code"] == "unsupported"
    assert "Install python3 there" in error["message"]


def test_public_keys_that_are_none(play: Player, host_factory: HostFactory) -> None:
    web = host_factory(borg="1.2")
    play(web, [KEY]).good()
    line = web.read("/etc/cyborg/keys/client.pub")
    bad = {
        "a second line": line + line,
        "a second line without an end": line + b"ssh-ed25519 AAAA",
        "options": b'command="id" ' + line,
        "a carriage return": line.replace(b"\n", b"\r"),
        "NUL": line.replace(b"\n", b"\0\n"),
        "long": line + b"#" * 1_000_000,
        "long in one line": line.rstrip(b"\n") + b"A" * 1_000_000,
        "another type": line.replace(b"ssh-ed25519", b"ssh-dss"),
        "not a key": b"ssh-ed25519 " + b"A" * 68 + b"\n",
        "not text": line + b"\xff",
        "empty": b"",
    }
    tasks = []
    for number, data in enumerate(bad.values()):
        web.run(["cp", "-a", "/etc/cyborg/keys/client", f"/etc/cyborg/keys/bad-{number}"])
        web.write(f"/etc/cyborg/keys/bad-{number}.pub", data)
        tasks.append({"cyborg.backup.client_key": {"name": f"bad-{number}"}, "ignore_errors": True})
    done = play(web, tasks).good()
    for what, entry in zip(bad, done.entries, strict=True):
        assert entry["result"]["cyborg_error"]["code"] == "hostile_answer", what
        assert "public_key" not in entry["result"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["chmod", "0755", "/etc/cyborg/keys"], "can be read by others (mode 0755)"),
        (["chmod", "0644", "/etc/cyborg/keys/client"], "can be read by others (mode 0644)"),
        (["chown", "daemon", "/etc/cyborg/keys"], "belongs to daemon (uid 1)"),
        (["chmod", "0777", "/etc/cyborg"], "can be written by others (mode 0777)"),
        (["sh", "-c", "mv /etc/cyborg/keys /root/k; ln -s /root/k /etc/cyborg/keys"], "is a link or no folder"),
        (["sh", "-c", "mv /etc/cyborg/keys/client /root/k; ln -s /root/k /etc/cyborg/keys/client"], "is no plain file"),
        (["rm", "/etc/cyborg/keys/client.pub"], "client.pub is missing beside its private key"),
    ],
)
def test_key_folders_that_are_not_ours_alone(play: Player, web: Host, command: list[str], said: str) -> None:
    web.run(["rm", "-rf", "/etc/cyborg", "/root/k"])
    play(web, [KEY]).good()
    web.run(command)
    error = play(web, [KEY]).error("client_key")
    assert error["code"] == "unsupported"
    assert said in error["message"]


def binary(path: Path, sha256: str | None = None) -> dict[str, Any]:
    digest = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
    return {"cyborg.backup.client_borg": {"binary": str(path), "binary_sha256": digest}}


def fake_borg(path: Path, version: str, size: int = 0) -> Path:
    """A program that says it is a Borg of that version; padded to a size."""
    path.write_text(f"#!/bin/sh\necho borg {version}\nexit 0\n" + "#" * size)
    return path


def test_a_given_binary(play: Player, host_factory: HostFactory, tmp_path: Path) -> None:
    web = host_factory(borg="1.2")
    good = fake_borg(tmp_path / "borg-good", "1.4.9", size=10_000_000)
    look = ["find", "/usr/local/bin", "-printf", "%p %s %m\n"]
    before = web.run(look).stdout

    refused = [
        (binary(good, "0" * 64), "bad_arguments", "not the one given; nothing was changed"),
        (binary(good, "x"), "bad_arguments", "64 digits"),
        (binary(tmp_path / "none", "0" * 64), "bad_arguments", "cannot be read on the controller"),
        (binary(fake_borg(tmp_path / "old", "1.1.18")), "borg_too_old", "Borg 1.1.18"),
        (binary(fake_borg(tmp_path / "new", "2.0.0")), "borg_too_old", "Borg 2.0.0"),
    ]
    (tmp_path / "broken").write_bytes(b"\x7fELF" + b"\0" * 60)
    refused.append((binary(tmp_path / "broken"), "bad_arguments", "does not run on this host (Exec format error)"))
    done = play(web, [dict(task, ignore_errors=True) for task, _, _ in refused]).good()
    for entry, (_, code, said) in zip(done.entries, refused, strict=True):
        error = entry["result"]["cyborg_error"]
        assert error["code"] == code
        assert said in error["message"]
    assert play(web, [binary(good)], check=True).good().result("client_borg")["changed"]
    assert web.run(look).stdout == before

    placed = play(web, [binary(good)]).good().result("client_borg")
    assert (placed["borg"], placed["borg_version"], placed["notes"]) == ("/usr/local/bin/borg", "1.4.9", [])
    assert (
        web.run(["sha256sum", "/usr/local/bin/borg"]).stdout.split()[0] == hashlib.sha256(good.read_bytes()).hexdigest()
    )
    assert web.run(["stat", "-c", "%a %U", "/usr/local/bin/borg"]).stdout == "755 root\n"
    assert play(web, [binary(good)]).good().changed == []
    # Another one takes its place, and what worked before is kept.
    better = fake_borg(tmp_path / "better", "1.4.10")
    assert play(web, [binary(better)]).good().result("client_borg")["borg_version"] == "1.4.10"
    assert web.run(["/usr/local/bin/borg-1.4.9"]).stdout == "borg 1.4.9\n"
    assert sorted(web.run(["ls", "-A", "/usr/local/bin"]).stdout.split()) == sorted(
        [*(line.split()[0].rpartition("/")[2] for line in before.splitlines()[1:]), "borg", "borg-1.4.9"]
    )


def test_a_borg_that_is_old_or_broken(play: Player, host_factory: HostFactory) -> None:
    web = host_factory(borg="1.2")
    web.write("/usr/local/bin/borg", "#!/bin/sh\necho borg 1.1.15\n", mode=0o755)
    error = play(web, [BORG]).error("client_borg")
    assert error["code"] == "borg_too_old"
    assert "1.2 or later is needed" in error["message"]
    web.write("/usr/local/bin/borg", "#!/bin/sh\necho no python here >&2\nexit 3\n", mode=0o755)
    error = play(web, [BORG]).error("client_borg")
    assert error["code"] == "borg_missing"
    assert "/usr/local/bin/borg on the client does not run (no python here)" in error["message"]
    assert web.exists("/usr/local/bin/borg")
    web.write("/usr/local/bin/borg", "#!/bin/sh\nprintf 'borg \\033[2J1.4.5\\n'\n", mode=0o755)
    error = play(web, [BORG]).error("client_borg")
    assert error["code"] == "borg_missing"
    assert "(borg ?[2J1.4.5)" in error["message"]


def test_somebody_else_is_at_work_with_apt(play: Player, host_factory: HostFactory) -> None:
    """Both of apt's locks are waited for: that of its lists, which it does not wait for itself, and dpkg's."""
    web = host_factory()
    web.run(["sh", "-c", "rm -rf /var/lib/apt/lists/*"])
    with subprocess.Popen([*web.ssh_argv(), HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as held:
        assert held.stdout is not None
        assert held.stdin is not None
        assert held.stdout.readline() == "held\n"
        # Longer than a busy machine needs to get there.
        let_go = threading.Timer(15, held.stdin.close)
        let_go.start()
        done = play(web, [BORG]).good()
        let_go.join()
    assert "Somebody else is at work with apt-get" in done.output
    assert done.result("client_borg")["borg_version"] == "1.2.4"


#: Holds the locks as apt does (by fcntl) until its stdin ends.
HOLD = """exec python3 -c '
import fcntl, os, sys
os.makedirs("/var/lib/apt/lists", exist_ok=True)
files = [open(name, "w") for name in ("/var/lib/apt/lists/lock", "/var/lib/dpkg/lock-frontend")]
for file in files:
    fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
'"""


def test_many_tasks_install_once(play: Player, host_factory: HostFactory) -> None:
    web = host_factory()
    names = [f"alias{number}" for number in range(8)]
    done = play(web, [BORG], names=names, host_vars={name: {"ansible_host": web.name} for name in names}).good()
    assert {done.result("client_borg", name)["borg_version"] for name in names} == {"1.2.4"}
    assert done.output.count("Setting up borgbackup") == 1


def test_what_cannot_be_installed(play: Player, host_factory: HostFactory) -> None:
    web = host_factory()
    web.run(
        [
            "sh",
            "-c",
            "rm -rf /usr/local/share/archive /etc/apt/sources.list /etc/apt/sources.list.d/* /var/lib/apt/lists/*",
        ]
    )
    web.write("/etc/apt/sources.list", "")
    error = play(web, [BORG]).error("client_borg")
    assert error["code"] == "install_failed"
    assert "Unable to locate package borgbackup" in error["message"]
    assert "borg_binary" in error["message"]
    web.run(["mv", "/usr/bin/apt-get", "/usr/bin/apt-gone"])
    assert "no package manager" in play(web, [BORG]).error("client_borg")["message"]


def test_update(play: Player, host_factory: HostFactory) -> None:
    web = host_factory(borg="1.2")
    update = {"cyborg.backup.client_borg": {"update": True}}
    assert play(web, [update], check=True).good().result("client_borg")["changes"] == ["update Borg by apt-get"]
    done = play(web, [update]).good()
    assert "apt-get -q" in done.output
    assert done.result("client_borg")["changed"] is False
    web.write("/usr/local/bin/borg", "#!/bin/sh\necho borg 1.4.9\n", mode=0o755)
    notes = play(web, [update]).good().result("client_borg")["notes"]
    assert "was not installed by the package manager" in notes[0]
