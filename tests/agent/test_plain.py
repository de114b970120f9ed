"""What comes from another host gives no rights on this one; everything else of it stays."""

import os
import stat
import subprocess

import pytest

from .conftest import agent_module


@pytest.fixture
def tree(tmp_path):
    """On a disk, as restores are: files in memory know no flags."""
    root = tmp_path / "restored"
    (root / "deep" / "er").mkdir(parents=True)
    for name, mode in (("plain", 0o640), ("setuid", 0o4755), ("setgid", 0o2755), ("both \udcff\n", 0o6711)):
        (root / "deep" / name).write_text(name.encode("utf-8", "replace").decode())
        (root / "deep" / name).chmod(mode)
    (root / "capable").write_text("x")
    subprocess.run(["setfattr", "-n", "security.capability", "-v", CAPABILITY, root / "capable"], check=True)
    (root / "flagged").write_text("x")
    (root / "flagged").chmod(0o4700)
    subprocess.run(["chattr", "+i", root / "flagged"], check=True)
    os.mknod(root / "deep/er/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    os.mknod(root / "deep/er/disk", 0o600 | stat.S_IFBLK, os.makedev(7, 200))
    os.mkfifo(root / "fifo")
    (root / "link").symlink_to("/usr/bin/su")
    (root / "shared").mkdir()
    (root / "shared").chmod(0o2775)
    yield root
    subprocess.run(["chattr", "-i", root / "flagged"], check=True)


#: cap_net_raw=ep, as the kernel keeps it.
CAPABILITY = "0x0100000200200000000000000000000000000000"


def test_rights_are_taken_away(tree, interpreter):
    before = os.stat("/usr/bin/su")
    request = {"op": "plain", "destination": str(tree)}
    program = agent_module.program(["plain"], request)
    done = subprocess.run([interpreter, "-I", "-S", "-"], input=program, capture_output=True, check=True)
    reply = agent_module.answer(done.stdout.decode())
    assert (reply["state"], reply["changed"], reply["removed"]) == ("done", 5, 2)
    assert len(reply["examples"]) == 5
    assert {"deep/er/null", "deep/er/disk"} < set(reply["examples"])
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tree / "deep").iterdir()}
    assert modes == {"plain": 0o640, "setuid": 0o755, "setgid": 0o755, "both \udcff\n": 0o711, "er": 0o755}
    assert list((tree / "deep/er").iterdir()) == []
    assert "security.capability" not in os.listxattr(tree / "capable")
    assert stat.S_IMODE((tree / "flagged").stat().st_mode) == 0o700
    assert stat.S_IMODE((tree / "shared").stat().st_mode) == 0o2775
    assert (tree / "link").is_symlink()
    assert (tree / "fifo").exists()
    assert os.stat("/usr/bin/su").st_mode == before.st_mode, "no link is followed"
    assert (tree / "deep/setuid").read_text() == "setuid"
