"""Verbs that find out whether what is kept is whole, and comes back."""

from __future__ import annotations

from collections.abc import Iterable

from .. import checking, given
from ..model import Job, Repository
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
