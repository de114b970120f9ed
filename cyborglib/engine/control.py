"""What one run tells the engine, from its own threads: written at once, told later, in order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve

from ..errors import ErrorCode, JobError, NotFound
from ..events import HostKeyAccepted, JobProgressed
from ..executor import ArchiveMade, Contents, Outcome
from ..kinds import KINDS, Refused, Settlement, recovery
from ..model import Job, Progress, Stats
from ..model.client import split_host_key
from ..planning import THE_JOBS, limit_of
from ..sealing import fingerprint
from ..secret import Secret
from ..store import Shelf, Store
from .at_work import Assigned, Ending
from .outbox import Outbox
from .recovering import Step, next_step
from .scribe import Scribe

logger = logging.getLogger("cyborglib")


class EngineControl:
    """The `Control` of one run.

    What is said of a job that has ended, or was lost to another engine, is not taken in any more. Only a job
    that is not of this run is an error of the executor's: `NotFound`.
    """

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        scribe: Scribe,
        members: Mapping[int, Assigned],
        *,
        clock: Callable[[], datetime],
        look: Callable[[Assigned, JobError], bool],
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._scribe = scribe
        self._members = members
        self._turns = {job: member.turn for job, member in members.items()}
        self._clock = clock
        self._look = look

    def job(self, job: int) -> Job:
        """The job itself, as it stands."""
        return self._member(job).work.job

    def started(self, job: int) -> None:
        """Work on the job's host has begun."""
        assigned = self._member(job)
        with self._outbox.committing() as told:
            if assigned.began is None and self.open(assigned):
                self._scribe.begin(assigned, told)

    def progress(self, job: int, progress: Progress) -> None:
        """How far the job is, with an estimate against the last backup of the same policy and client."""
        assigned = self._member(job)
        with self._outbox.committing() as told:
            if self.open(assigned):
                progress = estimate(progress, assigned)
                self._scribe.progress(assigned, progress)
                told.append(JobProgressed(job=evolve(assigned.work.job, progress=progress), progress=progress))

    def output(self, job: int, line: str) -> None:
        """A line for people; in the store within a second, and told then."""
        assigned = self._member(job)
        with self._outbox.committing() as told:
            if self.open(assigned):
                assigned.lines.append(line)
                self._scribe.say(assigned, told)

    def ended(self, job: int, outcome: Outcome) -> bool:
        """Judge an outcome and commit it. True once it is committed.

        False if the job was settled before, or if the database is away: then it is kept and committed later,
        but nobody should forget the result because of it. False too if that was no end (see `recovering`).
        """
        assigned = self._member(job)
        with self._outbox.committing() as told:
            if not self.open(assigned):
                return False
            assigned.work = evolve(assigned.work, now=self._clock())
            step = next_step(assigned, outcome) if isinstance(outcome.error, JobError) else Step.END
            if step is Step.LATER:
                self._scribe.postpone(assigned, told, str(outcome.error))
                return False
            if step is Step.LOOK and self._look(assigned, _lost(outcome)):
                return False
            settlement = judge(assigned, outcome)
            looked = assigned.lost is not None and bool(settlement.archives)
            assigned.ending = Ending(settlement, _sum(settlement.archives) if looked else outcome.stats)
            return self._scribe.end(assigned, told) or self._scribe.end(assigned, told)

    def canceled(self, job: int) -> bool:
        """True once somebody asked for the job to be canceled."""
        assigned = self._member(job)
        return assigned.canceled and assigned.lost is None

    def secret(self, job: int, name: str) -> Secret:
        """A secret of the job's own, while it is at work. Raises `NotFound`."""
        assigned = self._member(job)
        secrets = assigned.assignment.secrets if assigned.assignment is not None else {}
        if name not in secrets or not self.open(assigned):
            raise NotFound(f"job {job} has no secret called {name!r}, or has ended")
        return secrets[name]

    def keep(self, job: int, name: str, secret: Secret) -> None:
        """Something secret that the job brought home; recorded with its end."""
        assigned = self._member(job)
        with self._outbox.committing():
            assigned.kept[name] = secret

    def contents(self, job: int, archive: int) -> Contents | None:
        """Takes in the contents of one of the archives that the job has to read; None if they are not wanted."""
        assigned = self._member(job)
        given = assigned.host_run.variables.get("borg_contents", ()) if assigned.assignment is not None else ()
        if not self.open(assigned) or archive not in [one["archive"] for one in given]:
            raise NotFound(f"job {job} has not to read the archive {archive}, or has ended")
        return self._store.contents.begin(archive, job, assigned.work.fence)

    def deciding(self, job: int) -> bool:
        """Commit what the job is about to delete; from then on it counts as gone, whatever becomes of the job."""
        assigned = self._member(job)
        vault = assigned.work.vault
        with self._outbox.committing(), self._store.transaction():
            if not self.open(assigned) or assigned.canceled or assigned.assignment is None or vault is None:
                return False
            if not self._store.jobs.is_worked(assigned.id, assigned.work.fence):
                return False
            now = self._clock()
            for archive in assigned.assignment.deletes:
                if self._store.archives.get(archive).pruned_at is None:
                    self._store.archives.observe(archive, pruned_at=now)
            self._store.contents.forget(assigned.assignment.deletes)
            assert vault.id is not None
            self._store.vaults.observe(vault.id, unsettled_at=now)
        return True

    def pinned(self, job: int, key_of: str, host_key: str, accepted: bool) -> bool:
        """Record a first host key, unless another one was pinned meanwhile."""
        assigned = self._member(job)
        kind, _, number = key_of.partition("-")
        shelves: dict[str, Shelf[Any]] = {"client": self._store.clients, "repository": self._store.repositories}
        shelf = shelves[kind]
        with self._outbox.committing() as told, self._store.transaction():
            if not self.open(assigned):
                return False
            value = shelf.get(int(number))
            known, wanted = split_host_key(value.host_key)
            if known or (wanted and wanted != fingerprint(host_key)):
                return bool(known == host_key)
            shelf.observe(int(number), host_key=host_key)
            if accepted:
                told.append(HostKeyAccepted(name=value.name, fingerprint=fingerprint(host_key)))
        return True

    def open(self, assigned: Assigned) -> bool:
        """True for a job whose end is not known, and of which no later run has the say."""
        return assigned.open and assigned.turn == self._turns[assigned.id]

    def abandon(self, job: int, error: JobError, *, gone: bool = False) -> None:
        """Settle a job that the executor left without an end; does nothing where it has one."""
        assigned = self._member(job)
        if not assigned.detached:
            self.ended(job, Outcome(error=error, gone=gone))

    def _member(self, job: int) -> Assigned:
        if job not in self._members:
            raise NotFound(f"job {job} is not of this run, which has {', '.join(map(str, self._members))}")
        return self._members[job]


def judge(assigned: Assigned, outcome: Outcome) -> Settlement:
    """What an outcome means, by the job's kind; a judgement that breaks is a failure, never a success."""
    job = assigned.work.job
    kind = job.kind
    try:
        if assigned.lost is not None:
            return recovery.settle(assigned.work, outcome, assigned.lost)
        return _explained(job, KINDS[kind].settle(assigned.work, outcome, assigned.kept))
    except Refused as refused:
        return Settlement(error=refused.error, warnings=outcome.warnings)
    except Exception as error:
        logger.exception("what became of job %s could not be judged", assigned.id)
        return Settlement(error=JobError(ErrorCode.INTERNAL, f"the outcome of the {kind} could not be judged: {error}"))


def _explained(job: Job, settlement: Settlement) -> Settlement:
    """With the limit that a job ran into, and how it is changed. Not every step that took too long took the job's."""
    error = settlement.error
    if error is None or error.code is not ErrorCode.TIMEOUT or THE_JOBS not in error.message:
        return settlement
    return evolve(settlement, error=evolve(error, message=f"{error.message} {limit_of(job)}"))


def estimate(progress: Progress, assigned: Assigned) -> Progress:
    """Progress with the seconds since the start and, where there is a backup to compare with, a fraction."""
    seconds = time.monotonic() - assigned.began if assigned.began is not None else progress.seconds
    previous = assigned.work.previous_bytes
    if previous <= 0:
        return evolve(progress, seconds=seconds)
    fraction = min(progress.original_bytes / previous, 0.99)
    remaining = seconds * (1 - fraction) / fraction if fraction > 0.01 else None
    return evolve(progress, seconds=seconds, fraction=fraction, remaining=remaining)


def _lost(outcome: Outcome) -> JobError:
    """That a job was lost. If its host did not say that nothing of it is at work, it is not tried again by itself."""
    error = outcome.error
    assert error is not None
    if outcome.gone:
        return JobError(ErrorCode.LOST, error.message)
    message = f"Its host could not be asked how it stands until its time was over: {error.message}"
    return JobError(ErrorCode.LOST, message, permanent=True)


def _sum(archives: Sequence[ArchiveMade]) -> Stats:
    return Stats(
        files=sum(archive.stats.files for archive in archives),
        original_bytes=sum(archive.stats.original_bytes for archive in archives),
    )
