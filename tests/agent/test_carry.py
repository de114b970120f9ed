"""A tree from one folder to another by the stream, both ends as a host would run them."""

import fcntl
import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hosts.trees import compare

from .conftest import agent_module

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to others")
NOBODY = 65534


class Way:
    """A folder to send, a FIFO, and a place with its note; nobody's as well, where `user` is to send."""

    def __init__(self, folder):
        self.folder, self.wait = folder, 20
        self.tree, self.place, self.to = folder / "tree", folder / "place", folder / "to"
        self.tree.mkdir()
        self.place.mkdir(mode=0o700)
        os.mkfifo(self.place / "data")

    def spawn(self, interpreter, piece, user=None, **request):
        given = {"op": piece, "fifo": str(self.place / "data"), "wait": self.wait, **request}
        program = agent_module.program([piece], given)
        process = subprocess.Popen(
            [interpreter, "-I", "-S", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, user=user, group=user, cwd="/",
            extra_groups=None if user is None else [], env={"LANG": "C.UTF-8", "PATH": os.environ["PATH"]},
        )  # fmt: skip
        process.stdin.write(program)
        process.stdin.close()
        process.stdin = None
        return process

    def pack(self, interpreter=sys.executable, user=None, listed=None, **request):
        """`listed`: lines of Borg's list of owners, without the path's encoding; None for those of the tree."""
        owners = self.folder / "tree.owners"
        if listed is None:
            listed = [
                b"%d\t%d\t%d\t%d\t%s" % (s.st_uid, s.st_gid, s.st_uid, s.st_gid, os.fsencode(p.relative_to(self.tree)))
                for p in self.tree.rglob("*")
                for s in [p.lstat()]
            ]
        owners.write_bytes(b"".join(line + b"\0" for line in listed) + b"\0")
        given = {"folder": str(self.tree), "owners": str(owners), "numeric": False, "ours": False, **request}
        return self.spawn(interpreter, "carry_pack", user, **given)

    def unpack(self, interpreter=sys.executable, user=None, overwrite=False, **request):
        given = {"destination": str(self.to), "place": str(self.place), "overwrite": overwrite, **request}
        return self.spawn(interpreter, "carry_unpack", user, **given)

    def carry(self, interpreter=sys.executable, overwrite=False, **request):
        """The answers of both ends."""
        pack, unpack = self.pack(interpreter, **request), self.unpack(interpreter, overwrite=overwrite)
        return read(pack), read(unpack)

    def feed(self, *lines):
        """What unpacking answers to a stream of these lines."""
        process = self.unpack()
        with (self.place / "data").open("wb") as fifo:
            for line in lines:
                fifo.write(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n")
        return read(process)


def read(process):
    out, err = process.communicate(timeout=60)
    assert b"Traceback" not in err
    return agent_module.answer(out.decode("ascii"))


@pytest.fixture
def way(tmp_path):
    return Way(tmp_path)


def odd_tree(tree):
    """Whatever a file system can hold, but for sockets."""
    (tree / "etc").mkdir()
    (tree / "etc/file").write_bytes(b"content" * 1000)
    os.chown(tree / "etc/file", 4711, 4712)
    (tree / "etc/file").chmod(0o4750)
    os.link(tree / "etc/file", tree / "etc/hard")
    os.symlink("../nowhere\n{{ 7*7 }}", tree / "etc/soft")
    os.lchown(tree / "etc/soft", 4711, 4711)
    os.link(tree / "etc/soft", tree / "hard-soft", follow_symlinks=False)
    for name in ("new\nline", "{{ 7*7 }}", "-x", " ", "tab\t", os.fsdecode(b"\xff\xfe"), "ü" * 120, "'\"\\"):
        (tree / name).mkdir()
        (tree / name / name).write_text(name, errors="surrogateescape")
    os.mkfifo(tree / "fifo")
    os.mknod(tree / "null", 0o666 | 0o020000, os.makedev(1, 3))
    (tree / "shut").mkdir(0o000)
    (tree / "sticky").mkdir()
    (tree / "sticky").chmod(0o3777)
    with (tree / "holes").open("wb") as file:
        file.truncate(300_000_000)
        file.seek(200_000_000)
        file.write(b"data")
    subprocess.run(["setfacl", "-m", "u:4711:r,g:4712:rw,d:u:4713:rwx", tree / "sticky"], check=True)
    subprocess.run(["setfacl", "-m", "u:4711:rw", tree / "holes"], check=True)
    os.setxattr(tree / "etc/file", "user.note=%", bytes(range(256)))
    os.setxattr(tree / "etc/soft", "trusted.note", b"of a link", follow_symlinks=False)
    deep = tree
    for _ in range(300):
        deep /= "d"
        deep.mkdir()
    for number, path in enumerate([tree, *tree.rglob("*")]):
        os.utime(path, ns=(1, -(10**18) + number * 1_000_000_007), follow_symlinks=False)


def flags_of(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        return struct.unpack("i", fcntl.ioctl(fd, 0x80086601, b"\0" * 8)[:4])[0] & 0x74
    finally:
        os.close(fd)


def exact(tree, to):
    """Compares names, kinds, contents, modes, owners, times to the nanosecond, links, hard links, ACLs, holes."""
    compare(tree, to)
    for path in tree.rglob("*"):
        left, right = path.lstat(), (to / path.relative_to(tree)).lstat()
        assert left.st_mtime_ns == right.st_mtime_ns, path
        assert (left.st_nlink, left.st_rdev) == (right.st_nlink, right.st_rdev), path
        assert right.st_blocks <= left.st_blocks, path


def test_everything_arrives_exactly(way, interpreter):
    odd_tree(way.tree)
    sent, came = way.carry(interpreter)
    assert sent["state"] == came["state"] == "done", (sent, came)
    assert sent["tally"] == came["tally"]
    assert came["lost"] == {}
    assert sent["tally"]["counts"]["h"] == 2
    # The destination itself is a new folder of root's, whatever the one between was like.
    assert (way.to.stat().st_mode & 0o7777, way.to.stat().st_uid) == (0o700, 0)
    way.to.chmod(way.tree.stat().st_mode)
    os.utime(way.to, ns=(1, way.tree.stat().st_mtime_ns))
    exact(way.tree, way.to)


def test_flags_of_chattr(way):
    (way.tree / "file").write_text("x")
    subprocess.run(["chattr", "+id", way.tree / "file"], check=True)
    try:
        _, came = way.carry()
        assert came["lost"] == {}
        assert flags_of(way.to / "file") == flags_of(way.tree / "file") == 0x50
    finally:
        subprocess.run(["chattr", "-R", "-i", way.tree, way.to], check=True)


def test_owners_go_by_the_archives_names_unless_they_are_numeric(way):
    """`daemon` and 4711 are staged by number; the archive calls 4711 `nobody`, which is another number here."""
    for name in ("a", "b"):
        (way.tree / name).write_text(name)
        os.chown(way.tree / name, 4711, 4711)
    subprocess.run(["setfacl", "-m", "u:4711:r", way.tree / "a"], check=True)
    listed = [b"4711\t4711\tnobody\tnobody-here\ta", b"4711\t4711\tnobody\tnobody-here\tb"]
    way.carry(listed=listed)
    assert [((way.to / name).stat().st_uid, (way.to / name).stat().st_gid) for name in "ab"] == [(NOBODY, 4711)] * 2
    assert "user:65534:r--" in subprocess.run(
        ["getfacl", "-n", way.to / "a"], capture_output=True, text=True, check=True
    ).stdout
    shutil.rmtree(way.to)
    way.carry(listed=listed, numeric=True)
    assert (way.to / "a").stat().st_uid == 4711


def test_an_account_that_is_not_root_sends_the_archives_owners(way):
    (way.tree / "d").mkdir()
    names = ["a", "shut", os.fsdecode(b"\xff")]
    for name in names:
        (way.tree / "d" / name).write_text("x")
    (way.tree / "d/shut").chmod(0)
    listed = [b"1\t2\tdaemon\tbin\td"] + [b"4711\t4712\t4711\t4712\td/" + name for name in (b"a", b"shut", b"?")]
    for path in (way.folder, *way.folder.parents):
        if not path.stat().st_mode & 0o001:
            path.chmod(0o755)
    for path in (way.tree, way.place / "data", *way.tree.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    os.chown(way.place, 0, NOBODY)
    way.place.chmod(0o710)
    pack, unpack = way.pack("/usr/bin/python3", user=NOBODY, listed=listed), way.unpack()
    sent, came = read(pack), read(unpack)
    assert sent["state"] == came["state"] == "done", (sent, came)
    assert ((way.to / "d").stat().st_uid, (way.to / "d").stat().st_gid) == (1, 2)
    assert {(way.to / "d" / name).stat().st_uid for name in names} == {4711}
    assert (way.to / "d/shut").stat().st_mode & 0o7777 == 0


def test_over_what_is_there(way):
    for path in ("new", "same/deep"):
        (way.tree / path).mkdir(parents=True)
    (way.tree / "same/file").write_text("new")
    (way.tree / "same/link").write_text("a file now")
    for path in ("same", "elsewhere"):
        (way.to / path).mkdir(parents=True)
    (way.to / "same/file").write_text("old")
    (way.to / "same/mine").write_text("mine")
    (way.to / "same/link").symlink_to(way.to / "elsewhere")
    (way.to / "new").symlink_to(way.to / "elsewhere")
    way.wait = 1
    sent, came = way.carry()
    assert (came["state"], came["error"]["code"]) == ("refused", "cwd_exists")
    assert sent["error"]["code"] == "cut"
    assert (way.to / "same/file").read_text() == "old"
    way.wait = 20
    sent, came = way.carry(overwrite=True)
    assert came["state"] == "done", came
    assert (way.to / "same/file").read_text() == "new"
    assert (way.to / "same/mine").read_text() == "mine"
    assert (way.to / "same/link").read_text() == "a file now"
    assert (way.to / "new").is_dir()
    assert not (way.to / "new").is_symlink()
    assert list((way.to / "elsewhere").iterdir()) == [], "nothing went through a link"


ABOUT = {"mode": 0o600, "uid": 0, "gid": 0, "mtime": 0, "atime": 0}
BEGIN = {"t": "cyborg-carry-1"}


@pytest.mark.parametrize(
    "lines",
    [
        [b"SSH-2.0-something\n"],
        [b"x" * 100_000],
        [BEGIN, {"t": "f", "n": "../x", "size": 0, "pieces": [], **ABOUT}],
        [BEGIN, {"t": "d", "n": ".."}],
        [BEGIN, {"t": "d", "n": "a/b"}],
        [BEGIN, {"t": "d", "n": ""}],
        [BEGIN, {"t": "l", "n": "out", "to": "/etc", **ABOUT}, {"t": "d", "n": "out"}],
        [BEGIN, {"t": "h", "n": "x", "to": "../../etc/passwd"}],
        [BEGIN, {"t": "l", "n": "out", "to": "/etc", **ABOUT}, {"t": "h", "n": "x", "to": "out/passwd"}],
        [BEGIN, {"t": "u", **ABOUT}],
        [BEGIN, {"t": "f", "n": "short", "size": 10, "pieces": [[0, 10]], **ABOUT}, b"12345"],
        [BEGIN, {"t": "d", "n": "open"}, {"t": "e", "tally": {}}],
        [BEGIN, {"t": "e", "tally": {"counts": {"f": 1}, "bytes": 0, "digest": ""}}],
        [BEGIN, {"t": "x", "code": "changed", "message": "said there"}],
        [BEGIN],
    ],
)
def test_a_stream_that_is_none_of_ours(way, lines):
    before = set(way.folder.iterdir())
    reply = way.feed(*lines)
    assert reply["state"] == "refused", reply
    assert set(way.folder.iterdir()) - before == {way.to}
    assert not (way.to / "x").exists()


def test_a_full_disk_is_said_and_the_sender_hears_that_nobody_takes_more(way):
    (way.tree / "big").write_bytes(os.urandom(9_000_000))
    disk = way.folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "test", disk], check=True)
    try:
        way.to = disk / "to"
        sent, came = way.carry()
    finally:
        subprocess.run(["umount", disk], check=True)
    assert (came["error"]["code"], sent["error"]["code"]) == ("client_full", "cut")
    assert "disk/to lies on is full" in came["error"]["message"]


def test_what_is_left_is_cleared_up(place, interpreter):
    """A command of the job, its place with a note, and what lies between; another job's things stay."""
    store = int.from_bytes(os.urandom(5), "big")

    def do(op, piece, **request):
        program = agent_module.program([piece], {"op": op, "fence": 1, "root": str(place / "jobs"), **request})
        done = subprocess.run([interpreter, "-I", "-S", "-"], input=program, capture_output=True, check=True)
        return agent_module.answer(done.stdout.decode("ascii"))

    def clear(job, **asked):
        return do("carry_clear", "carry_clear", begin=f"{store}.{job}", **asked)

    made = do("carry_place", "carry_place", name=f"{store}.1.1", side="to", uid=NOBODY, gid=NOBODY)
    state = Path(made["place"]).stat()
    assert (state.st_uid, state.st_gid, state.st_mode & 0o777) == (0, NOBODY, 0o710)
    assert (Path(made["fifo"]).stat().st_uid, Path(made["fifo"]).stat().st_mode & 0o777) == (NOBODY, 0o600)
    other = do("carry_place", "carry_place", name=f"{store}.11.1", side="to", uid=0, gid=0)
    between = Path(f"/var/tmp/cyborg-carry-{store}.1.1")
    between.mkdir()
    (between / "shut").mkdir(0)
    (between / "held").write_text("x")
    subprocess.run(["chattr", "+i", between / "held"], check=True)
    Path(f"{between}.owners").write_text("")
    destination = place / "restored"
    destination.mkdir()
    (destination / "half").write_text("made")
    (Path(made["place"]) / "destination").write_bytes(b"made\0" + os.fsencode(destination))
    waiting = subprocess.Popen(["cat", made["fifo"]], stdout=subprocess.DEVNULL)
    program = {"op": "start", "job": f"{store}.1.1.7", "argv": ["sleep", "100"], "root": str(place / "jobs")}
    assert do(piece="start", **program)["state"] in ("starting", "running")
    reply = clear(1, destination=str(destination))
    assert (reply["ended"], reply["undone"]) == (1, [str(destination)]), reply
    assert reply["look"]["there"] is False
    assert waiting.wait(10) == 0
    assert not between.exists()
    assert not Path(f"{between}.owners").exists()
    assert not Path(made["place"]).exists()
    assert Path(other["place"]).exists(), "11 is another job than 1"
    # What is to be kept is.
    destination.mkdir()
    (Path(other["place"]) / "destination").write_bytes(b"made\0" + os.fsencode(destination))
    assert clear(11, keep=True)["undone"] == []
    assert destination.exists()
    assert clear(11, keep=False)["removed"] == []
