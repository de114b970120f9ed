"""A lock that a Borg left which is dead is taken away by the next job, and by its own supervisor; no other one is."""

import importlib.util
import os
import shutil
import signal
import subprocess
import time
import uuid

import pytest

from .conftest import PACKAGE
from .test_borg import PASSPHRASE, SLOWLY, Vault, slow_source  # noqa: F401 - a fixture
from .test_cancel import wait_until

pytestmark = pytest.mark.skipif(shutil.which("borg") is None, reason="needs Borg")

HOST = f"{os.uname().nodename}@{uuid.getnode()}"


def load():
    spec = importlib.util.spec_from_file_location("borg_locks", PACKAGE / "target/borg_locks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


clear_lock = load().clear_lock


@pytest.fixture
def local(place):
    """A vault in a folder of the host."""
    vault = Vault(place)
    vault.location = str(place / "vault")
    vault.borg("init", "-e", "repokey-blake2", vault.location)
    return vault


def listing(vault, **more):
    argv = ["borg", "list", "--json", "--log-json", "--lock-wait", "1", vault.location]
    return {"argv": argv, "env": vault.env, "secrets": {"BORG_PASSPHRASE_FD": PASSPHRASE}, **more}


def locked(folder, *owners):
    """A lock as Borg writes it."""
    (folder / "lock.exclusive").mkdir()
    for owner in owners:
        (folder / "lock.exclusive" / owner).touch()


def test_borg_killed_with_its_supervisor_leaves_locks_that_the_next_job_takes_away(target, place, local, slow_source):  # noqa: F811
    repository_id = (place / "vault/config").read_text().partition("id = ")[2].split()[0]
    cache = place / f"base/.cache/borg/{repository_id}"
    folders = [str(place / "vault"), str(cache)]
    target.start(wait=0.5, **local.create("one", *SLOWLY), sources={"roots": [slow_source]}, job="1.1", locks=folders)
    wait_until(lambda: list((place / "vault/lock.exclusive").glob("*")) and (cache / "lock.exclusive").exists())
    supervisor, borg = map(int, (target.folder("1.1") / "pid").read_text().split())
    os.kill(supervisor, signal.SIGKILL)
    os.kill(borg, signal.SIGKILL)
    assert target.wait_for("1.1")["result"]["lost"]
    # Its pid may have been given to somebody else meanwhile, by which Borg itself would take the lock for one in use.
    with subprocess.Popen(["sleep", "600"]) as other:
        for folder in (place / "vault", cache):
            [owner] = (folder / "lock.exclusive").glob("*")
            owner.rename(owner.with_name(f"{HOST}.{other.pid}-0"))
        assert target.start(**listing(local), job="2.1")["result"]["rc"] != 0
        assert target.start(**listing(local, locks=folders), job="3.1")["result"]["rc"] == 0
        other.kill()
    assert not (place / "vault/lock.exclusive").exists()
    assert not (cache / "lock.exclusive").exists()


def test_a_kill_that_its_supervisor_sees_leaves_no_lock(target, place, local, slow_source):  # noqa: F811
    folders = [str(place / "vault")]
    target.start(wait=0.5, **local.create("one", *SLOWLY), sources={"roots": [slow_source]}, job="1.1", locks=folders)
    wait_until(lambda: list((place / "vault/lock.exclusive").glob("*")))
    os.kill(int((target.folder("1.1") / "pid").read_text().split()[1]), signal.SIGKILL)
    assert target.wait_for("1.1")["result"]["signal"] == signal.SIGKILL
    assert not (place / "vault/lock.exclusive").exists()


def test_a_living_borg_keeps_its_lock(target, place, local):
    env = {**os.environ, **local.env, "BORG_PASSPHRASE": PASSPHRASE}
    with subprocess.Popen(["borg", "with-lock", local.location, "sleep", "60"], env=env) as holder:
        wait_until(lambda: list((place / "vault/lock.exclusive").glob("*")))
        reply = target.start(**listing(local, locks=[str(place / "vault")]))
        assert "LockTimeout" in str(reply["result"]["errors"])
        assert not clear_lock(str(place / "vault"), alone=True)
        holder.terminate()
    assert not (place / "vault/lock.exclusive").exists()


@pytest.mark.parametrize(
    ("owner", "alone", "goes"),
    [
        (f"{HOST}.999999999-0", False, True),
        (f"{os.uname().nodename}.some.where@{uuid.getnode()}.999999999-0", False, True),
        (f"{os.uname().nodename}@1.999999999-0", False, False),  # a host of that name, with another card
        (f"{os.uname().nodename}@1.999999999-0", True, True),
        (f"elsewhere@{uuid.getnode()}.999999999-0", True, False),
        ("nobody knows", True, False),
    ],
)
def test_whose_lock_goes(tmp_path, owner, alone, goes):
    locked(tmp_path, owner)
    assert clear_lock(str(tmp_path), alone) is goes
    assert (tmp_path / "lock.exclusive").exists() is not goes


def test_one_of_several_that_lives_keeps_all(tmp_path):
    locked(tmp_path, f"{HOST}.999999999-0")
    (tmp_path / "lock.roster").write_text(f'{{"shared": [["elsewhere@1", {os.getpid()}, 0]]}}')
    assert not clear_lock(str(tmp_path), alone=True)
    (tmp_path / "lock.roster").write_text(f'{{"shared": [["{HOST}", 999999999, 0]]}}')
    assert clear_lock(str(tmp_path))
    assert os.listdir(tmp_path) == []


def test_a_lock_of_nobody(tmp_path):
    locked(tmp_path)
    assert not clear_lock(str(tmp_path)), "a Borg may just be making it"
    assert clear_lock(str(tmp_path), alone=True)
    assert not clear_lock(str(tmp_path), alone=True), "there is none any more"


# Attempts that are never started


def test_what_was_asked_for_in_vain_is_not_started_any_more(target):
    for op in ("follow", "cancel"):
        job = target.new_job()
        assert target.do(op, job, bar=True)["state"] == "unknown"
        reply = target.start(["true"], job=job)
        assert reply["error"]["code"] == "already_forgotten"
        assert target.do("ask", job)["state"] == "unknown"


def test_a_question_alone_bars_nothing(target):
    job = target.new_job()
    assert target.do("follow", job)["state"] == "unknown"
    assert target.start(["true"], job=job)["result"]["rc"] == 0


def test_a_start_and_a_question_at_once_agree(target):
    """Whichever was first: the one is refused if the other was told that there is nothing."""
    for _ in range(12):
        job = target.new_job()
        start = target.popen("start", job, argv=["true"], follow={"wait": 30, "quiet": 30})
        time.sleep(0.004 * _)
        asked = target.do("follow", job, bar=True, wait=30, quiet=30)
        started = target.read(start)
        assert (asked["state"] == "unknown") == (started["state"] == "refused"), (asked, started)
