"""What is to be backed up is looked at before anything starts: "nothing, with rc 0" is not to be had."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from .conftest import Target, agent_module

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="mounts, and looks as another user")


@pytest.fixture
def tree(place):
    """Sources on tmpfs: ``full`` (a folder with a file), ``empty``."""
    (place / "full").mkdir()
    (place / "full" / "file").write_text("x")
    (place / "empty").mkdir()
    return place


def look(target, *roots, job=None, argv=("printf", "%s\\n"), **sources):
    """The answer to a start whose command prints the paths that it got."""
    sources["roots"] = [str(root) for root in roots]
    return target.start(list(argv), job=job or target.new_job(), sources=sources)


def refused(target, code, *roots, job="77.1", **sources):
    reply = look(target, *roots, job=job, **sources)
    assert (reply["state"], reply["error"]["code"]) == ("refused", code), reply
    assert reply["error"]["root"] in reply["error"]["message"]
    assert target.do("ask", job) == {"state": "unknown"}
    assert not target.root.exists() or not [name for name in os.listdir(target.root) if name.startswith(".new")]
    return reply["error"]


def test_good_sources_become_arguments(target, tree):
    paths = [f"{tree}/full", f"{tree}/full/file"]
    reply = look(target, *paths)
    assert reply["result"]["out"].splitlines() == paths
    filesystem = reply["roots"][0]["filesystem"]
    assert filesystem.startswith("tmpfs:")
    assert reply["roots"] == [{"asked": path, "real": path, "filesystem": filesystem} for path in paths]
    assert (reply["left_out"], reply["absent"]) == ([], [])
    assert reply["result"]["roots_after"] == [
        {"real": path, "there": True, "filesystem": filesystem, "same": True} for path in paths
    ]


def test_who_attaches_is_told_of_the_sources_too(target, tree):
    first = look(target, tree / "full", job="1.1")
    again = look(target, tree / "full", job="1.1")
    assert again["started"] is False
    assert again["roots"] == first["roots"]


def test_a_source_that_is_not_there(target, tree):
    refused(target, "source_missing", tree / "none")
    (tree / "dangling").symlink_to(tree / "none")
    assert f"leads to {tree}/none" in refused(target, "source_missing", tree / "full", tree / "dangling")["message"]


def test_an_empty_source(target, tree):
    refused(target, "source_empty", tree / "empty")
    (tree / "empty" / "lost+found").mkdir()
    refused(target, "source_empty", tree / "empty")
    assert look(target, tree / "empty", allow_empty=True)["result"]["rc"] == 0


def test_a_source_on_another_file_system_than_before(target, tree):
    filesystem = look(target, tree / "full")["roots"][0]["filesystem"]
    assert look(target, tree / "full", expected={f"{tree}/full": filesystem})["state"] == "ended"
    error = refused(target, "source_moved", tree / "full", expected={f"{tree}/full": "ext4:1234-5678"})
    assert (error["expected"], error["filesystem"]) == ("ext4:1234-5678", filesystem)
    assert "is it not mounted?" in error["message"]
    assert "allow_moved" in error["message"]


def test_what_was_taken_out_of_a_policy_is_not_missed(target, tree):
    elsewhere = {f"{tree}/full/file": "ext4:1234-5678", "/gone": "ext4:1234-5678"}
    assert look(target, tree / "full", expected=elsewhere)["state"] == "ended"
    # With its file systems a root stands for all below it: a folder of the same file system is there, one that is
    # nowhere is not, and one that is beside it was never its own.
    here = look(target, tree / "full")["roots"][0]["filesystem"]
    below = {f"{tree}/full/file": here, "/gone": "ext4:1234-5678"}
    assert look(target, tree / "full", mounts=True, expected=below)["state"] == "ended"
    refused(target, "source_moved", tree / "full", mounts=True, expected={f"{tree}/full/gone": here})


def test_a_source_that_may_be_absent_is_missed_if_it_was_there(target, tree):
    there = {f"{tree}/none": "ext4:1234-5678"}
    reply = look(target, tree / "full", tree / "none", optional=True, expected=there, job="77.2")
    assert reply["error"]["code"] == "source_moved"


def test_a_source_that_is_a_link_is_backed_up_under_its_real_path(target, tree):
    (tree / "link").symlink_to(tree / "full")
    reply = look(target, tree / "link", tree / "full")
    assert reply["result"]["out"] == f"{tree}/full\n"
    assert reply["roots"][0]["asked"] == f"{tree}/link"
    assert reply["roots"][0]["real"] == f"{tree}/full"
    assert "is a link" in refused(target, "source_unreadable", tree / "link", follow=False)["message"]


def test_sources_that_need_not_be_there(target, tree):
    reply = look(target, tree / "none", tree / "full", optional=True)
    assert reply["absent"] == [f"{tree}/none"]
    assert [root["asked"] for root in reply["roots"]] == [f"{tree}/full"]
    refused(target, "source_missing", tree / "none", tree / "never", optional=True)


def test_a_source_that_is_neither_folder_nor_file(target, tree):
    os.mkfifo(tree / "fifo")
    assert "neither a folder nor a file" in refused(target, "source_unreadable", tree / "fifo")["message"]


def test_a_source_below_a_file(target, tree):
    refused(target, "source_missing", tree / "full" / "file" / "below")


def test_a_source_this_user_may_not_read(tree):
    home = Path(tempfile.mkdtemp(dir="/dev/shm"))
    os.chown(home, 65534, 65534)
    tree.chmod(0o755)
    target = Target(home / "jobs", "/usr/bin/python3", user=65534)
    try:
        (tree / "full").chmod(0o000)
        refused(target, "source_unreadable", tree / "full")
        (tree / "full").chmod(0o744)
        assert "not entered" in refused(target, "source_unreadable", tree / "full")["message"]
        (tree / "full").chmod(0o755)
        (tree / "full" / "file").chmod(0o600)
        refused(target, "source_unreadable", tree / "full" / "file")
        assert look(target, tree / "full")["state"] == "ended"
    finally:
        subprocess.run(["rm", "-r", home], check=True)


@pytest.mark.parametrize("name", ["{{ 7*7 }}; touch x", "-x", "re:.*", "a\nb", "{now}", "b\udcff", " \t\u00e9"])
def test_names_are_only_names(any_target, place, name):
    folder = os.fsencode(str(place)) + b"/" + name.encode("utf-8", "surrogateescape")
    os.mkdir(folder)
    open(folder + b"/file", "w").close()
    reply = look(any_target, f"{place}/{name}", argv=("printf", "%s"))
    assert reply["result"]["out"] == f"{place}/{name}"
    assert reply["result"]["roots_after"][0]["same"] is True


def test_a_source_that_goes_away_meanwhile(target, tree):
    script = 'mv "$1" "$1.gone"'
    reply = target.start(["sh", "-c", script, "sh"], sources={"roots": [f"{tree}/full"]})
    assert reply["result"]["roots_after"] == [
        {"real": f"{tree}/full", "there": False, "filesystem": None, "same": False}
    ]


def in_mounts(place, script, request):
    """The answer to a start in a mount namespace of its own, after the script has arranged it."""
    program = agent_module.exchange({"op": "start", "job": "1.1", "root": str(place / "jobs"), "fence": 0,
                                     "follow": {"wait": 60, "quiet": 60}, **request})
    (place / "program").write_bytes(program)
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-e", "-c", f"cd {place}\n{script}\nexec {sys.executable} -I -S - < program"],
        capture_output=True, check=False,
    )
    assert done.returncode == 0, done.stderr
    return agent_module.answer(done.stdout.decode())


def make_disk(path):
    with open(path, "wb") as file:
        file.truncate(4 * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", path], check=True)


def test_every_real_local_file_system_becomes_a_root(tmp_path):
    place = tmp_path  # on a disk: what lies in memory is left out
    for name in ("one", "two"):
        make_disk(place / name)
    script = """
    mkdir -p top/dir top/dir2 top/one top/memory top/image top/proc top/bind top/merged top/home top/elsewhere aside
    echo x > top/dir/file
    mount -o loop one top/one; mkdir top/one/sub; mount -o loop two aside; mkdir aside/part; echo y > aside/part/file
    mount -t tmpfs tmpfs top/memory; mount -t proc proc top/proc
    mount --bind top/dir top/bind                      # Borg would take it twice: the same device
    mount --bind top/one/sub top/dir2                  # reached through top/one already
    mount --bind aside/part top/elsewhere              # not reached otherwise
    mkdir u w; mount -t overlay overlay -o lowerdir=top/dir,upperdir=u,workdir=w top/merged
    """
    request = {"argv": ["printf", "%s\\n", "REPO::ARCHIVE"],
               "sources": {"roots": [f"{place}/top"], "mounts": True, "options_at": 2}}
    reply = in_mounts(place, script, request)
    assert reply["state"] == "ended", reply
    assert reply["result"]["out"].splitlines() == [
        "--exclude", f"pp:{place}/top/bind", "REPO::ARCHIVE",
        f"{place}/top", f"{place}/top/one", f"{place}/top/elsewhere",
    ]
    asked = {root["real"].rpartition("/")[2]: root for root in reply["roots"]}
    assert asked["top"]["asked"] == f"{place}/top"
    assert asked["one"]["asked"] is asked["elsewhere"]["asked"] is None
    assert asked["one"]["filesystem"].startswith("ext4:")
    assert asked["one"]["filesystem"] != asked["elsewhere"]["filesystem"]
    assert [(left["path"], left["type"], left["reason"]) for left in reply["left_out"]] == [
        (f"{place}/top/merged", "overlay", "overlay")
    ]


def test_a_mount_that_another_one_hides_is_not_taken(place):
    make_disk(place / "one")
    script = "mkdir -p top/a/b; echo x > top/x; mount -o loop one top/a; mkdir top/a/b; mount -t tmpfs t top/a/b\n"
    script += "mount -t tmpfs t top/a"
    reply = in_mounts(place, script, {"argv": ["echo"], "sources": {"roots": [f"{place}/top"], "mounts": True}})
    assert [root["real"] for root in reply["roots"]] == [f"{place}/top"]


def test_a_disk_that_is_not_mounted_any_more(place):
    """The same folder, with and without its disk: empty, or with something in it, on another file system."""
    make_disk(place / "one")
    sources = {"roots": [f"{place}/data"]}
    mounted = "mkdir data; mount -o loop one data; echo x > data/x"
    reply = in_mounts(place, mounted, {"argv": ["true"], "sources": sources})
    sources["expected"] = {f"{place}/data": reply["roots"][0]["filesystem"]}
    request = {"job": "2.1", "argv": ["true"], "sources": sources}
    assert in_mounts(place, ":", request)["error"]["code"] == "source_empty"
    assert in_mounts(place, "echo stray > data/stray", request)["error"]["code"] == "source_moved"
    assert in_mounts(place, "mount -o loop one data", request)["state"] == "ended"


def test_a_file_system_of_the_last_backup_that_is_not_mounted(place):
    make_disk(place / "one")
    sources = {"roots": [f"{place}/top"], "mounts": True}
    mount = "mkdir -p top/one; echo x > top/x; mount -o loop one top/one"
    reply = in_mounts(place, mount, {"argv": ["true"], "sources": sources})
    sources["expected"] = {root["real"]: root["filesystem"] for root in reply["roots"]}
    assert len(sources["expected"]) == 2
    request = {"job": "2.1", "argv": ["true"], "sources": sources}
    error = in_mounts(place, ":", request)["error"]
    assert (error["code"], error["root"]) == ("source_moved", f"{place}/top/one")
    assert in_mounts(place, mount, request)["state"] == "ended"


def mounts_module():
    __import__("cyborg_agent.target.mounts")
    return sys.modules["cyborg_agent.target.mounts"]


INFO = rb"""22 1 8:1 / / rw - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw - proc proc rw
30 22 8:2 / /home rw - ext4 /dev/sda2 rw
31 22 0:40 / /srv/a\040b\134c rw - nfs4 nas:/x rw
32 22 0:41 / /mnt/ssh rw - fuse.sshfs u@h:/ rw
33 22 7:1 / /snap/core rw - squashfs /dev/loop1 ro
34 22 0:42 /@home /data rw - btrfs /dev/sdb rw
35 22 0:43 / /tank rw - zfs tank/data rw
36 22 0:44 / /odd rw - newfs whatever rw
37 22 8:3 / /ntfs rw - fuseblk /dev/sdc1 rw
38 30 8:4 / /home rw - xfs /dev/mapper/vg-home rw
39 38 0:45 / /home/u/.gvfs rw - fuse portal rw
40 22 0:46 / /run rw - tmpfs tmpfs rw
"""


def test_kinds_of_file_systems(tmp_path):
    module = mounts_module()
    (tmp_path / "info").write_bytes(INFO)
    mounts = module.read_mounts(tmp_path / "info")
    kinds = {mount.point.decode(): mount.kind() for mount in mounts}
    assert kinds == {
        "/": "real", "/proc": "pseudo", "/home": "real", "/srv/a b\\c": "network", "/mnt/ssh": "network",
        "/snap/core": "image", "/data": "real", "/tank": "real", "/odd": "unknown", "/ntfs": "real",
        "/home/u/.gvfs": "network", "/run": "pseudo",
    }

    def seen(path):
        return module.mount_of(path, mounts).source

    assert seen(b"/") == seen(b"/etc") == seen(b"/homes") == b"/dev/sda1"
    assert seen(b"/home") == seen(b"/home/u") == b"/dev/mapper/vg-home"
    assert seen(b"/home/u/.gvfs/x") == b"portal"
    assert seen(b"/data/x") == b"/dev/sdb"
    assert module.mount_of(b"/x", [mount for mount in mounts if mount.id > 22]) is None


def test_the_identity_of_a_file_system(tmp_path, monkeypatch):
    """By its UUID where udev knows it, else by its source."""
    module = mounts_module()
    (tmp_path / "info").write_bytes(INFO)
    mounts = module.read_mounts(tmp_path / "info")
    status = os.stat(tmp_path)
    assert module.identity(mounts[7], status) == "zfs:tank/data"
    assert module.identity(None, status) == f"device:{status.st_dev}"

    class Device:
        st_rdev = os.makedev(8, 17)

    def listdir(folder):
        assert folder == "/dev/disk/by-uuid"
        return ["0000-0000", "11f5-22aa"]

    def stat(path, **_):
        if path == "/dev/disk/by-uuid/0000-0000":
            raise FileNotFoundError
        assert path in (b"/dev/sdb", "/dev/disk/by-uuid/11f5-22aa")
        return Device

    monkeypatch.setattr(module, "os", type("FakeOs", (), {"listdir": listdir, "stat": stat, "major": os.major}))
    assert module.identity(mounts[6], status) == "btrfs:11f5-22aa"
