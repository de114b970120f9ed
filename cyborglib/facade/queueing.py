"""Verbs that queue jobs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .. import checking, drilling, given, launching, restoring
from ..engine.recording import told
from ..errors import Invalid
from ..model import Archive, Client, Job, JobKind, Policy, Repository
from .base import Base


class Queueing(Base):
    """Each gives the jobs that it queued or changed."""

    def launch(
        self,
        policy: Policy | int | str,
        clients: Iterable[Client | int | str] | None = None,
        extra_vars: Mapping[str, Any] | None = None,
    ) -> list[Job]:
        """Queue a backup for each enabled client of a policy (or for some); gives the backup jobs.

        Preparations that are needed go before, the controller's listing of the vault after. A client whose
        backup of this policy has not ended gives that job. `extra_vars` go over the policy's for this launch.

        Raises `Disabled` with nothing queued, `Invalid`, `NotFound`.
        """
        return launching.of_kind(self._launch(policy, clients, extra_vars), JobKind.BACKUP)

    def prepare(self, what: Client | Repository, *, update: bool = False) -> list[Job]:
        """Queue the preparation of a client, or of every vault of a repository; gives those jobs.

        `update` brings Borg on a client to the newest its packages offer.
        """
        store = self._store
        given.truth("update", update)
        if isinstance(what, Client):
            client = store.clients.get(what.id if what.id is not None else what.hostname)
            return list(self._queued(lambda: launching.prepare_client(store, client, update=update)))
        if isinstance(what, Repository):
            repository = store.repositories.get(what.id if what.id is not None else what.name)
            queued = self._queued(lambda: launching.prepare_repository(store, repository, self._clock()))
            return launching.of_kind(queued, JobKind.PREPARE_REPOSITORY)
        raise Invalid(f"a client or a repository can be prepared, not a {type(what).__name__}")

    def restore(
        self,
        archive: Archive | int | str,
        paths: Iterable[str] = (),
        *,
        to: Client | None = None,
        destination: str | Path | None = None,
        overwrite: bool = False,
        options: Mapping[str, Any] | None = None,
        dry_run: bool = False,
    ) -> Job:
        """Queue a restore, to any client or (None) to this machine; gives the job. Where the vault cannot be opened
        at that place, Borg restores where it can, and the files are carried over.

        `paths` are exact, as they were on the client; each brings an entry and all below it, none bring all.
        The destination is a new folder, `./restore-<job id>` here and `/var/tmp/cyborg-restore-<job id>` on a
        client, unless one is given; one that holds anything is refused unless `overwrite`. A path that
        matches nothing fails the job. `dry_run` lists in the job's output. `options`: `numeric_ids`, `force` (from a
        suspect vault), `special` (keep set-id bits, capabilities and devices in files for another client).

        What a database, a machine or a command was backed up from goes back by its policy type, if it goes to a
        client and no destination is given: into a new database, a new machine, a command; docs/policy-options.md says
        what `options` each type takes. With a destination, or to the controller, it is the file that was archived.

        Raises `Invalid`, `NotFound`.
        """
        planned = restoring.plan(
            self._store,
            archive,
            paths,
            to=to,
            destination=destination,
            overwrite=overwrite,
            options=options,
            dry_run=dry_run,
            roles_path=self._roles_path,
        )
        return self._queued(lambda: self._store.jobs.queue([planned]))[0]

    def catalog(self, repository: Repository | int | str) -> list[Job]:
        """Queue the controller's own look into each vault of a repository; gives those jobs.

        What is there becomes confirmed; if anything of ours is missing or was replaced, the job fails with
        `archives_vanished` and the vault is suspect.
        """
        found = self._store.repositories.get(given.key(repository, Repository))
        return list(self._queued(lambda: launching.catalog(self._store, found)))

    def relaunch(self, job: Job | int) -> list[Job]:
        """Queue once more what an ended job did; gives the new job. The old one stays as it ended, with what it said;
        the new one refers to it (`relaunch_of`).

        Raises `Invalid` for a job that has not ended.
        """
        old = self._store.jobs.get(given.key(job, Job))
        if not old.finished:
            raise Invalid(f"job {old.id} has not ended yet ({old.status}); cancel it first, or wait for it")
        if old.kind is JobKind.BACKUP and old.policy is not None and old.client is not None:
            again = self._launch(old.policy, [old.client], old.extra_vars, launched_by="relaunch", relaunch_of=old)
            return launching.of_kind(again, JobKind.BACKUP)
        if old.kind is JobKind.CHECK and old.vault is not None:
            vault = self._store.vaults.get(old.vault)
            repository = self._store.repositories.get(vault.repository)
            return list(self._queued(lambda: checking.again(self._store, repository, vault, old), old))
        if old.kind is JobKind.DRILL and old.archive is not None:
            archive, path = self._store.archives.get(old.archive), self._roles_path
            return list(self._queued(lambda: drilling.of_archive(self._store, archive, path, "relaunch"), old))
        return launching.of_kind(self._queued(lambda: launching.relaunch(self._store, old), old), old.kind)

    def cancel(self, job: Job | int) -> Job:
        """Cancel a job. One at work ends within seconds, with its Borg, if an engine is at work on it.

        Raises `InvalidTransition` for one that has ended.
        """
        number = self._store.jobs.get(given.key(job, Job)).id or 0
        with self._engine.committing() as events:
            events.extend(told(self._store.jobs.cancel(number)))
        self._engine.cancel(number)
        self._engine.tell()
        return self._store.jobs.get(number)
