"""The verb that makes vaults of Borg repositories that others made."""

from __future__ import annotations

from .. import adopting, given
from ..errors import Invalid
from ..model import Client, Job, JobKind, Repository
from ..model.fields import shown
from ..secret import Secret, as_secret
from .base import Base


class Adopting(Base):
    """See docs/adopting.md."""

    def adopt(
        self,
        repository: Repository | int | str,
        client: Client | int | str,
        *,
        passphrase: Secret | str,
        path: str | None = None,
        key: Secret | str | None = None,
        takeover: bool = False,
    ) -> list[Job]:
        """Queue that an existing Borg repository becomes a client's vault, as it is: its opening by the client, and the
        controller's listing, which records its archives as foreign. Gives these two jobs.

        `repository` says on which host it lies (or, with a plain path, that it is on the client's own disk), `path` in
        which folder there; without it that is the repository's own path. `passphrase` is the one that it has. `key` is
        what `borg key export` prints, for the modes keyfile and keyfile-blake2, unless the client has the key file.
        `takeover` takes over what another cyborglib, whose database is lost, has served on that host.

        Nothing in it is changed. What cannot be opened fails the first job, and leaves neither a vault nor a key; only
        a host that is not managed may have to let the client's key in first (`key_not_authorized`, which names the
        line): then call this again.

        Raises `AlreadyExists` for a folder that is a vault here, or a client that has one in this repository;
        `Disabled`, `Invalid`, `NotFound`.
        """
        store = self._store
        where = store.repositories.get(given.key(repository, Repository))
        who = store.clients.get(given.key(client, Client))
        if path is not None and not isinstance(path, str):
            raise Invalid(f"path must be a text, not {shown(path)}")
        secret = as_secret(passphrase)
        if secret is None:
            raise Invalid("a repository is adopted with the passphrase that it has: give passphrase=")
        jobs = self._queued(
            lambda: adopting.adopt(
                store,
                where,
                who,
                path=path,
                passphrase=secret,
                key=as_secret(key),
                takeover=given.truth("takeover", takeover),
                now=self._clock(),
            )
        )
        return [job for job in jobs if job.kind in (JobKind.PREPARE_REPOSITORY, JobKind.CATALOG)]
