"""A PostgreSQL server of the tests' own: Debian's programs, a cluster in a temporary folder, a unix socket only."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

from tests.lab.machine import INSTALL, LabError, environment, kill, locked, remove_tree

PREFIX = "cyborglib-pg-"


class PostgreSQL:
    """A running server. `database()` gives the URL of a fresh, empty database; `close()` ends and deletes all.

    As root the server runs as Debian's user `postgres` (PostgreSQL refuses root), else as the user itself.
    """

    def __init__(self) -> None:
        self.programs = _programs()
        with locked(Path(tempfile.gettempdir(), f"cyborglib-pg.{os.geteuid()}.lock")):
            _sweep()
            self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._lock = (self.folder / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._names = count(1)
        self.user = "postgres"
        if os.geteuid() == 0:
            entry = pwd.getpwnam("postgres")
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        self._call("initdb", "-D", f"{self.folder}/data", "-U", self.user, "-A", "trust", "-E", "UTF8", "--no-sync")
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
            "max_connections": "200",
        }
        with (self.folder / "data/postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        self.start()

    def start(self) -> None:
        """Let it answer, after it was made or killed."""
        try:
            self._call("pg_ctl", "start", "-w", "-s", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log")
        except LabError as error:
            log = self.folder / "log"
            said = log.read_text() if log.exists() else ""
            raise LabError(f"{error} {said}") from error

    def kill(self) -> None:
        """End it and all its processes at once, as a power cut does."""
        parent = int((self.folder / "data/postmaster.pid").read_text().split()[0])
        found = [parent]
        for task in os.listdir(f"/proc/{parent}/task"):
            found += map(int, Path(f"/proc/{parent}/task/{task}/children").read_text().split())
        kill(found)

    def database(self) -> str:
        """A URL of a new database, as SQLAlchemy with psycopg takes it."""
        name = f"test{next(self._names)}"
        self._call("createdb", "-h", str(self.folder), "-U", self.user, name)
        return f"postgresql+psycopg://{self.user}@/{name}?host={self.folder}"

    def drop(self, url: str) -> None:
        """Delete a database `database()` has given, whoever is still connected."""
        name = url.partition("@/")[2].partition("?")[0]
        self._call("dropdb", "--force", "-h", str(self.folder), "-U", self.user, name)

    def close(self) -> None:
        """Stop the server at once and delete its files."""
        _stop(self.folder, self.programs)
        self._lock.close()
        remove_tree(self.folder)

    def _call(self, program: str, *arguments: str) -> None:
        _call([str(self.programs / program), *arguments], self.folder)


def _programs() -> Path:
    """The folder of the newest installed server (Debian keeps it off the PATH)."""
    found = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if found:
        return max(found, key=lambda path: float(path.parent.name))
    if initdb := shutil.which("initdb"):
        return Path(initdb).resolve().parent
    raise LabError(f"No PostgreSQL server is installed; {INSTALL}.")


def _call(argv: Sequence[str], folder: Path) -> None:
    """Run one of PostgreSQL's programs as the user who may."""
    as_root = os.geteuid() == 0
    # Output goes to a file: the server keeps what it inherits open, and a pipe would never end.
    with (folder / "output").open("w+b") as output:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=folder, env=environment(), check=False,
            **({"user": "postgres", "group": "postgres", "extra_groups": []} if as_root else {}),  # type: ignore[call-overload]
        )  # fmt: skip
        output.seek(0)
        said = output.read().decode(errors="replace").strip()
    if done.returncode:
        raise LabError(f"{' '.join(argv)} ended with {done.returncode}: {said}")


def _stop(folder: Path, programs: Path) -> None:
    if (folder / "data/postmaster.pid").exists():
        _call([str(programs / "pg_ctl"), "stop", "-m", "immediate", "-w", "-s", "-D", f"{folder}/data"], folder)


def _sweep() -> None:
    """End servers of sessions that were killed: those whose lock nobody holds."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(FileNotFoundError), (folder / "lock").open("r+") as lock, suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _stop(folder, _programs())
            remove_tree(folder)
