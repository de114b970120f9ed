"""Private folders: in memory, ours alone, gone afterwards."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cyborglib.ansible.folders import PrivateFolder, kind_of, memory_folder, own, write_private
from cyborglib.errors import ExecutorError

MEMORY = Path("/dev/shm")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    made = MEMORY / f"cyborg-test-{os.getpid()}-{tmp_path.name}"
    made.mkdir(mode=0o700)
    yield made
    subprocess.run(["rm", "-rf", made], check=True)


def test_kinds() -> None:
    assert kind_of(MEMORY) == "tmpfs"
    assert kind_of(Path("/proc")) == "proc"


def test_it_is_in_memory_and_ours_whatever_the_umask(root: Path) -> None:
    old = os.umask(0)
    try:
        made = PrivateFolder(root / "x")
        inner = made.folder("1")
        write_private(inner / "file", "text")
    finally:
        os.umask(old)
    assert kind_of(made.path) == "tmpfs"
    for folder in (root / "x", made.path, inner):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert (inner / "file").stat().st_mode & 0o777 == 0o600
    made.close()
    assert not made.path.exists()
    made.close()


def test_a_folder_on_a_disk_is_refused(tmp_path: Path) -> None:
    if kind_of(tmp_path) == "tmpfs":
        pytest.skip("temporary files are in memory here")
    with pytest.raises(ExecutorError, match="mount a tmpfs"):
        PrivateFolder(tmp_path)
    with pytest.raises(ExecutorError, match="mount a tmpfs"):
        memory_folder([tmp_path / "x", tmp_path / "gone" / "y"])


def test_candidates_are_tried_in_turn(tmp_path: Path, root: Path) -> None:
    assert memory_folder([tmp_path / "gone" / "x", root / "y"]) == root / "y"


@pytest.mark.parametrize("how", ["link", "open", "file", "stranger"])
def test_somebody_elses_folder_is_refused(root: Path, how: str) -> None:
    place = root / "x"
    if how == "link":
        (root / "target").mkdir(mode=0o700)
        place.symlink_to(root / "target")
    elif how == "file":
        place.touch()
    else:
        place.mkdir()
        place.chmod(0o750 if how == "open" else 0o700)
        if how == "stranger":
            if os.geteuid():
                pytest.skip("only root can make a folder for somebody else")
            os.chown(place, 65534, 65534)
    with pytest.raises(ExecutorError, match="belongs to this user alone"):
        own(place)
    with pytest.raises(ExecutorError):
        PrivateFolder(place)


def test_what_the_dead_left_is_removed_and_the_living_stay(root: Path) -> None:
    living = PrivateFolder(root)
    program = (
        "import sys; from pathlib import Path; from cyborglib.ansible.folders import PrivateFolder, write_private\n"
        "made = PrivateFolder(Path(sys.argv[1])); write_private(made.path / 'secret', 'x')\n"
        "print(made.path, flush=True)\n"
        "import os; os._exit(9)"
    )
    done = subprocess.run([sys.executable, "-c", program, root], capture_output=True, text=True, check=False)
    assert done.returncode == 9, done.stderr
    left = Path(done.stdout.strip())
    assert (left / "secret").exists()
    (root / "half-made").mkdir()
    other = PrivateFolder(root)
    assert not left.exists()
    assert not (root / "half-made").exists()
    assert living.path.exists()
    assert other.path.exists()
    for made in (living, other):
        made.close()


def test_a_lock_is_held(root: Path) -> None:
    made = PrivateFolder(root)
    lock = os.open(made.path / "lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    os.close(lock)
    made.close()


def test_a_file_is_never_followed_or_replaced(root: Path) -> None:
    (root / "target").touch()
    (root / "link").symlink_to(root / "target")
    for name in ("target", "link"):
        with pytest.raises(FileExistsError):
            write_private(root / name, "x")
