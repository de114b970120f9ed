"""The quickstart, as root and as somebody else, twice; on this machine, in folders of its own."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that anybody may reach, with a copy of the checkout's programs that anybody may read."""
    path = Path(tempfile.mkdtemp(prefix="cyborg-quickstart-"))
    path.chmod(0o755)
    ignored = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, path / "checkout", symlinks=True, ignore=ignored)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def somebody(place: Path) -> Iterator[str]:
    """An account with a home, made for one test."""
    name = f"cyborg-q{os.getpid() % 100000}"
    subprocess.run(["useradd", "--system", "--create-home", "--home-dir", str(place / name), name], check=True)
    yield name
    subprocess.run(["userdel", name], check=True)


def quickstart(place: Path, user: str, **more: str) -> subprocess.CompletedProcess[str]:
    home = place / user
    if not home.exists():
        home.mkdir(mode=0o700)
        shutil.chown(home, user)
    argv = [sys.executable, str(place / "checkout/examples/quickstart.py"), str(home / "made")]
    if user != "root":
        argv = ["/usr/bin/unshare", "--mount", "/bin/sh", "-ec", reachable(place), "sh", user, *argv]
    return subprocess.run(
        argv, env={"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(place / "checkout"), **more},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd="/",
    )  # fmt: skip


def reachable(place: Path) -> str:
    """A shell script that runs "$@" as the user $1, to whom the interpreter of these tests, which may lie in root's
    home, is shown at its place: in a mount namespace of its own."""
    lines, closed = ["PATH=/usr/bin:/bin:/usr/sbin:/sbin"], set()
    shown = dict.fromkeys((Path(sys.base_prefix), Path(sys.prefix)))
    for number, path in enumerate(shown):
        lines += [f"mkdir -p '{place}/shown/{number}'", f"mount --bind '{path}' '{place}/shown/{number}'"]
        closed |= {above for above in path.parents if not above.stat().st_mode & 0o001}
    for folder in sorted(closed):
        lines.append(f"[ ! -d '{folder}' ] || mount -t tmpfs -o mode=755 tmpfs '{folder}'")
    for number, path in enumerate(shown):
        lines.append(f"[ -d '{path}/bin' ] || {{ mkdir -p '{path}'; mount --bind '{place}/shown/{number}' '{path}'; }}")
    become = 'setpriv --reuid="$user" --regid=nogroup --clear-groups -- env PATH="$path" "$@"'
    return "path=$PATH\n" + "\n".join([*lines, "user=$1; shift", f"exec {become}"])


def test_as_root_twice(place: Path) -> None:
    first = quickstart(place, "root")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Backing up /etc of this machine" in first.stdout
    assert "etc/profile: the same as /etc/profile, byte for byte" in first.stdout
    assert "confirmed by the controller" in first.stdout
    assert [line[2] for line in first.stdout.splitlines()[-5:]] == list("12345")
    kit = place / "root/made/recovery-kit.txt"
    assert kit.stat().st_mode & 0o777 == 0o600
    # Borg alone opens the vault with what the kit says.
    lines = dict(line.split(":", 1) for line in kit.read_text().splitlines() if ":" in line)
    env = {"PATH": "/usr/bin:/bin", "HOME": str(place), "BORG_PASSPHRASE": lines["passphrase"].strip()}
    listed = subprocess.run(
        ["borg", "list", "--short", lines["repository"].strip()], env=env, capture_output=True, text=True, check=True
    )
    [archive] = listed.stdout.split()
    assert f"Archive {archive}" in first.stdout
    second = quickstart(place, "root")
    assert second.returncode == 0, second.stdout + second.stderr
    assert "prepare" not in second.stdout, "what is ready is not prepared again"
    assert "byte for byte" in second.stdout


def test_as_somebody_else(place: Path, somebody: str) -> None:
    for _ in range(2):
        done = quickstart(place, somebody)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"Backing up {place}/{somebody}/made/sample of this machine" in done.stdout
        assert "byte for byte" in done.stdout


def test_an_account_without_a_home_is_told_so(place: Path) -> None:
    done = quickstart(place, "nobody")
    assert done.returncode == 1
    assert "/nonexistent cannot be made: Permission denied. The account that does it needs" in done.stderr


def test_without_borg_and_rights_it_says_what_to_install(place: Path) -> None:
    done = quickstart(place, "nobody", PATH=str(place))
    assert done.returncode == 1, done.stderr
    assert "apt-get install borgbackup" in done.stderr
    assert not (place / "nobody/made").exists()


def test_progress_is_live_on_a_terminal(place: Path) -> None:
    """One line is written over and over while Borg is at work."""
    (place / "root").mkdir()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(HOME=str(place / "root"), PYTHONPATH=str(place / "checkout"), COLUMNS="100")
        os.execv(sys.executable, [sys.executable, str(place / "checkout/examples/quickstart.py"), str(place / "made")])
    said = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # how a terminal says that nobody writes to it any more
            break
        if not piece:
            break
        said += piece
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, said.decode()
    assert any(b"files" in line for line in said.split(b"\r") if b"backup quickstart of localhost:" in line)
