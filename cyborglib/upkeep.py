"""Makes the prunes and compacts that are due, or asked for, into queued jobs.

Each vault has its own moment in the span between two prunes, so that a fleet's vaults are spread over it. A prune comes
after a listing by the controller, which confirms what is new and finds what vanished. What it deletes can be brought
back for some days; then a compact makes it final, and the next prune comes a day after that, never in the same run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from attrs import evolve, frozen

from . import planning, retention
from .errors import Disabled, Invalid
from .events import Event, PruneHeld
from .model import Archive, Client, JobKind, Policy, Repository, Retention, Settings, Variables, Vault
from .planning import NewJob
from .retention import Verdict
from .store import Queued, Store, unavailable

logger = logging.getLogger("cyborglib")

#: How long after a compact the next prune comes, and after how long one that could not be queued is tried again.
DAY = timedelta(days=1)
#: By this share of the span each vault's moment lies after that of the one before: the golden ratio spreads any number.
_GOLDEN = 0.6180339887498949


def moment_of(vault: Vault, settings: Settings, now: datetime) -> datetime:
    """The first moment of a vault, somewhere in the span between two prunes."""
    share = (vault.id or 0) * _GOLDEN % 1
    return now + timedelta(days=settings.prune_every) * share


def timezone_of(store: Store, policy: Policy) -> str:
    """Whose days a policy's retention means."""
    return store.schedules.get(policy.schedule).timezone if policy.schedule is not None else "UTC"


def plan(store: Store, policy: Policy, archives: Iterable[Archive], now: datetime) -> list[Verdict]:
    """What a prune of a policy would do with some of its archives, and why."""
    share = store.settings.max_prune_share
    return retention.plan(archives, policy.retention, now=now, timezone=timezone_of(store, policy), share=share)


def of_policy(store: Store, policy: Policy, clients: Iterable[Client] | None = None) -> list[Archive]:
    """The archives of a policy (of some clients of it) that are not gone on purpose."""
    wanted = None if clients is None else {client.id for client in clients}
    return [
        archive
        for archive in store.archives.find(policy=policy.id)
        if (wanted is None or archive.client in wanted) and (archive.pruned_at is None or archive.missing_at is None)
    ]


def prune(store: Store, policy: Policy, clients: Iterable[Client] | None) -> Queued:
    """Queue the prune of a policy for each vault and client, each after a listing of its vault."""
    if policy.retention in (None, Retention()):
        raise Invalid(
            f"the policy {policy.name} has no retention, so it keeps everything; give it one, like Retention(daily=7)"
        )
    with store.transaction():
        planned: list[NewJob] = []
        places = {(archive.vault, archive.client) for archive in of_policy(store, policy, clients)}
        for vault_id in sorted({vault for vault, _ in places}):
            vault = store.vaults.get(vault_id)
            members = sorted(client for place, client in places if place == vault_id and client is not None)
            _prune(store, planned, vault, [(policy, client) for client in members], launched_by="call")
        return store.jobs.queue(planned)


def compact(store: Store, repository: Repository) -> Queued:
    """Queue the compact of each vault of a repository."""
    with store.transaction():
        planned: list[NewJob] = []
        for vault in store.vaults.find(repository=repository.id):
            if vault.ready:
                _compact(store, planned, repository, vault, launched_by="call")
        return store.jobs.queue(planned)


def _prune(
    store: Store, planned: list[NewJob], vault: Vault, whose: Iterable[tuple[Policy, int]], *, launched_by: str
) -> None:
    repository, settings = store.repositories.get(vault.repository), store.settings
    if not repository.enabled:
        raise Disabled(f"the repository {repository.name} is disabled; enable it first")
    looked = _look(store, planned, repository, vault)
    for policy, client in whose:
        job = planning.prune(
            repository, vault, policy, store.clients.get(client), settings, after=[looked], launched_by=launched_by
        )
        planned.append(job)


def _compact(store: Store, planned: list[NewJob], repository: Repository, vault: Vault, *, launched_by: str) -> None:
    if not repository.enabled:
        raise Disabled(f"the repository {repository.name} is disabled; enable it first")
    looked = _look(store, planned, repository, vault)
    client = store.clients.get(vault.client) if vault.client is not None else None
    planned.append(planning.compact(repository, vault, client, store.settings, after=[looked], launched_by=launched_by))


def _look(store: Store, planned: list[NewJob], repository: Repository, vault: Vault) -> int:
    """The controller's listing that goes before; gives its place.

    Of names and ids only: contents that cannot be read are no reason to keep what is to go.
    """
    client = store.clients.get(vault.client) if vault.client is not None else None
    look = planning.catalog(repository, vault, client, store.settings, launched_by="dependency")
    planned.append(evolve(look, job=evolve(look.job, options=Variables({"contents": False}))))
    return len(planned) - 1


@frozen
class Due:
    """What was queued for a vault, and what is to be told besides."""

    queued: Queued
    events: tuple[Event, ...] = ()


_NOTHING = Due(Queued((), ()))


class Upkeep:
    """The vaults of one store that are due."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def waiting(self, now: datetime) -> list[Vault]:
        """The vaults for which something may be due."""
        return self._store.vaults.upkeep(now)

    def queue(self, vault: Vault, now: datetime) -> Due:
        """Queue what is due for a vault; one for which that fails never stops the others, and is tried a day later."""
        assert vault.id is not None
        try:
            with self._store.transaction():
                return self._queue(self._store.vaults.get(vault.id), now)
        except Exception as error:
            if unavailable(error):
                raise
            logger.exception("%s was due for a prune or compact, which could not be queued", vault.location)
            self._store.vaults.observe(vault.id, prune_at=now + DAY, compact_at=vault.compact_at and now + DAY)
            return _NOTHING

    def _queue(self, vault: Vault, now: datetime) -> Due:
        """In one transaction with the next moments, so that two engines queue nothing twice."""
        store, number = self._store, vault.id
        assert number is not None
        kinds = (JobKind.PRUNE, JobKind.COMPACT)
        if any(not job.finished for kind in kinds for job in store.jobs.find(vault=number, kind=kind)):
            # Nobody worked it since. A new one would do the same.
            store.vaults.observe(number, prune_at=now + DAY, compact_at=vault.compact_at and now + DAY)
            return _NOTHING
        settings, repository = store.settings, store.repositories.get(vault.repository)
        if vault.prune_at is None:
            vault = store.vaults.observe(number, prune_at=moment_of(vault, settings, now))
        able = repository.enabled and not vault.suspect
        if vault.compact_at is not None and vault.compact_at <= now:
            # Tried again each day until it is done, which takes the moment away.
            store.vaults.observe(number, compact_at=now + DAY, prune_at=max(vault.prune_at or now, now + DAY))
            if able and settings.compact:
                planned: list[NewJob] = []
                _compact(store, planned, repository, vault, launched_by="schedule")
                return Due(store.jobs.queue(planned))
            return _NOTHING
        if vault.prune_at is None or vault.prune_at > now:
            return _NOTHING
        if vault.compact_at is not None and settings.compact:
            # What is deleted now would make the compact that is to come wait for longer.
            store.vaults.observe(number, prune_at=vault.compact_at + DAY)
            return _NOTHING
        store.vaults.observe(number, prune_at=now + timedelta(days=settings.prune_every))
        return self._prune(vault, now) if able and settings.prune else _NOTHING

    def _prune(self, vault: Vault, now: datetime) -> Due:
        store, events = self._store, []
        whose: list[tuple[Policy, int]] = []
        for (policy_id, client), archives in _by_owner(store.archives.expected(vault.id or 0)).items():
            policy = store.policies.get(policy_id)
            if not policy.enabled or policy.retention in (None, Retention()):
                continue
            if all(verdict.keep for verdict in plan(store, policy, archives, now)):
                reasons = [retention.held(members) for members in retention.series(archives).values()]
                events += [
                    PruneHeld(vault=vault.id or 0, policy=policy_id, client=client, reason=reason)
                    for reason in reasons
                    if reason
                ]
                continue
            whose.append((policy, client))
        if not whose:
            return Due(Queued((), ()), tuple(events))
        planned: list[NewJob] = []
        _prune(store, planned, vault, whose, launched_by="schedule")
        return Due(store.jobs.queue(planned), tuple(events))


def _by_owner(archives: Iterable[Archive]) -> dict[tuple[int, int], list[Archive]]:
    found: dict[tuple[int, int], list[Archive]] = {}
    for archive in archives:
        if archive.policy is not None and archive.client is not None:
            found.setdefault((archive.policy, archive.client), []).append(archive)
    return found
