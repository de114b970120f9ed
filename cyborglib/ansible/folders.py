"""Folders in memory, for what must never be on a disk: inventories, tokens, sockets."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ExecutorError

#: File systems that live in memory alone (tmpfs may be swapped out, as all memory may).
MEMORY = frozenset({"tmpfs", "ramfs"})


def candidates() -> list[Path]:
    """Where such a folder may lie, best first: the user's runtime folder, /run, /dev/shm."""
    uid = os.geteuid()
    found = [Path("/run/cyborg-controller")] if uid == 0 else []
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        found.insert(0, Path(runtime) / "cyborg")
    return [*found, Path(f"/run/user/{uid}/cyborg"), Path(f"/dev/shm/cyborg-{uid}")]  # noqa: S108 (see `own`)


def kind_of(path: Path) -> str:
    """The type of the file system that a path is on ("tmpfs"), as the kernel says; "" if it is not told."""
    status = path.stat()
    device = f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}"
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        fields = line.split(" ")
        if fields[2] == device:
            return fields[fields.index("-") + 1]
    return ""


def own(path: Path) -> None:
    """Make a folder that is ours alone, or make sure that it is one.

    Raises `ExecutorError` if it belongs to somebody else, is a link, or is open to others.
    """
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        status = path.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
            raise ExecutorError(
                f"{path} is not a folder that belongs to this user alone (mode 0700); somebody else may have made "
                "it. Remove it and try again"
            ) from None
    else:
        path.chmod(0o700)  # mkdir's mode passes through the umask, which may even take rights from the owner.


def memory_folder(places: Iterable[Path] | None = None) -> Path:
    """The first of some places that is in memory, made and ours.

    Raises `ExecutorError` if there is none.
    """
    tried = []
    for place in candidates() if places is None else places:
        tried.append(str(place))
        there = place if place.is_dir() else place.parent
        if there.is_dir() and os.access(there, os.W_OK | os.X_OK) and kind_of(there) in MEMORY:
            own(place)
            return place
    raise ExecutorError(
        f"no folder in memory was found for what must not be on a disk (tried {', '.join(tried)}); mount a tmpfs "
        "at /dev/shm, or set XDG_RUNTIME_DIR to a folder on one"
    )


class PrivateFolder:
    """A folder in memory that lives as long as this process holds it, and is ours alone.

    What a process that died has left behind is removed when the next one makes its own.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = memory_folder() if root is None else memory_folder([root])
        with self._alone():
            self._sweep()
            self.path = self._root / secrets.token_hex(4)
            self.path.mkdir(mode=0o700)
            self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Between making a folder and locking it, nobody else may take it for abandoned."""
        lock = os.open(self._root / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _sweep(self) -> None:
        for folder in self._root.iterdir():
            if folder.is_symlink() or not folder.is_dir():
                continue
            try:
                lock = os.open(folder / "lock", os.O_RDWR | os.O_NOFOLLOW)
            except FileNotFoundError:
                shutil.rmtree(folder)
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue  # Its process lives.
            else:
                shutil.rmtree(folder)
            finally:
                os.close(lock)

    def folder(self, name: str) -> Path:
        """A folder in it, made."""
        path = self.path / name
        path.mkdir(mode=0o700)
        return path

    def close(self) -> None:
        """Remove it with all that is in it."""
        if self._lock >= 0:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = -1


def write_private(path: Path, text: str) -> None:
    """A new file that only we may read, whatever the umask is."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
