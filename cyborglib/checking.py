"""Queues checks of vaults: those that are asked for, and those whose turn has come."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from . import proving
from .errors import Disabled, Invalid
from .model import Job, JobKind, JobStatus, Repository, Vault
from .planning import NewJob
from .store import Queued, Store, unavailable

logger = logging.getLogger("cyborglib")

#: Beyond that no vault is put off: whatever says so was written by a clock that was wrong.
AHEAD = proving.DAY + timedelta(hours=1)
_UNFINISHED = [status for status in JobStatus if not status.finished]


def check(store: Store, repository: Repository, parts: Iterable[str]) -> Queued:
    """Queue the check of some parts of all vaults of a repository, each as a whole."""
    if not repository.enabled:
        raise Disabled(f"the repository {repository.name} is disabled; enable it first")
    with store.transaction():
        vaults = [vault for vault in store.vaults.find(repository=repository.id) if vault.ready]
        if not vaults:
            raise Invalid(f"no vault of the repository {repository.name} was made yet, so there is nothing to check")
        return _queue(store, repository, [(vault, part) for vault in vaults for part in parts], launched_by="call")


def again(store: Store, repository: Repository, vault: Vault, job: Job) -> Queued:
    """Queue what an ended check did once more."""
    with store.transaction():
        part, seconds = str(job.options.get("part")), int(job.options.get("seconds") or 0)
        return _queue(store, repository, [(vault, part)], launched_by="relaunch", seconds=seconds)


def waiting(store: Store, now: datetime) -> list[Vault]:
    """The vaults to look at now."""
    return store.vaults.unlooked(now, now + AHEAD)


def launch(store: Store, vault: Vault, now: datetime) -> Queued:
    """Queue what of a vault is to be checked by now, and note when to look again, in one transaction.

    One of which that cannot be said never stops the others. What is suspect is left to the person who looks into it.
    """
    assert vault.id is not None
    try:
        with store.transaction():
            # As it stands now: another engine may have been faster.
            vault, settings = store.vaults.get(vault.id), store.settings
            if vault.next_check is not None and now < vault.next_check <= now + AHEAD:
                return Queued((), ())
            store.vaults.observe(vault.id or 0, next_check=proving.look_again(vault, settings, now))
            repository = store.repositories.get(vault.repository)
            if vault.suspect or not vault.ready or not repository.enabled or _off(store, vault):
                return Queued((), ())
            wanted = [(vault, part) for part in proving.due_parts(vault, settings, now)]
            return _queue(store, repository, wanted, launched_by="schedule", seconds=settings.check_seconds)
    except Exception as error:
        if unavailable(error):
            raise
        logger.exception("the vault %s could not be looked at whether it is to be checked", vault.location)
        return Queued((), ())


def _off(store: Store, vault: Vault) -> bool:
    """True for a vault in a folder of a client that is switched off."""
    return vault.where.local and vault.client is not None and not store.clients.get(vault.client).enabled


def _queue(
    store: Store, repository: Repository, wanted: Iterable[tuple[Vault, str]], *, launched_by: str, seconds: int = 0
) -> Queued:
    """Queue checks; of those that are queued or at work already, give these."""
    planned: list[NewJob] = []
    found: list[Job] = []
    for vault, part in wanted:
        there = [
            job
            for status in _UNFINISHED
            for job in store.jobs.find(kind=JobKind.CHECK, vault=vault.id, status=status)
            if job.options.get("part") == part
        ]
        if there:
            found.append(there[0])
            continue
        files, stored = store.archives.extent(vault.id or 0)
        planned.append(
            proving.check(
                repository,
                vault,
                store.clients.get(vault.client) if vault.client is not None else None,
                part,
                store.settings,
                launched_by=launched_by,
                timeout=proving.timeout(part, store.settings, seconds=seconds, files=files, stored=stored),
                seconds=seconds,
            )
        )
    queued = store.jobs.queue(planned)
    return Queued([*found, *queued], [job.id or 0 for job in queued.new])
