"""Verbs for what comes after a backup: what is kept, and what goes."""

from __future__ import annotations

from collections.abc import Iterable

from .. import given, launching, upkeep
from ..model import Archive, Client, Job, JobKind, Policy, Repository
from ..restoring import find_archive
from ..retention import Verdict
from .base import Base


class Aftercare(Base):
    """Each that queues gives the jobs that it queued."""

    def prune_plan(self, policy: Policy | int | str) -> list[Verdict]:
        """What a prune of a policy would do now with each of its archives: nothing is done, and no host is asked.

        `verdict.rule` says why an archive stays; one with `keep` False would go. By series (client, vault, database),
        the newest first.
        """
        found = self._store.policies.get(given.key(policy, Policy))
        return upkeep.plan(self._store, found, upkeep.of_policy(self._store, found), self._clock())

    def prune(self, policy: Policy | int | str, clients: Iterable[Client | int | str] | None = None) -> list[Job]:
        """Queue the deletion of what a policy's retention does not keep, of all clients or some; gives those jobs.

        Each comes after a listing of its vault by the controller. With nothing to delete, or a reason not to, a job is
        skipped and says why. What is deleted can be brought back until a compact. Raises `Invalid` without a retention.
        """
        found = self._store.policies.get(given.key(policy, Policy))
        members = None if clients is None else [self._store.clients.get(client) for client in given.clients(clients)]
        return launching.of_kind(self._queued(lambda: upkeep.prune(self._store, found, members)), JobKind.PRUNE)

    def compact(self, repository: Repository | int | str) -> list[Job]:
        """Queue the compact of each vault of a repository; gives those jobs. After it what was deleted is gone.

        Skipped while the last deletions are younger than the setting `compact_after`.
        """
        found = self._store.repositories.get(given.key(repository, Repository))
        return launching.of_kind(self._queued(lambda: upkeep.compact(self._store, found)), JobKind.COMPACT)

    def release(self, archive: Archive | int | str) -> Archive:
        """Say that a doubtful archive is what it should be: it counts again, and older ones of its series may go."""
        found = find_archive(self._store, archive)
        assert found.id is not None
        return self._store.archives.observe(found.id, doubtful="")

    def trust_clock(self) -> None:
        """Say that the controller's clock is right now, although it jumped, or the store holds later times."""
        self._watch.trust()
