"""Runs with a real ansible-playbook and a real Borg on this machine, as its own account."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field

from cyborglib.ansible import AnsibleExecutor
from cyborglib.errors import NotFound
from cyborglib.executor import Host, HostRun, Outcome, Run
from cyborglib.model import Item, Progress
from cyborglib.secret import Secret

ROOT = Path(__file__).resolve().parents[2]
# What runs inside Ansible is imported under the collection's name.
sys.path.append(str(ROOT / ".ansible"))

# Of this session alone: another one at the same time must not be taken for a leak.
PASSPHRASE = f"canary/passphrase +\"quoted\" 'text' {secrets.token_hex(6)}"


@define
class Received:
    """The contents of an archive, as they came."""

    items: list[Item] = field(factory=list)
    end: str = ""
    left_out: int = 0

    @property
    def entries(self) -> int:
        return len(self.items)

    def take(self, items: Sequence[Item]) -> None:
        self.items += items

    def finish(self) -> None:
        self.end = "finished"

    def abandon(self) -> None:
        self.end = "abandoned"


@define
class Recorder:
    """A `Control` that keeps what it is told."""

    secrets: Mapping[str, str] = field(factory=dict)
    told: list[tuple[Any, ...]] = field(factory=list)
    outcomes: dict[int, Outcome] = field(factory=dict)
    kept: dict[tuple[int, str], str] = field(factory=dict)
    pins: list[tuple[int, str, str, bool]] = field(factory=list)
    #: Jobs to cancel.
    cancels: set[int] = field(factory=set)
    #: What was handed over of archives, by their numbers; and those that are not wanted.
    received: dict[int, Received] = field(factory=dict)
    unwanted: set[int] = field(factory=set)
    #: What `ended` and `pinned` answer.
    commits: bool = True
    pins_recorded: bool = True
    changed: threading.Condition = field(factory=threading.Condition)

    def _tell(self, *what: Any) -> None:
        with self.changed:
            self.told.append(what)
            self.changed.notify_all()

    def started(self, job: int) -> None:
        self._tell("started", job)

    def progress(self, job: int, progress: Progress) -> None:
        self._tell("progress", job, progress, time.time())

    def output(self, job: int, line: str) -> None:
        self._tell("output", job, line)

    def ended(self, job: int, outcome: Outcome) -> bool:
        assert job not in self.outcomes, "a job ends once"
        self.outcomes[job] = outcome
        self._tell("ended", job)
        return self.commits

    def canceled(self, job: int) -> bool:
        return job in self.cancels

    def secret(self, job: int, name: str) -> Secret:
        self._tell("secret", job, name)
        if name not in self.secrets:
            raise NotFound(f"no secret {name}")
        return Secret(self.secrets[name])

    def keep(self, job: int, name: str, secret: Secret) -> None:
        self.kept[job, name] = secret.reveal()

    def contents(self, job: int, archive: int) -> Received | None:
        self._tell("contents", job, archive)
        if archive in self.unwanted:
            return None
        self.received[archive] = Received()
        return self.received[archive]

    def pinned(self, job: int, key_of: str, host_key: str, accepted: bool) -> bool:
        self.pins.append((job, key_of, host_key, accepted))
        return self.pins_recorded

    def lines(self, job: int) -> list[str]:
        return [what[2] for what in self.told if what[:2] == ("output", job)]

    def await_told(self, *start: Any, seconds: float = 60) -> tuple[Any, ...]:
        """Wait until something was told that begins so."""
        with self.changed:
            found: list[tuple[Any, ...]] = []

            def there() -> bool:
                found[:] = [what for what in self.told if what[: len(start)] == start]
                return bool(found)

            assert self.changed.wait_for(there, seconds), f"{start} was not told within {seconds} s: {self.told}"
            return found[0]


@pytest.fixture
def executor() -> Iterator[AnsibleExecutor]:
    made = AnsibleExecutor()
    yield made
    made.close()


@define
class Vault:
    """A Borg repository in a folder."""

    path: Path
    passphrase: str = PASSPHRASE

    def borg(self, *argv: str, **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.path.parent), "BORG_PASSPHRASE": self.passphrase,
            "BORG_REPO": str(self.path), "TZ": "UTC", "BORG_BASE_DIR": str(self.path.parent / "borg"),
        }  # fmt: skip
        done = subprocess.run(
            ["borg", *argv], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
            **options,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done

    def archives(self) -> list[str]:
        return self.borg("list", "--short").stdout.split()

    @property
    def id(self) -> str:
        config = (self.path / "config").read_text()
        return next(line.split("=")[1].strip() for line in config.splitlines() if line.startswith("id"))

    @property
    def locked(self) -> bool:
        return any(self.path.glob("lock.*"))


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    made = Vault(tmp_path / "vault")
    made.borg("init", "--encryption", "repokey-blake2")
    return made


Works = Callable[..., HostRun]


@pytest.fixture
def local(tmp_path: Path) -> Works:
    """Makes jobs on this machine. Their Borg keeps its caches in the test's own folder."""
    # The agent remembers jobs it has done, also those of other tests.
    attempt = int(time.time() * 1000) % 10**9

    def make(job: int = 1, **variables: Any) -> HostRun:
        given = {"borg_base_dir": str(tmp_path / "client"), "borg_lock_wait": 20, **variables}
        return HostRun(
            job=job, attempt=attempt, host=Host(name=f"job-{job}", local=True, become=False, title="here"),
            variables=given, secrets=("borg_passphrase",),
        )  # fmt: skip

    return make


def backup(*works: HostRun, type: str = "folders") -> Run:
    """A run of the playbook `backup`."""
    return Run(id="test", playbook="backup", hosts=works, variables={"cyborg_role": f"cyborg.backup.policy_{type}"})


def play(name: str, *works: HostRun) -> Run:
    """A run of another playbook."""
    return Run(id="test", playbook=name, hosts=works)
