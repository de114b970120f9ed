"""Writes how a job ended, with everything it found out, in one transaction; and says what happened."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta

from ..errors import ErrorCode
from ..events import (
    ArchiveConfirmed,
    Event,
    JobCanceled,
    JobFailed,
    JobRetried,
    JobSkipped,
    JobSucceeded,
)
from ..executor import ArchiveMade
from ..kinds import Settlement, Work
from ..model import Archive, Job, JobKind, JobStatus, Stats
from ..store import Store

_TOLD = {
    JobStatus.SUCCESSFUL: JobSucceeded,
    JobStatus.CANCELED: JobCanceled,
    JobStatus.SKIPPED: JobSkipped,
}


def record(store: Store, work: Work, settlement: Settlement, stats: Stats | None) -> list[Event]:
    """Commit a job's end. Gives what is to be told afterwards.

    Raises `InvalidTransition` if the job was settled by somebody else meanwhile; then nothing is written.
    """
    job = work.job
    assert job.id is not None
    with store.transaction():
        # Taken first: whoever is too late finds out before anything of it is written.
        if settlement.error is None:
            archives = [_archive(work, made) for made in settlement.archives]
            changed = store.jobs.succeed(
                job.id, work.fence, stats=stats, warnings=settlement.warnings, archives=archives
            )
        else:
            changed = _failed(store, work, settlement, stats)
        if settlement.client and work.client is not None and work.client.id is not None:
            store.clients.observe(work.client.id, **settlement.client)
        if settlement.repository and work.repository is not None and work.repository.id is not None:
            store.repositories.observe(work.repository.id, **settlement.repository)
        if settlement.vault and work.vault is not None and work.vault.id is not None:
            store.vaults.observe(work.vault.id, **settlement.vault)
        for archive in settlement.confirmed:
            store.archives.observe(archive, confirmed_at=work.now)
    named = {archive.id: archive.name for archive in work.recorded}
    confirmed = [ArchiveConfirmed(job=job, archive=named[archive]) for archive in settlement.confirmed]
    return [*confirmed, *settlement.events, *told(changed)]


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


def _failed(store: Store, work: Work, settlement: Settlement, stats: Stats | None) -> list[Job]:
    job, error = work.job, settlement.error
    assert job.id is not None
    assert error is not None
    if error.code is ErrorCode.CANCELED:
        return store.jobs.finish_canceled(job.id, work.fence)
    # A lost backup may still be at work over there: nobody starts a second one beside it. Preparing and
    # listing can always be done again.
    lost = error.code is ErrorCode.LOST and job.kind in (JobKind.BACKUP, JobKind.RESTORE)
    again = not error.permanent and not lost and job.attempt < job.attempts
    retry_at = work.now + _delay(work, job) if again else None
    return store.jobs.fail(job.id, work.fence, error, retry_at=retry_at, stats=stats, warnings=settlement.warnings)


def _delay(work: Work, job: Job) -> timedelta:
    """The pause before the next try, somewhat longer or shorter so that a fleet does not come back as one."""
    delays = work.settings.retry_delays or (10,)
    seconds = delays[min(job.attempt, len(delays)) - 1]
    return timedelta(seconds=seconds * random.uniform(0.75, 1.25))  # noqa: S311 (not a secret)


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
    )
