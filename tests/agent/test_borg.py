"""With the real Borg: what it says while it works, and how it ends when it must."""

import json
import os
import shutil
import subprocess
import tempfile
import time

import pytest

from .conftest import Target
from .test_cancel import lives, wait_until

pytestmark = pytest.mark.skipif(shutil.which("borg") is None, reason="needs Borg")

PASSPHRASE = "canary-passphrase-1c9a"
#: Stands in for ssh: another session, the far side's "borg serve" as its child.
RSH = "#!/bin/sh\nwhile [ \"${1#-}\" != \"$1\" ]; do shift; done\nshift\nexec setsid -w \"$@\"\n"


class Vault:
    def __init__(self, place):
        self.place = place
        rsh = place / "rsh"
        rsh.write_text(RSH)
        rsh.chmod(0o700)
        self.location = f"ssh://nas{place}/vault"
        self.env = {
            "BORG_BASE_DIR": str(place / "base"), "BORG_RSH": str(rsh), "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }

    def borg(self, *argv, check=True):
        env = {**os.environ, **self.env, "BORG_PASSPHRASE": PASSPHRASE}
        return subprocess.run(["borg", *argv], env=env, capture_output=True, text=True, check=check)

    def create(self, name, *options):
        """The fields of a start request that makes an archive."""
        argv = ["borg", "create", "--log-json", "--progress", "--list", "--json", *options, f"{self.location}::{name}"]
        return {"argv": argv, "env": self.env, "secrets": {"BORG_PASSPHRASE_FD": PASSPHRASE}}


@pytest.fixture
def vault(place):
    vault = Vault(place)
    vault.borg("init", "-e", "repokey-blake2", vault.location)
    return vault


#: Hard work in short steps: Borg hears a signal only between two of them.
SLOWLY = ("-C", "lzma,9", "--chunker-params", "fixed,65536")


@pytest.fixture(scope="module")
def slow_source():
    """A source that no Borg is through with in a test's time."""
    with tempfile.TemporaryDirectory(prefix="cyborg-agent-", dir="/dev/shm") as folder:
        with open(folder + "/block", "wb") as file:
            for _ in range(64):
                file.write(os.urandom(4 * 1024 * 1024))
        yield folder


def test_a_backup_from_end_to_end(any_target, place, vault):
    source = place / "source"
    source.mkdir()
    (source / "file").write_text("x")
    (source / "locked").write_text("x")
    (place / "link").symlink_to(source)
    reply = any_target.do("start", "1.1", **vault.create("one"), sources={"roots": [f"{place}/link"]},
                          follow={"wait": 60, "quiet": 60})
    result = reply["result"]
    assert result["rc"] == 0, result
    archive = json.loads(result["out"])["archive"]
    assert archive["stats"]["nfiles"] == 2
    assert archive["command_line"][-1] == f"{source}"
    assert result["roots_seen"] == [f"{source}"]
    assert result["roots_after"][0]["same"] is True
    assert result["files"]["status"] == {"A": 2, "d": 1}
    assert reply["progress"]["type"] == "archive_progress"
    assert result["warnings"]["total"] == 0
    assert PASSPHRASE not in json.dumps(reply)


def test_what_cannot_be_read_is_counted(place, vault):
    if os.getuid() != 0:
        pytest.skip("needs a second user")
    source = place / "source"
    source.mkdir()
    for name in ("a", "b", "locked1", "locked2"):
        (source / name).write_text(name)
    subprocess.run(["chmod", "000", source / "locked1", source / "locked2"], check=True)
    subprocess.run(["chown", "-R", "65534:65534", place], check=True)
    nobody = Target(place / "nobody", "/usr/bin/python3", user=65534)
    result = nobody.start(job="1.1", **vault.create("one"), sources={"roots": [str(source)]})["result"]
    assert result["rc"] == 1, result
    assert result["warnings"] == {"total": 2, "kinds": {"Permission denied": 2}}
    assert result["files"]["unreadable"] == 2
    assert [example["path"] for example in result["files"]["examples"]] == [f"{source}/locked1", f"{source}/locked2"]
    assert result["roots_seen"] == [str(source)]


def test_a_wrong_passphrase(target, vault):
    request = {**vault.create("one"), "secrets": {"BORG_PASSPHRASE_FD": "wrong"}}
    request["argv"].append("/etc/hostname")
    result = target.start(job="1.1", **request)["result"]
    assert (result["rc"], result["errors"][-1]["msgid"]) == (2, "PassphraseWrong")


def test_progress_reaches_a_follower_soon(target, vault, slow_source):
    reply = target.do("start", "1.1", **vault.create("slow", *SLOWLY), sources={"roots": [slow_source]},
                      follow={"wait": 30, "quiet": 1.0})
    received = time.time()
    assert reply["state"] == "running"
    assert reply["progress"]["type"] == "archive_progress"
    for _ in range(2):
        before = time.monotonic()
        reply = target.do("follow", "1.1", offset=reply["offset"], seen=reply["seen"], wait=30, quiet=1.0)
        assert reply["state"] == "running"
        assert time.monotonic() - before < 20
    assert reply["progress"]["time"] > received - 30
    target.do("cancel", "1.1")


def is_free(vault):
    """Whether no lock is in the way, without any that Borg would have to clear away first."""
    folder = vault.place / "vault"
    locks = [name for name in os.listdir(folder) if name.startswith("lock")]
    locks += (vault.place / "base").rglob("lock.exclusive")
    return not locks and vault.borg("list", "--lock-wait", "0", vault.location).returncode == 0


@pytest.mark.parametrize("interrupt", [False, True])
def test_cancel_ends_borg_on_both_sides_and_leaves_no_lock(target, vault, slow_source, interrupt):
    target.do("start", "1.1", **vault.create("slow", *SLOWLY), sources={"roots": [slow_source]},
              follow={"wait": 30, "quiet": 0})
    # In the middle of the file, with the lock held.
    wait_until(lambda: (vault.place / "vault" / "lock.exclusive").exists())
    pids = processes_of(vault)
    assert len(pids) >= 2, "borg create and borg serve"
    began = time.monotonic()
    reply = target.do("cancel", "1.1", grace=5, interrupt=interrupt)
    assert time.monotonic() - began < 8
    assert reply["state"] == "ended"
    assert (reply["result"]["canceled"], reply["result"]["lost"]) == (True, False)
    assert reply["result"]["rc"] in ((143, 2) if interrupt else (143,))
    wait_until(lambda: not any(map(lives, pids)))
    assert is_free(vault)
    assert vault.borg("list", vault.location).stdout == ""


def test_a_timeout_leaves_no_lock(target, vault, slow_source):
    reply = target.do("start", "1.1", **vault.create("slow", *SLOWLY), sources={"roots": [slow_source]},
                      timeout=4, grace=20, follow={"wait": 60, "quiet": 40})
    assert (reply["state"], reply["result"]["timed_out"]) == ("ended", True)
    wait_until(lambda: not processes_of(vault))
    assert is_free(vault)


def test_borg_outlives_nobody(target, vault, slow_source):
    """Without its supervisor Borg comes to an end by itself or goes on; either way the job's end is found."""
    target.do("start", "1.1", **vault.create("slow", *SLOWLY), sources={"roots": [slow_source]}, follow=None)
    target.wait_for("1.1", "running")
    supervisor, command = map(int, (target.folder("1.1") / "pid").read_text().split())
    os.kill(supervisor, 9)
    wait_until(lambda: not lives(supervisor))
    reply = target.do("ask", "1.1")
    assert reply["state"] == "running" or not lives(command)
    reply = target.do("cancel", "1.1")
    assert (reply["state"], reply["result"]["lost"]) == ("ended", True)
    wait_until(lambda: not processes_of(vault))
    assert is_free(vault)


def processes_of(vault):
    """Pids of living processes, on either side, that name the vault's folder on their command line, or serve it."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid() or not lives(int(name)):
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read()
            with open(f"/proc/{name}/environ", "rb") as file:
                ours = str(vault.place).encode() in file.read() + line
        except OSError:
            continue
        if ours and b"borg" in line:
            found.append(int(name))
    return found


