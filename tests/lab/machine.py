"""What the lab needs of the machine it runs on: root, programs, locks, mounts, processes."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

PROGRAMS = (
    "chroot", "debootstrap", "dpkg-deb", "mount", "nsenter", "pivot_root", "ssh", "ssh-add", "ssh-agent",
    "ssh-keygen", "umount", "unshare",
)  # fmt: skip
#: Root's programs are not on everybody's PATH.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Every process the lab starts carries this variable; the sweeper ends nothing that does not.
MARK = "CYBORG_LAB"
INSTALL = "scripts/install-test-packages (as root) installs what the tests need"


class LabError(Exception):
    """The lab cannot do what was asked; the sentence says what to do."""


def require() -> None:
    """Raise LabError unless this machine can hold hosts."""
    if os.geteuid() != 0:
        raise LabError("Hosts need root (mounts and namespaces): run it as root or with sudo.")
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing:
        raise LabError(f"Missing here: {', '.join(missing)}; {INSTALL}.")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A small environment: nothing of the session's own reaches a host."""
    return {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", **(extra or {})}


def call(
    argv: Sequence[str | os.PathLike[str]],
    *,
    input: bytes | str | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float = 600,
    check: bool = True,
) -> subprocess.CompletedProcess[bytes]:
    """Run a program, `PATH` being root's; a failure is a LabError with what the program said."""
    data = input.encode() if isinstance(input, str) else input
    source = {"input": data} if data is not None else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(
        [os.fspath(part) for part in argv],
        capture_output=True,
        env=dict(env) if env is not None else environment(),
        timeout=timeout,
        check=False,
        **source,  # type: ignore[call-overload]
    )
    if check and done.returncode:
        said = (done.stderr + done.stdout).decode(errors="replace").strip()
        raise LabError(f"{' '.join(map(os.fspath, argv))} ended with {done.returncode}: {said[-2000:]}")
    return done


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold `path` alone, waiting for whoever has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def try_lock(path: Path) -> IO[str] | None:
    """The open, locked file, or None when another process holds it. Closing it gives the lock back."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file


def mounts_below(folder: Path) -> list[Path]:
    """Mount points at or below a folder, the last mounted first."""
    found = []
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        text = line.split(" ")[4].encode().decode("unicode_escape")
        point = Path(text.encode("latin-1").decode(errors="surrogateescape"))
        if point == folder or folder in point.parents:
            found.append(point)
    return found[::-1]


def remove_tree(folder: Path) -> None:
    """Unmount what is mounted at or below a folder of the lab, then delete the folder."""
    for point in mounts_below(folder):
        call(["umount", "--lazy", point])
    # Deleting through a mount would delete what is mounted, so look again before.
    if left := mounts_below(folder):
        raise LabError(f"Still mounted, so not deleted: {', '.join(map(str, left))}.")
    if folder.exists():
        shutil.rmtree(folder)


def processes() -> Iterator[int]:
    """Ids of all processes this one can see."""
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def marked(mark: str) -> list[int]:
    """Processes whose environment holds MARK with this value."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for pid in processes():
        with suppress(OSError):
            if wanted in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def child_of(parent: int) -> int | None:
    """A child of a process (the lab asks only about those that have one), or None."""
    for pid in processes():
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent and fields[0] != "Z":
                return pid
    return None


def kill(pids: Iterable[int], seconds: float = 10) -> None:
    """SIGKILL, and wait until they are gone."""
    left = list(pids)
    for pid in left:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + seconds
    while left := [pid for pid in left if alive(pid)]:
        if time.monotonic() > deadline:
            raise LabError(f"Processes {left} did not end after SIGKILL.")
        time.sleep(0.01)


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
