"""For hosts' tests and ours: an executor that touches nothing, and a clock that stands where it is put.

executor = FakeExecutor(lambda job: Outcome(error=JobError("unreachable", "no route to host")))
cyborg = Cyborg("sqlite://", executor=executor, clock=FixedClock())
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import evolve

from .errors import ErrorCode, Invalid, JobError
from .executor import ArchiveMade, Control, HostRun, Outcome, Run
from .model import Item, Job, JobKind, Progress, Stats
from .sealing import generate_ssh_key
from .secret import Secret

__all__ = ["FakeExecutor", "FixedClock"]

#: The playbook by which a lost backup is looked for; and what stands between an archive's name and that of a part.
LOOK, SEPARATOR = "recover", "+"
#: Seconds between two looks whether a job was canceled.
_LOOK = 0.01


def _succeed(_job: Job) -> Outcome:
    return Outcome()


def _nothing(_job: Job) -> Iterable[str | Progress]:
    return ()


class FakeExecutor:
    """Answers every job with what `answer` says of it: an `Outcome`, or an exception, which breaks the whole run.

    `answer` is given the `Job` as it stands (its kind, names, attempt). What a successful outcome leaves out is
    made up, so that `lambda job: Outcome()`, the default, is a fleet where all goes well: preparations bring
    keys and ids, backups make archives, and listings find them again.

    `seconds` is how long each job takes; meanwhile it can be canceled. `says` gives what a job tells while it
    is at work: a text is a line of its output, a `Progress` its progress. A job taken over from an engine
    that is gone (`HostRun.recover`) is answered like any other, as if its Borg had gone on. An `Outcome` with the error
    `lost` and `gone=True` is one of whose job the host knows nothing any more: it is looked for in `vaults`. So is
    one whose run was broken, once it is asked for.

    `contents` says what is in archives, by their names, for a listing that reads it; of others nothing is told.

    To look at afterwards: `runs` are the runs that were handed over, in order; `vaults` has, for each vault's
    id, the Borg ids of its archives by their names. Take one away, and it has vanished.
    """

    def __init__(
        self,
        answer: Callable[[Job], Outcome | Exception] = _succeed,
        *,
        seconds: float = 0.0,
        says: Callable[[Job], Iterable[str | Progress]] = _nothing,
    ) -> None:
        self._answer = answer
        self._seconds = seconds
        self._says = says
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._keys: dict[str, str] = {}
        self.runs: list[Run] = []
        self.vaults: dict[int, dict[str, str]] = defaultdict(dict)
        self.contents: dict[str, Sequence[Item]] = {}

    def execute(self, run: Run, control: Control) -> None:
        """Work all jobs of the run at the same time."""
        with self._lock:
            self.runs.append(run)
            closing = self._closing
        if run.playbook == LOOK:
            for host in run.hosts:
                self._look(host, control)
            return
        for host in run.hosts:
            control.started(host.job)
            for said in self._says(control.job(host.job)):
                if isinstance(said, Progress):
                    control.progress(host.job, said)
                else:
                    control.output(host.job, said)
        end = time.monotonic() + self._seconds
        waiting = list(run.hosts)
        while waiting:
            late = time.monotonic() >= end
            for host in list(waiting):
                if control.canceled(host.job):
                    control.ended(host.job, Outcome(error=JobError(ErrorCode.CANCELED, "canceled"), gone=True))
                elif late:
                    self._end(host, control)
                else:
                    continue
                waiting.remove(host)
            if waiting and closing.wait(_LOOK):
                return

    def close(self) -> None:
        """End the runs at work and leave their jobs without an end, as an engine that goes away does."""
        with self._lock:
            closing, self._closing = self._closing, threading.Event()
        closing.set()

    def _look(self, host: HostRun, control: Control) -> None:
        name = str(host.variables["borg_archive"])
        with self._lock:
            vault = dict(self.vaults[control.job(host.job).vault or 0])
        found = [
            {"name": archive, "id": borg_id, "files": 1, "bytes": 1000, "missing": []}
            for archive, borg_id in vault.items()
            if archive == name or archive.startswith(name + SEPARATOR)
        ]
        control.ended(host.job, Outcome(facts={"found": found}))

    def _end(self, host: HostRun, control: Control) -> None:
        job = control.job(host.job)
        answer = self._answer(job)
        if isinstance(answer, Exception):
            if not host.recover:
                raise answer
            answer = Outcome(error=JobError(ErrorCode.LOST, f"the run broke: {answer}"), gone=True)
        if not isinstance(answer, Outcome):
            raise TypeError(f"answer gave {answer!r} for the {job.title}; it must give an Outcome or an exception")
        if not answer.successful:
            if job.vault is not None:
                with self._lock:
                    self.vaults[job.vault] |= {archive.name: archive.borg_id for archive in answer.archives}
            if answer.error is not None and answer.error.code is not ErrorCode.LOST:
                answer = evolve(answer, gone=True)
            control.ended(host.job, answer)
            return
        if job.kind is JobKind.PREPARE_REPOSITORY:
            control.keep(host.job, "key_export", Secret(f"BORG_KEY {_hex('vault', job.vault)}\nmade up"))
        if {"rekey_next_passphrase", "borg_next_passphrase"} & set(host.secrets):
            control.keep(host.job, "new_key_export", Secret(f"BORG_KEY {_hex('vault', job.vault)}\nmade up anew"))
        deciding = job.kind in (JobKind.PRUNE, JobKind.COMPACT)
        if deciding and not control.deciding(host.job):
            control.ended(host.job, Outcome(error=JobError(ErrorCode.LOST, "it is not to be done any more")))
            return
        with self._lock:
            answer = self._completed(job, host.variables, answer)
            wanted = host.variables.get("borg_contents", ()) if job.kind is JobKind.CATALOG else ()
            there = [one for one in wanted if self.vaults[job.vault or 0].get(one["name"]) == one["id"]]
        for one in there:
            contents = control.contents(host.job, one["archive"]) if one["name"] in self.contents else None
            if contents is not None:
                contents.take(self.contents[one["name"]])
                contents.finish()
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
            made = {
                "public_key": self._key(f"vault {job.vault}"),
                "borg_id": _hex("vault", job.vault),
                "encryption": str(variables.get("borg_encryption", "")),
            }
            return evolve(outcome, facts=made | facts)
        if job.kind is JobKind.MEASURE:
            made = {"filesystem": "made.up", "free": 10**12, "total": 2 * 10**12}
            return evolve(outcome, facts=made | facts)
        vault = self.vaults[job.vault or 0]
        if job.kind in (JobKind.PRUNE, JobKind.COMPACT):
            gone = list(variables["upkeep_archives"])
            for name in gone:
                vault.pop(name, None)
            listed = [{"name": name, "id": borg_id} for name, borg_id in vault.items()]
            return evolve(outcome, facts={"archives": listed, "deleted": gone} | facts)
        if job.kind is JobKind.CATALOG:
            listed = [{"name": name, "id": borg_id} for name, borg_id in vault.items()]
            return evolve(outcome, facts={"archives": listed} | facts)
        if job.kind is JobKind.CHECK:
            return evolve(outcome, facts={"scope": job.options["part"], "whole": True} | facts)
        if job.kind is JobKind.DRILL:
            made = {"how": "read" if job.options["stream"] else "sample", "files": 1, "bytes": 1000, "seconds": 0.5}
            return evolve(outcome, facts=made | facts)
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
    """A clock that stands until it is moved: `clock.forward(hours=2)`, or back by a negative span.

    Give it as `Cyborg(…, clock=…)`. Raises `Invalid` for a time without a zone.
    """

    #: It is compared with no other clock: what is deleted goes by it.
    made_up = True

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        if now.tzinfo is None:
            raise Invalid(f"{now} has no time zone; give one, like datetime(2026, 1, 1, tzinfo=UTC)")
        self.now = now.astimezone(UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> datetime:
        """Move the clock on by a span as `timedelta` takes it."""
        self.now += timedelta(**span)
        return self.now


def _hex(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()
