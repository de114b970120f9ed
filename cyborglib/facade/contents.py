"""Verbs that ask the catalogue what is in archives."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from .. import given, launching
from ..errors import Invalid, NotFound
from ..model import Archive, Change, Client, Entry, Job, Repository, Version
from ..model.fields import as_utc, shown
from ..restoring import find_archive
from .base import Base


class Contents(Base):
    """None of them asks a host or a vault, but for `rebuild`, which queues jobs.

    What the catalogue says is what the controller's own Borg listed; names, sizes and times in it are a client's word.
    """

    def browse(self, archive: Archive | int | str, path: str = "/") -> list[Entry]:
        """What is in a folder of an archive, by name; of what is no folder, itself alone.

        `restore(entry.archive, [entry.path])` brings an entry back, whatever bytes its name has.
        Raises `NotFound` if nothing is at that path, or if the archive's contents are not in the catalogue.
        """
        found = find_archive(self._store, archive)
        entries = self._store.contents.browse(found.id or 0, _path(path))
        if entries is None:
            raise NotFound(f"the archive {found.name} has nothing at {shown(path)}; browse(archive) shows what it has")
        return entries

    def search(
        self, text: str, *, client: Client | int | str | None = None, since: datetime | None = None, limit: int = 100
    ) -> list[Entry]:
        """Up to `limit` entries of the whole fleet whose names hold a text, without regard to case.

        Each path comes once for each policy and client, as the newest archive has it that holds it in the catalogue.
        `client` looks at one client's archives only, `since` at what is in archives made at that time or later.
        A text with slashes is looked for in whole paths ("nginx/sites", "/etc/ho"); "/etc/" is that folder alone.
        Raises `Invalid`, `NotFound`.
        """
        if not isinstance(text, str) or not text.strip("/"):
            raise Invalid(f"{shown(text)} cannot be searched for: give a part of a name")
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise Invalid(f"limit must be a number above 0, not {shown(limit)}")
        number = None if client is None else self._store.clients.get(given.key(client, Client)).id
        return self._store.contents.search(text, client=number, since=as_utc(since), limit=limit)

    def versions(self, client: Client | int | str, path: str) -> list[Version]:
        """The states that a path of a client was in, newest first, each with the archives that hold it.

        Those of different policies stand beside each other. Empty if no archive in the catalogue has it.
        """
        number = self._store.clients.get(given.key(client, Client)).id
        return self._store.contents.versions(number or 0, _path(path))

    def diff(self, archive: Archive | int | str, other: Archive | int | str) -> Iterator[Change]:
        """How another archive differs from the first, path by path as it is found, in no certain order.

        A file counts as changed if its type, size, time of change, mode, owner or target did.
        Raises `NotFound` if the contents of one are not in the catalogue.
        """
        one, another = (find_archive(self._store, given_).id or 0 for given_ in (archive, other))
        return self._store.contents.diff(one, another)

    def rebuild(self, what: Repository | Archive) -> list[Job]:
        """Read contents anew from the vaults: of all archives of a repository, or of those of the policy and client
        that an archive is of, as what they have in common is kept once. Gives the jobs.

        The newest come first. What is known of an archive stays until the new listing of it is whole.
        """
        given.only(what, Repository, Archive)
        store = self._store
        if isinstance(what, Archive):
            archive = find_archive(store, what)
            vaults = [store.vaults.get(archive.vault)]
            archives = [archive.id or 0]
        else:
            vaults = store.vaults.find(repository=store.repositories.get(given.key(what, Repository)).id)
            archives = [one.id or 0 for vault in vaults for one in store.archives.find(vault=vault.id)]
        ready = [vault for vault in vaults if vault.ready]
        if not ready:
            raise Invalid("no vault is ready that could be read: prepare(repository) makes it so; nothing was changed")
        store.contents.renew(archives)
        return list(self._queued(lambda: launching.look(store, ready)))


def _path(path: str) -> str:
    if not isinstance(path, str):
        raise Invalid(f"a path is a text like '/etc/hosts', not {shown(path)}; os.fsdecode(…) makes one of bytes")
    return path
