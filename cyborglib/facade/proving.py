"""Verbs that find out whether what is kept is whole, and comes back."""

from __future__ import annotations

from collections.abc import Iterable

from .. import checking, drilling, given, restoring
from ..errors import Invalid
from ..model import Archive, Client, Job, Policy, Repository
from ..proving import as_parts
from .base import Base


class Proving(Base):
    """Each gives the jobs that it queued."""

    def check(
        self, repository: Repository | int | str, parts: Iterable[str] | str = ("repository", "archives")
    ) -> list[Job]:
        """Queue `borg check` of each vault of a repository, as a whole; gives a job for each vault and part.

        `parts`: "repository" are the files of the vault (each entry and its checksum), "archives" what its archives
        are made of, "data" the archives and all their data, which is read, decrypted and compared with what Borg called
        it. The first needs no passphrase, and runs on a managed repository's own host; the others run on the
        controller. For a folder on a client all run there.

        By schedule each part comes once in `Settings.check_<part>_days`. A vault that is found damaged is suspect from
        then on: no backup, prune or compact. **Nothing is repaired**; docs/checks.md says what to do.

        Raises `Disabled`, `Invalid`, `NotFound`.
        """
        found = self._store.repositories.get(given.key(repository, Repository))
        wanted = as_parts(parts)
        return list(self._queued(lambda: checking.check(self._store, found, wanted)))

    def drill(
        self, what: Policy | Archive | str, clients: Iterable[Client | int | str] | Client | int | str | None = None
    ) -> list[Job]:
        """Queue the proof that something can be restored: of an archive, or of a policy (or its name), for each of its
        clients or for some; gives those jobs.

        Of a client one archive is taken, by risk and age, and one that is doubtful. What is done with it is said in
        `Policy.drill`: files are restored into a scratch folder, read again and compared with what Borg says of them;
        dumps are read, or loaded into a database that goes afterwards; machines are booted without a network. Whatever
        was restored is removed. By schedule each client of a policy has its turn once in `Drill.days`.

        What was proved is in `cyborg.proofs.find(archive=archive.id)`, and `Archive.proved_at` says when. If it fails
        and that may be the archive's own fault, the archive is `doubtful`; the vault is suspect only if Borg says that
        it is damaged.

        Raises `Disabled`, `Invalid`, `NotFound`.
        """
        store, path = self._store, self._roles_path
        if isinstance(what, Archive):
            archive = restoring.find_archive(store, what)
            if clients is not None:
                raise Invalid("an archive is of one client: leave clients out")
            return list(self._queued(lambda: drilling.of_archive(store, archive, path)))
        found = store.policies.get(given.key(what, Policy))
        members = None if clients is None else [store.clients.get(client) for client in given.clients(clients)]
        return list(self._queued(lambda: drilling.of_policy(store, found, members, path)))
