"""Queues drills: those that are asked for, and those whose turn has come."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from . import content, proving
from .errors import Disabled, Invalid
from .model import Archive, Client, Job, JobKind, JobStatus, Policy
from .planning import NewJob
from .store import Queued, Store, unavailable

logger = logging.getLogger("cyborglib")

#: Beyond that no policy is put off: whatever says so was written by a clock that was wrong.
AHEAD = proving.DAY + timedelta(hours=1)
_UNFINISHED = [status for status in JobStatus if not status.finished]


def check_policy(store: Store, policy: Policy) -> None:
    """Refuse a drill on a host that is not there, or whose own data it is."""
    host = policy.drill.host
    if host is None:
        return
    if host not in store.clients:
        raise Invalid(f"there is no client with the id {host} to drill on; add it first, and give what add gave back")
    name, repository = store.clients.get(host).hostname, store.repositories.get(policy.repository)
    if repository.location.local:
        raise Invalid(
            f"the vaults of the repository {repository.name} lie on its clients, and can be opened there only: leave "
            "the drill's host out"
        )
    if host in policy.clients:
        raise Invalid(
            f"{name} is a client of the policy {policy.name}, so it cannot be where that is proved: who broke into it "
            "would be the only witness. Name another host for the drill, or leave it out"
        )


def of_policy(
    store: Store, policy: Policy, clients: Iterable[Client] | None, roles_path: content.RolesPath
) -> Queued:
    """Queue a drill of an archive of each client of a policy, or of some clients."""
    if not policy.enabled:
        raise Disabled(f"the policy {policy.name} is disabled; enable it first")
    with store.transaction():
        wanted = policy.clients if clients is None else [client.id or 0 for client in clients]
        if strangers := [client for client in wanted if client not in policy.clients]:
            raise Invalid(f"{store.clients.get(strangers[0]).hostname} is not a client of the policy {policy.name}")
        archives = [archive for client in wanted for archive in _chosen(store, policy, client)]
        if not archives:
            raise Invalid(f"no archive of the policy {policy.name} is there yet, so there is nothing to prove")
        return _queue(store, archives, roles_path, launched_by="call")


def of_archive(store: Store, archive: Archive, roles_path: content.RolesPath, launched_by: str = "call") -> Queued:
    """Queue a drill of one archive."""
    with store.transaction():
        if archive.pruned_at is not None or archive.missing_at is not None:
            raise Invalid(f"the archive {archive.name} is not in its vault any more, so it cannot be proved")
        return _queue(store, [archive], roles_path, launched_by=launched_by)


def waiting(store: Store, now: datetime) -> list[Policy]:
    """The policies to look at now."""
    return store.policies.undrilled(now, now + AHEAD)


def launch(store: Store, policy: Policy, now: datetime, roles_path: content.RolesPath) -> Queued:
    """Queue the drills of a policy whose turn has come by now, and note when to look again, in one transaction.

    One of which that cannot be said never stops the others.
    """
    assert policy.id is not None
    try:
        with store.transaction():
            # As it stands now: another engine may have been faster.
            policy = store.policies.get(policy.id)
            if policy.next_drill is not None and now < policy.next_drill <= now + AHEAD:
                return Queued((), ())
            since = min(policy.drills_from or now, now)
            store.policies.observe(policy.id or 0, drills_from=now, next_drill=proving.next_drill(policy, now))
            if not policy.enabled or not store.repositories.get(policy.repository).enabled:
                return Queued((), ())
            clients = [one for one in proving.drilled(policy, since, now) if store.clients.get(one).enabled]
            archives = [archive for client in clients for archive in _chosen(store, policy, client)]
            sound = [archive for archive in archives if not store.vaults.get(archive.vault).suspect]
            return _queue(store, sound, roles_path, launched_by="schedule")
    except Exception as error:
        if unavailable(error):
            raise
        logger.exception("the policy %s could not be looked at for drills", policy.name)
        return Queued((), ())


def _chosen(store: Store, policy: Policy, client: int) -> list[Archive]:
    return proving.choose(store.archives.find(policy=policy.id, client=client))


def _queue(store: Store, archives: Iterable[Archive], roles_path: content.RolesPath, *, launched_by: str) -> Queued:
    """Queue drills; of those that are queued or at work already, give these."""
    planned: list[NewJob] = []
    found: list[Job] = []
    for archive in archives:
        there = [
            job
            for status in _UNFINISHED
            for job in store.jobs.find(kind=JobKind.DRILL, vault=archive.vault, status=status)
            if job.archive == archive.id
        ]
        if there:
            found.append(there[0])
        else:
            planned.append(_planned(store, archive, roles_path, launched_by))
    queued = store.jobs.queue(planned)
    return Queued([*found, *queued], [job.id or 0 for job in queued.new])


def _planned(store: Store, archive: Archive, roles_path: content.RolesPath, launched_by: str) -> NewJob:
    vault = store.vaults.get(archive.vault)
    policy = store.policies.get(archive.policy) if archive.policy is not None else None
    owner = store.clients.get(archive.client) if archive.client is not None else None
    host = policy.drill.host if policy is not None else None
    if vault.where.local:
        # Nobody else reaches it.
        if owner is None:
            raise Invalid(f"nobody knows on which client the vault of {archive.name} lies")
        where: Client | None = owner
    else:
        where = store.clients.get(host) if host is not None else None
    load = policy is not None and policy.drill.loads and content.drills(policy.type, roles_path)
    return proving.drill(
        archive,
        policy,
        store.repositories.get(vault.repository),
        vault,
        where,
        owner,
        store.settings,
        stream=policy is not None and content.loads(policy.type, roles_path),
        load=load and (not vault.where.local or host in (None, where.id if where else None)),
        launched_by=launched_by,
    )
