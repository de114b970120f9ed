"""Writes what jobs at work tell; what cannot be written now is kept, and written when the database is back."""

from __future__ import annotations

import logging
import random
import time

from attrs import evolve

from ..errors import AlreadyExists, ErrorCode, InvalidTransition, JobError
from ..events import Event, JobOutput, JobStarted
from ..kinds import Settlement
from ..model import JobStatus, Progress
from ..store import Store
from . import recording
from .at_work import Assigned, AtWork, Ending
from .outbox import Outbox
from .recovering import pause
from .trouble import Alarm, Trouble

logger = logging.getLogger("cyborglib")

#: Seconds between two writes of a job's lines, and of its progress; listeners hear every progress.
SAY_EVERY, PROGRESS_EVERY = 0.5, 2.0
#: Lines of one job that are kept while the database is away, about.
KEPT = 10_000


class Scribe:
    """The only one who writes of jobs at work. What it does is inside `Outbox.committing`; `told` is its list.

    Whatever is written carries the job's fence: who lost the job to another engine writes nothing of it.
    """

    def __init__(self, store: Store, outbox: Outbox, at_work: AtWork, alarm: Alarm) -> None:
        self._store = store
        self._outbox = outbox
        self._at_work = at_work
        self._alarm = alarm
        self._trouble = Trouble()

    def begin(self, assigned: Assigned, told: list[Event]) -> None:
        """Work on the job's host has begun."""
        assigned.began = time.monotonic()
        job = assigned.work.job
        if job.status is JobStatus.RUNNING:  # begun under another engine
            if job.started_at is not None:
                assigned.began -= max(0.0, (assigned.work.now - job.started_at).total_seconds())
            return
        try:
            now = self._store.jobs.started(assigned.id, assigned.work.fence)
        except InvalidTransition as error:
            self.lose(assigned, str(error))
        except Exception as error:
            if not self._trouble.passes(error, "a job's end will say that it began"):
                raise
        else:
            assigned.work = evolve(assigned.work, job=now)
            told.append(JobStarted(job=now))

    def progress(self, assigned: Assigned, progress: Progress) -> None:
        """How far it is; not with each call."""
        now = time.monotonic()
        if now - assigned.written < PROGRESS_EVERY:
            return
        assigned.written = now
        try:
            self._store.jobs.progress(assigned.id, assigned.work.fence, progress)
        except Exception as error:
            if not self._trouble.passes(error, "the next progress takes the place of this one"):
                raise

    def say(self, assigned: Assigned, told: list[Event]) -> None:
        """Write the lines that are kept, unless that was just done."""
        now = time.monotonic()
        if not assigned.lines or assigned.over or now - assigned.said < SAY_EVERY:
            return
        assigned.said = now
        try:
            self._store.jobs.output(assigned.id, assigned.lines, assigned.work.fence)
        except InvalidTransition as error:
            self.lose(assigned, str(error))
        except Exception as error:
            if not self._trouble.passes(error, "what jobs say is kept until it can be"):
                raise
            told += self._alarm.away("lines", error)
            _shorten(assigned.lines)
        else:
            told += self._alarm.back("lines")
            told += [JobOutput(job=assigned.work.job, line=line) for line in assigned.lines]
            assigned.lines.clear()

    def end(self, assigned: Assigned, told: list[Event]) -> bool:
        """Write how the job ended (`assigned.ending`), and let go of it. False if that is not in the store now."""
        if assigned.over or assigned.ending is None:
            return False
        try:
            events = recording.record(self._store, assigned.work, assigned.ending, assigned.lines)
        except InvalidTransition as error:
            self.lose(assigned, str(error))
            return False
        except Exception as error:
            if self._trouble.passes(error, "how jobs ended is kept until it can be"):
                told += self._alarm.away("ends", error)
                return False
            logger.exception("the end of job %s is not taken", assigned.id)
            if assigned.ending.plain:
                return False  # The heart tries again.
            # The store does not take it and never will: an archive that another job made, a fact that is none.
            code = ErrorCode.HOSTILE_ANSWER if isinstance(error, AlreadyExists) else ErrorCode.INTERNAL
            reason = JobError(code, f"how it ended could not be recorded: {error}", permanent=True)
            assigned.ending = Ending(Settlement(error=reason), plain=True)
            assigned.lines.clear()
            return self.end(assigned, told)
        told += self._alarm.back("lines", "ends")  # The last lines are written with the end.
        told += events
        self._let_go(assigned)
        return True

    def postpone(self, assigned: Assigned, told: list[Event], why: str) -> None:
        """Leave a job at work on its host, with all it holds, and let go of it: its host is asked again later."""
        if assigned.work.job.status is JobStatus.STARTING:
            self.begin(assigned, told)  # Nobody knows whether it began, so its time counts from now.
        if assigned.over:
            return
        again = pause(assigned.work)
        seconds = again * random.uniform(1 - recording.JITTER, 1 + recording.JITTER)  # noqa: S311 (not a secret)
        reason = f"how it stands is asked again in {seconds:.0f} s: {why}"
        lines = [*assigned.lines, reason]
        try:
            with self._store.transaction():
                self._store.jobs.postpone(assigned.id, assigned.work.fence, seconds, reason)
                self._store.jobs.output(assigned.id, lines, assigned.work.fence)
        except InvalidTransition as error:
            self.lose(assigned, str(error))
        except Exception as error:
            if not self._trouble.passes(error, "a job whose host is to be asked is taken over when its lease is over"):
                raise
            self._let_go(assigned)
        else:
            told += [JobOutput(job=assigned.work.job, line=line) for line in lines]
            self._let_go(assigned)

    def lose(self, assigned: Assigned, why: str) -> None:
        """The job is somebody else's, or was settled by somebody else: nothing more of it is ours to say."""
        logger.warning("job %s is no longer this engine's: %s", assigned.id, why)
        self._let_go(assigned)

    def _let_go(self, assigned: Assigned) -> None:
        assigned.over = True
        self._at_work.remove(assigned)
        self._outbox.wake()


def _shorten(lines: list[str]) -> None:
    """A job may go on to say things for as long as the database is away, and memory is not endless."""
    if len(lines) > KEPT:
        gone = len(lines) - KEPT
        lines[KEPT // 2 : KEPT // 2 + gone] = [f"… {gone} lines are left out, as the database was away …"]
