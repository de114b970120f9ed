"""Reads everything that a claimed job refers to, in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ..errors import ErrorCode
from ..kinds import Refused, Work
from ..model import Job, JobKind
from ..store import Store

Role = Callable[[str, Mapping[str, Any]], tuple[str, Mapping[str, Any]]]

#: Jobs that a switched-off client or repository stops. A restore is asked for by a person, who may need just that.
_STOPPED = frozenset(JobKind) - {JobKind.RESTORE}


def load(store: Store, job: Job, fence: int, *, now: datetime, state_dir: str, role: Role) -> Work:
    """The job and its client, vault, repository, policy and archives, as they stand now."""
    archives = store.archives
    return Work(
        job=job,
        fence=fence,
        settings=store.settings,
        now=now,
        client=store.clients.get(job.client) if job.client is not None else None,
        repository=store.repositories.get(job.repository) if job.repository is not None else None,
        vault=store.vaults.get(job.vault) if job.vault is not None else None,
        policy=store.policies.get(job.policy) if job.policy is not None else None,
        archive=archives.get(job.archive) if job.archive is not None else None,
        previous=archives.latest(job.policy, job.client) if job.kind is JobKind.BACKUP else None,
        recorded=tuple(archives.find(vault=job.vault)) if job.kind is JobKind.CATALOG else (),
        state_dir=state_dir,
        role=role,
    )


def refuse_disabled(work: Work) -> None:
    """Raise `Refused` for a job whose client, repository or policy was switched off while it waited."""
    if work.job.kind not in _STOPPED:
        return
    off = ""
    if work.client is not None and not work.client.enabled:
        off = f"the client {work.client.hostname}"
    elif work.repository is not None and not work.repository.enabled:
        off = f"the repository {work.repository.name}"
    elif work.job.kind is JobKind.BACKUP and work.policy is not None and not work.policy.enabled:
        off = f"the policy {work.policy.name}"
    if off:
        message = f"{off} was disabled after this job was queued; enable it, and launch again"
        raise Refused(ErrorCode.BAD_ARGUMENTS, message, skip=True)
