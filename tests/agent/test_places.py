"""Folders that others could have prepared for us are refused, and nothing is started in them."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

from .conftest import Target

NOBODY = 65534

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")


def refused(target, words, ran, job="1.1"):
    reply = target.start(["touch", str(ran)], job=job)
    assert (reply["state"], reply["error"]["code"]) == ("refused", "unsafe_directory"), reply
    assert words in reply["error"]["message"]
    assert not ran.exists()


@pytest.fixture
def ran(place):
    return place / "ran"


def test_a_root_that_another_user_made(target, ran):
    target.root.mkdir(mode=0o700)
    os.chown(target.root, NOBODY, NOBODY)
    refused(target, "belongs to uid 65534, not to us", ran)


def test_a_root_that_is_a_link(target, place, ran):
    (place / "real").mkdir(mode=0o700)
    target.root.symlink_to(place / "real")
    refused(target, "is a link or no folder", ran)
    assert not list((place / "real").iterdir())


def test_a_root_that_is_a_file(target, ran):
    target.root.touch()
    refused(target, "is a link or no folder", ran)


def test_a_link_on_the_way_to_the_root(place, ran):
    (place / "real").mkdir()
    (place / "link").symlink_to(place / "real")
    refused(Target(place / "link" / "jobs", sys.executable), "link is a link or no folder", ran)


def test_a_folder_on_the_way_that_another_user_owns(place, ran):
    (place / "theirs").mkdir(mode=0o755)
    os.chown(place / "theirs", NOBODY, NOBODY)
    refused(Target(place / "theirs" / "jobs", sys.executable), "belongs to uid 65534, neither to root nor to us", ran)


def test_a_folder_on_the_way_that_others_can_write(place, ran):
    (place / "open").mkdir()
    (place / "open").chmod(0o777)
    refused(Target(place / "open" / "jobs", sys.executable), "can be written by others (mode 0777): chmod go-w", ran)
    (place / "open").chmod(0o1777)
    reply = Target(place / "open" / "jobs", sys.executable).start(["true"])
    assert reply["state"] == "ended"


def test_a_root_that_others_can_read(target, ran):
    target.root.mkdir(mode=0o750)
    refused(target, "has mode 0750 instead of 0700", ran)


@pytest.mark.parametrize("path", ["relative", "/", "/dev/shm/../shm/x"])
def test_a_root_that_is_no_path(path, ran):
    target = Target("/x", sys.executable)
    target.root = path
    refused(target, "must be an absolute path", ran)


@pytest.mark.parametrize("kind", ["link", "file", "foreign", "empty", "unmarked"])
def test_a_job_that_is_there_already(target, place, kind, ran):
    target.start(["true"], job="9.9")
    folder = target.folder("1.1")
    if kind == "link":
        folder.symlink_to(target.folder("9.9"))
    elif kind == "file":
        folder.touch()
    else:
        folder.mkdir(mode=0o700)
        if kind == "unmarked":
            (folder / "lock").touch()
        if kind == "foreign":
            os.chown(folder, NOBODY, NOBODY)
    refused(target, "", ran)
    if kind in ("empty", "unmarked"):
        assert target.do("ask", "1.1") == {"state": "unknown"}
    assert folder.is_symlink() or folder.exists()


def test_files_of_a_job_are_never_opened_through_links(target, place):
    target.start(["true"], job="1.1")
    (place / "victim").write_text("0")
    (target.folder("1.1") / "fence").unlink()
    (target.folder("1.1") / "fence").symlink_to(place / "victim")
    reply = target.do("forget", "1.1", fence=5)
    assert reply["error"]["code"] == "agent_failed"
    assert (place / "victim").read_text() == "0"


def test_an_ordinary_user(place):
    """Everything works without root, and its jobs are its own."""
    home = Path(tempfile.mkdtemp(dir="/dev/shm"))
    os.chmod(home, 0o755)
    os.chown(home, NOBODY, NOBODY)
    try:
        target = Target(home / ".local" / "state" / "cyborg", "/usr/bin/python3", user=NOBODY)
        reply = target.start(["id", "-u"], job="1.1", files={"pass": "x"}, files_secret=True, secrets={"S": "x"})
        assert reply["result"]["out"] == f"{NOBODY}\n"
        assert target.root.stat().st_uid == NOBODY
        assert target.root.stat().st_mode & 0o777 == 0o700
        # root does not take what belongs to an ordinary user for its own
        refused(Target(target.root, sys.executable), "belongs to uid 65534", place / "ran", job="1.1")
        target.do("start", "2.1", argv=["sleep", "300"], follow=None)
        assert target.do("cancel", "2.1", grace=1)["state"] == "ended"
        assert target.do("forget", "2.1")["forgotten"] is True
    finally:
        shutil.rmtree(home)


def test_the_default_root():
    """/run/cyborg for root; below the home folder, not the session's runtime folder, for others."""
    namespace = {}
    text = (Path(__file__).parents[2] / "plugins/module_utils/agent/target/places.py").read_text()
    exec(text.replace("from .frame import Refused, to_bytes", ""), namespace)
    assert namespace["default_root"]() == b"/run/cyborg"
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(2)  # bin, whose home is /bin, a link to /usr/bin
            os.environ["HOME"] = os.environ["XDG_RUNTIME_DIR"] = "/elsewhere"
            right = namespace["default_root"]() == os.path.realpath(b"/bin") + b"/.local/state/cyborg"
            os._exit(0 if right else 1)
        finally:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_full_file_system(place):
    """On a tmpfs of its own: refused in a sentence when full, and a running job still leaves its result."""
    if os.system(f"mkdir {place}/small && mount -t tmpfs -o size=8m,mode=700 tmpfs {place}/small") != 0:
        pytest.skip("may not mount")
    try:
        target = Target(place / "small" / "jobs", sys.executable)
        fill = f"dd if=/dev/zero of={place}/small/fill bs=64k 2>/dev/null; yes some words | head -c 2000000 >&2; echo x"
        result = target.wait_for("1.1")["result"] if target.shell(fill, job="1.1") else None
        assert (result["rc"], result["lost"]) == (0, False)
        assert result["log_bytes"] + result["log_dropped"] >= 2_000_000
        assert result["out_bytes"] == 2
        reply = target.start(["true"], job="2.1")
        assert (reply["state"], reply["error"]["code"]) == ("refused", "client_full")
        assert [path.name for path in target.root.iterdir()] == ["1.1"]
        (place / "small" / "fill").unlink()
        assert target.start(["true"], job="2.1")["result"]["rc"] == 0
    finally:
        os.system(f"umount {place}/small")


def test_logs_have_a_total(target, place):
    """Jobs that nobody acknowledges do not eat the host's memory."""
    target.start(["true"], job="1.1")
    with open(target.folder("1.1") / "log.99999999", "wb") as file:
        file.truncate(64 * 1024 * 1024)
    assert target.start(["true"], job="2.1")["error"]["code"] == "client_full"
    assert target.start(["true"], job="1.1")["state"] == "ended"
    assert target.do("forget", "1.1")["forgotten"] is True
    assert target.start(["true"], job="2.1")["state"] == "ended"
