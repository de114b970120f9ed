"""For hosts' tests and ours: an executor that touches nothing, and a clock that stands where it is put."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import evolve

from .errors import ErrorCode, JobError
from .executor import ArchiveMade, Control, HostRun, Outcome, Run
from .model import Job, JobKind, Stats
from .sealing import generate_ssh_key
from .secret import Secret

__all__ = ["FakeExecutor", "FixedClock"]


def _succeed(_job: Job) -> Outcome:
    return Outcome()


class FakeExecutor:
    """Answers every job with what `answer` says: an `Outcome`, or an exception, which fails the whole run.

    What a successful outcome leaves out is made up, so that `lambda job: Outcome()` is a fleet where all goes
    well: preparations bring keys and ids, backups make archives, and listings find them again (in `vaults`:
    for each vault's id the archives' names and Borg ids; take one away to let it vanish). Each job takes
    `seconds`, in which it can be canceled. `runs` keeps what was handed over, in order.
    """

    def __init__(self, answer: Callable[[Job], Outcome | Exception] = _succeed, *, seconds: float = 0.0) -> None:
        self._answer = answer
        self._seconds = seconds
        self._lock = threading.Lock()
        self._keys: dict[str, str] = {}
        self.runs: list[Run] = []
        self.vaults: dict[int, dict[str, str]] = defaultdict(dict)

    def execute(self, run: Run, control: Control) -> None:
        """Work all jobs of the run at the same time."""
        with self._lock:
            self.runs.append(run)
        for host in run.hosts:
            control.started(host.job)
        end = time.monotonic() + self._seconds
        waiting = list(run.hosts)
        while waiting:
            late = time.monotonic() >= end
            for host in list(waiting):
                if control.canceled(host.job):
                    control.ended(host.job, Outcome(error=JobError(ErrorCode.CANCELED, "canceled")))
                elif late:
                    self._end(host, control)
                else:
                    continue
                waiting.remove(host)
            if waiting:
                time.sleep(0.01)

    def close(self) -> None:
        """Nothing is kept between runs."""

    def _end(self, host: HostRun, control: Control) -> None:
        job = control.job(host.job)
        answer = self._answer(job)
        if isinstance(answer, Exception):
            raise answer
        if not answer.successful:
            control.ended(host.job, answer)
            return
        if job.kind is JobKind.PREPARE_REPOSITORY:
            control.keep(host.job, "key_export", Secret(f"BORG_KEY {_hex('vault', job.vault)}\nmade up"))
        with self._lock:
            answer = self._completed(job, host.variables, answer)
        control.ended(host.job, answer)

    def _completed(self, job: Job, variables: Mapping[str, Any], outcome: Outcome) -> Outcome:
        facts = dict(outcome.facts)
        if job.kind is JobKind.PREPARE_CLIENT:
            made = {
                "public_key": self._key(f"client {job.client}"),
                "ip": "192.0.2.1",
                "borg_version": "1.2.4",
                "uid": 0,
                "keys": "/etc/cyborg/keys",
            }
            return evolve(outcome, facts=made | facts)
        if job.kind is JobKind.PREPARE_REPOSITORY:
            made = {"public_key": self._key(f"vault {job.vault}"), "borg_id": _hex("vault", job.vault)}
            return evolve(outcome, facts=made | facts)
        vault = self.vaults[job.vault or 0]
        if job.kind is JobKind.CATALOG:
            listed = [{"name": name, "id": borg_id} for name, borg_id in vault.items()]
            return evolve(outcome, facts={"archives": listed} | facts)
        if job.kind is JobKind.BACKUP:
            if not outcome.archives:
                stats = outcome.stats or Stats(
                    files=1, original_bytes=1000, compressed_bytes=500, deduplicated_bytes=100, seconds=0.1
                )
                name = str(variables["borg_archive"])
                archives = (ArchiveMade(name=name, borg_id=_hex("archive", name), stats=stats),)
                outcome = evolve(outcome, archives=archives, stats=stats)
            vault.update({archive.name: archive.borg_id for archive in outcome.archives})
        return outcome

    def _key(self, owner: str) -> str:
        """Always the same key for the same owner, as on a host that keeps its keys."""
        if owner not in self._keys:
            self._keys[owner] = generate_ssh_key("made up")[1]
        return self._keys[owner]


class FixedClock:
    """A clock that stands until it is moved: `clock.forward(hours=2)`."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> datetime:
        """Move the clock on by a span as `timedelta` takes it."""
        self.now += timedelta(**span)
        return self.now


def _hex(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
