"""The jobs that an engine has in hand."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable

from attrs import define, evolve, field

from ..errors import JobError
from ..executor import HostRun
from ..kinds import Assignment, Settlement, Work
from ..model import Stats
from ..secret import Secret


@define
class Ending:
    """How a job ended, until that is in the store."""

    settlement: Settlement
    stats: Stats | None = None
    #: Why it was not begun.
    skipped: str = ""
    #: It was not begun, and may be claimed again as if nothing had been.
    given_back: bool = False
    #: No more than that it failed, in the place of an end that the store does not take.
    plain: bool = False


@define(eq=False)
class Assigned:
    """A job in the hands of this engine. Changed only inside `Outbox.committing`, but for the plain flags."""

    work: Work
    #: None for one that cannot be handed over; it only waits for its end to be written.
    assignment: Assignment | None = None
    #: When work on its host began, by the monotonic clock.
    began: float | None = None
    #: When its progress was written last.
    written: float = -math.inf
    #: What it said and is not in the store yet, and since when that is checked.
    lines: list[str] = field(factory=list)
    said: float = -math.inf
    #: What it brought home.
    kept: dict[str, Secret] = field(factory=dict)
    ending: Ending | None = None
    #: How often it was handed over: what an earlier run still says of it does not count.
    turn: int = 0
    #: Its host knows nothing of it any more, and why; it is looked for in the vault.
    lost: JobError | None = None
    #: Somebody asked to cancel it.
    canceled: bool = False
    #: The engine goes away and leaves it at work.
    detached: bool = False
    #: Nothing more is taken in: its end is in the store, or it is somebody else's now.
    over: bool = False

    @property
    def id(self) -> int:
        """The job's id."""
        assert self.work.job.id is not None
        return self.work.job.id

    @property
    def open(self) -> bool:
        """True until it is said how it ended, or that it is somebody else's."""
        return not self.over and self.ending is None

    @property
    def host_run(self) -> HostRun:
        """What the executor gets for it."""
        assert self.assignment is not None
        return self.assignment.host_run

    def look(self, assignment: Assignment, why: JobError) -> None:
        """Let the executor look for it in the vault."""
        self.turn += 1
        self.assignment, self.lost = assignment, why

    def recover(self) -> None:
        """Let the executor ask how the job stands, and follow it, but never start it."""
        self.turn += 1
        assert self.assignment is not None
        host_run = evolve(self.assignment.host_run, recover=True, fence=self.work.fence)
        self.assignment = evolve(self.assignment, host_run=host_run)


class AtWork:
    """Those jobs by their ids. May be used by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._jobs: dict[int, Assigned] = {}

    def add(self, members: Iterable[Assigned]) -> None:
        """Take jobs in hand."""
        with self._lock:
            self._jobs.update((assigned.id, assigned) for assigned in members)

    def remove(self, assigned: Assigned) -> None:
        """Let go of a job; does nothing if the same job is in hand anew."""
        with self._lock:
            if self._jobs.get(assigned.id) is assigned:
                del self._jobs[assigned.id]

    def get(self, job: int | None) -> Assigned | None:
        """A job in hand."""
        with self._lock:
            return self._jobs.get(job) if job is not None else None

    def all(self) -> list[Assigned]:
        """All jobs in hand."""
        with self._lock:
            return list(self._jobs.values())

    def __len__(self) -> int:
        with self._lock:
            return len(self._jobs)
