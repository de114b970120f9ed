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


def quickstart(place: Path, user: str, **more: object) -> subprocess.CompletedProcess[str]:
    home = place / user
    if not home.exists():
        home.mkdir(mode=0o700)
        shutil.chown(home, user)
    # Who is not root may read what root has installed: the interpreter of these tests is root's alone.
    caps = [f"--{kind}-caps=+dac_read_search" for kind in ("inh", "ambient")]
    become = ["/usr/bin/setpriv", f"--reuid={user}", "--regid=nogroup", "--clear-groups", *caps]
    argv = [sys.executable, str(place / "checkout/examples/quickstart.py"), str(home / "made")]
    return subprocess.run(
        argv if user == "root" else [*become, *argv],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(place / "checkout"), **more},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_as_root_twice(place: Path) -> None:
    first = quickstart(place, "root")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "Backing up /etc of this machine" in first.stdout
    assert "etc/passwd: the same as /etc/passwd, byte for byte" in first.stdout
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


def test_as_somebody_else(place: Path) -> None:
    for _ in range(2):
        done = quickstart(place, "nobody")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"Backing up {place}/nobody/made/sample of this machine" in done.stdout
        assert "byte for byte" in done.stdout


def test_without_borg_and_rights_it_says_what_to_install(place: Path) -> None:
    done = quickstart(place, "nobody", PATH=str(place))
    assert done.returncode == 1
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
