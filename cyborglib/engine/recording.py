"""Writes how a job ended, with everything it found out, in one transaction; and says what happened."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from datetime import timedelta

from attrs import evolve

from ..errors import ErrorCode
from ..events import (
    ArchiveConfirmed,
    ArchiveDoubtful,
    ArchiveForeign,
    ArchiveProved,
    Event,
    JobCanceled,
    JobFailed,
    JobOutput,
    JobRetried,
    JobSkipped,
    JobStarted,
    JobSucceeded,
)
from ..executor import ArchiveMade
from ..kinds import LOOKED_FOR, Settlement, Work
from ..model import Archive, Job, JobKind, JobStatus
from ..store import Store
from . import pausing
from .at_work import Ending

#: Jobs whose work goes on without an engine: their agent is asked before anything is done again.
ASKED = frozenset({JobKind.BACKUP, JobKind.RESTORE})
#: Longer or shorter by as much, so that a fleet that failed together does not come back as one.
JITTER = 0.25

_TOLD = {
    JobStatus.SUCCESSFUL: JobSucceeded,
    JobStatus.CANCELED: JobCanceled,
    JobStatus.SKIPPED: JobSkipped,
}


def record(store: Store, work: Work, ending: Ending, lines: Sequence[str]) -> list[Event]:
    """Commit a job's last lines and its end. Gives what is to be told afterwards.

    Raises `InvalidTransition` if the job was settled by somebody else meanwhile; then nothing is written.
    """
    settlement = ending.settlement
    began: list[Event] = []
    written = list(lines)
    with store.transaction():
        # Taken first: whoever is too late finds out before anything of it is written.
        if ending.given_back:
            changed = store.jobs.give_back(_id(work.job), work.fence)
        elif ending.skipped:
            changed = store.jobs.skip(_id(work.job), work.fence, ending.skipped)
        elif settlement.error is not None:
            changed = _failed(store, work, ending)
        else:
            if work.job.started_at is None:  # an executor that never said so
                work = evolve(work, job=store.jobs.started(_id(work.job), work.fence))
                began = [JobStarted(job=work.job)]
            changed = store.jobs.succeed(
                _id(work.job),
                work.fence,
                stats=ending.stats,
                warnings=settlement.warnings,
                archives=_archives(work, settlement),
            )
        if changed[0].status is JobStatus.PENDING and settlement.error is not None:
            # The job's error is that of its last attempt: what the earlier ones failed with stays in what it said.
            written.append(f"attempt {work.job.attempt} of {work.job.attempts} failed: {settlement.error.message}")
        if written:
            store.jobs.output(_id(work.job), written, work.fence)
        _observe(store, work, settlement)
        room = [] if ending.given_back or ending.skipped else pausing.ended(store, work, settlement)
        met = store.archives.meet(settlement.foreign)
    named = {archive.id: archive.name for archive in work.recorded}
    return [
        *began,
        *(JobOutput(job=work.job, line=line) for line in lines),
        *(ArchiveConfirmed(job=work.job, archive=named[archive]) for archive in settlement.confirmed),
        *(ArchiveForeign(job=work.job, archive=one.name, reason=one.doubtful) for one in met),
        *_proved(work, settlement),
        *settlement.events,
        *told(changed),
        *room,
    ]


def _proved(work: Work, settlement: Settlement) -> list[Event]:
    if work.archive is None:
        return []
    name = work.archive.name
    found: list[Event] = []
    if settlement.proof is not None:
        found.append(ArchiveProved(job=work.job, archive=name, proof=settlement.proof))
    if settlement.doubt:
        found.append(ArchiveDoubtful(job=work.job, archive=name, reason=settlement.doubt))
    return found


def told(changed: Iterable[Job]) -> list[Event]:
    """The events that say how jobs ended (those that did) or that they are tried again."""
    events: list[Event] = []
    for job in changed:
        if job.status is JobStatus.FAILED and job.error is not None:
            events.append(JobFailed(job=job, error=job.error))
        elif job.status is JobStatus.PENDING and job.error is not None:
            events.append(JobRetried(job=job, error=job.error))
        elif job.status in _TOLD:
            events.append(_TOLD[job.status](job=job))
    return events


def _observe(store: Store, work: Work, settlement: Settlement) -> None:
    if settlement.client and work.client is not None and work.client.id is not None:
        store.clients.observe(work.client.id, **settlement.client)
    if settlement.repository and work.repository is not None and work.repository.id is not None:
        store.repositories.observe(work.repository.id, **settlement.repository)
    if settlement.vault and work.vault is not None and work.vault.id is not None:
        store.vaults.observe(work.vault.id, **settlement.vault)
    archive = work.archive.id if work.archive is not None else None
    if settlement.proof is not None and archive is not None:
        store.proofs.add(settlement.proof)
        store.archives.note([archive], proved_at=settlement.proof.proved_at)
    if settlement.doubt is not None and archive is not None:
        store.archives.note([archive], doubtful=settlement.doubt)
    store.archives.note(settlement.confirmed, confirmed_at=work.now)
    store.archives.note(settlement.missing, missing_at=work.now)
    store.archives.note(settlement.found, missing_at=None)
    store.contents.forget(settlement.gone)


def _failed(store: Store, work: Work, ending: Ending) -> list[Job]:
    job, error = work.job, ending.settlement.error
    assert error is not None
    archives = _archives(work, ending.settlement)
    if error.code is ErrorCode.CANCELED:
        return store.jobs.finish_canceled(_id(job), work.fence, archives)
    # What it made is recorded with its end; nobody may come to take it for somebody else's.
    if not archives and pausing.tries(store, job, error):
        return store.jobs.put_back(_id(job), work.fence)
    # A backup that is lost gets here only if nothing of it is at work any more, or is permanent (`recovering`). Others
    # may still be at work over there: nobody starts a second one beside them.
    lost = error.code is ErrorCode.LOST and job.kind in ASKED - LOOKED_FOR
    again = not error.permanent and not lost and job.attempt < job.attempts
    retry_at = work.now + _delay(work, job) if again else None
    return store.jobs.fail(
        _id(job),
        work.fence,
        error,
        retry_at=retry_at,
        stats=ending.stats,
        warnings=ending.settlement.warnings,
        archives=archives,
    )


def _delay(work: Work, job: Job) -> timedelta:
    """The pause before the next try."""
    delays = work.settings.retry_delays or (10,)
    seconds = delays[min(job.attempt, len(delays)) - 1]
    return timedelta(seconds=seconds * random.uniform(1 - JITTER, 1 + JITTER))  # noqa: S311 (not a secret)


def _archives(work: Work, settlement: Settlement) -> list[Archive]:
    doubtful = settlement.doubtful
    return [evolve(_archive(work, made), doubtful=doubtful.get(made.name, "")) for made in settlement.archives]


def _archive(work: Work, made: ArchiveMade) -> Archive:
    job = work.job
    assert job.vault is not None
    return Archive(
        name=made.name,
        borg_id=made.borg_id,
        vault=job.vault,
        policy=job.policy,
        client=job.client,
        job=job.id,
        created_at=job.started_at,
        recorded_at=work.now,
        files=made.stats.files,
        original_bytes=made.stats.original_bytes,
        compressed_bytes=made.stats.compressed_bytes,
        deduplicated_bytes=made.stats.deduplicated_bytes,
        roots=made.roots,
        part=made.part,
    )


def _id(job: Job) -> int:
    assert job.id is not None
    return job.id
