"""What the runs of one engine tell it, from their own threads: written at once, told later, in order."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from queue import SimpleQueue
from typing import Any

from attrs import define, evolve, field

from ..errors import ErrorCode, InvalidTransition, JobError, NotFound
from ..events import Event, HostKeyAccepted, JobOutput, JobProgressed, JobStarted
from ..executor import Outcome
from ..kinds import KINDS, Assignment, Refused, Settlement, Work
from ..model import Job, Progress
from ..sealing import fingerprint
from ..secret import Secret
from ..store import Shelf, Store
from . import recording

logger = logging.getLogger("cyborglib")

#: Seconds between two writes of a job's progress to the store; listeners hear every one.
PROGRESS_EVERY = 2.0


@define
class Assigned:
    """A job in the hands of the executor."""

    work: Work
    assignment: Assignment
    started: float = 0.0
    written: float = 0.0
    lines: int = 0
    ended: bool = False
    kept: dict[str, Secret] = field(factory=dict)
    lock: threading.Lock = field(factory=threading.Lock)


class EngineControl:
    """The `Control` of one run."""

    def __init__(
        self,
        store: Store,
        jobs: dict[int, Assigned],
        messages: SimpleQueue[Event | None],
        *,
        clock: Callable[[], datetime],
        canceled: Callable[[int], bool],
        ended: Callable[[int], None],
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._messages = messages
        self._clock = clock
        self._canceled = canceled
        self._ended = ended

    def job(self, job: int) -> Job:
        """The job itself, as it stands."""
        return self._jobs[job].work.job

    def started(self, job: int) -> None:
        """Work on the job's host has begun."""
        assigned = self._jobs[job]
        with assigned.lock:
            if assigned.started or assigned.ended:
                return
            assigned.started = time.monotonic()
            try:
                now = self._store.jobs.started(job, assigned.work.fence)
            except InvalidTransition as error:
                logger.warning("%s", error)
                return
            assigned.work = evolve(assigned.work, job=now)
        self._messages.put(JobStarted(job=now))

    def progress(self, job: int, progress: Progress) -> None:
        """How far the job is, with an estimate against the last backup of the same policy and client."""
        assigned = self._jobs[job]
        progress = estimate(progress, assigned)
        with assigned.lock:
            if assigned.ended:
                return
            now = time.monotonic()
            if now - assigned.written >= PROGRESS_EVERY:
                assigned.written = now
                self._store.jobs.progress(job, assigned.work.fence, progress)
            told = evolve(assigned.work.job, progress=progress)
        self._messages.put(JobProgressed(job=told, progress=progress))

    def output(self, job: int, line: str) -> None:
        """A line for people, kept in the store."""
        assigned = self._jobs[job]
        with assigned.lock:
            assigned.lines += 1
            self._store.jobs.output(job, [line])
            told = assigned.work.job
        self._messages.put(JobOutput(job=told, line=line))

    def ended(self, job: int, outcome: Outcome) -> bool:
        """Judge an outcome and commit it. False if the job had been settled before."""
        assigned = self._jobs[job]
        with assigned.lock:
            if assigned.ended:
                return False
            work = evolve(assigned.work, now=self._clock())
            settlement = _judge(work, outcome, assigned.kept)
            events: list[Event] = []
            committed = False
            try:
                events = recording.record(self._store, work, settlement, outcome.stats)
                committed = True
            except InvalidTransition as error:
                logger.warning("%s", error)
            assigned.ended = True
        for event in events:
            self._messages.put(event)
        self._ended(job)
        return committed

    def canceled(self, job: int) -> bool:
        """True once somebody asked for the job to be canceled."""
        return self._canceled(job)

    def secret(self, job: int, name: str) -> Secret:
        """A secret of the job's own."""
        secrets = self._jobs[job].assignment.secrets
        if name not in secrets:
            raise NotFound(f"job {job} has no secret called {name!r}")
        return secrets[name]

    def keep(self, job: int, name: str, secret: Secret) -> None:
        """Something secret that the job brought home; recorded with its end."""
        assigned = self._jobs[job]
        with assigned.lock:
            assigned.kept[name] = secret

    def pinned(self, job: int, key_of: str, host_key: str, accepted: bool) -> bool:
        """Record a first host key, unless another one was pinned meanwhile."""
        kind, _, number = key_of.partition("-")
        shelves: dict[str, Shelf[Any]] = {"client": self._store.clients, "repository": self._store.repositories}
        shelf = shelves[kind]
        with self._store.transaction():
            value = shelf.get(int(number))
            if value.host_key:
                return bool(value.host_key == host_key)
            shelf.observe(int(number), host_key=host_key)
        if accepted:
            self._messages.put(HostKeyAccepted(name=value.name, fingerprint=fingerprint(host_key)))
        return True

    def abandon(self, job: int, reason: str, code: ErrorCode = ErrorCode.LOST) -> None:
        """Settle a job that the executor left without an end; does nothing where it has one."""
        self.ended(job, Outcome(error=JobError(code, reason)))


def _judge(work: Work, outcome: Outcome, kept: dict[str, Secret]) -> Settlement:
    try:
        return KINDS[work.job.kind].settle(work, outcome, kept)
    except Refused as refused:
        return Settlement(error=refused.error, warnings=outcome.warnings)


def estimate(progress: Progress, assigned: Assigned) -> Progress:
    """Progress with the seconds since the start and, where there is a backup to compare with, a fraction."""
    seconds = time.monotonic() - assigned.started if assigned.started else progress.seconds
    previous = assigned.work.previous
    if previous is None or previous.original_bytes <= 0:
        return evolve(progress, seconds=seconds)
    fraction = min(progress.original_bytes / previous.original_bytes, 0.99)
    remaining = seconds * (1 - fraction) / fraction if fraction > 0.01 else None
    return evolve(progress, seconds=seconds, fraction=fraction, remaining=remaining)
