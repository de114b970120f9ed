"""Whose archive is this name? Pure: for all who find an archive in a vault that no job has recorded."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import evolve

from ..errors import ErrorCode
from ..model import Job, JobKind
from .backup import ArchiveName


def jobs_named(names: Iterable[str]) -> set[int]:
    """The ids of the jobs that these names speak of. Anybody can write any number into a name: see `maker`."""
    found = (ArchiveName.parse(name) for name in names)
    return {name.job for name in found if name is not None and name.job < 2**63}


def maker(name: str, jobs: Iterable[Job], vault: int | None) -> Job | None:
    """The job that was told to give an archive in this vault this name, in whatever attempt; None if there is none.

    That is all a name can say: whoever may write the vault may have guessed it, before or after the job came to it.
    """
    parsed = ArchiveName.parse(name)
    if parsed is None:
        return None
    job = next((job for job in jobs if job.id == parsed.job), None)
    if job is None or job.kind is not JobKind.BACKUP or job.vault != vault or job.created_at is None:
        return None
    moment = job.created_at.replace(microsecond=0)
    told = evolve(parsed, policy=job.policy_name, client=job.client_name, moment=moment)
    return job if told == parsed and 1 <= parsed.attempt <= job.attempt else None


def may_record(job: Job) -> bool:
    """True while an archive that a job made may still be recorded as its own: it is unfinished, or was lost."""
    return not job.finished or (job.error is not None and job.error.code is ErrorCode.LOST)
