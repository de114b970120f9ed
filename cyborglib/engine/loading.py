"""Reads everything that a claimed job refers to, in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ..kinds import Work
from ..model import Job, JobKind
from ..store import Store

Role = Callable[[str, Mapping[str, Any]], tuple[str, Mapping[str, Any]]]


def load(store: Store, job: Job, fence: int, *, now: datetime, state_dir: str, role: Role) -> Work:
    """The job and its client, vault, repository, policy and archives, as they stand now."""
    archives = store.archives
    made_by = archives.find(policy=job.policy, client=job.client) if job.kind is JobKind.BACKUP else []
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
        previous=made_by[-1] if made_by else None,
        recorded=tuple(archives.find(vault=job.vault)) if job.kind is JobKind.CATALOG else (),
        state_dir=state_dir,
        role=role,
    )
