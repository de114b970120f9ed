"""The store: everything that is kept, in one database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlalchemy import Connection, Engine, delete, insert, select

from ..errors import CyborgError, Invalid, StoreError
from ..keys import Key, Standing, find_keys
from ..model import Policy, Settings
from ..newkey import new_key, place_of
from ..sealing import Sealer
from . import schema
from .contents import Contents
from .database import Database
from .expiry import Expiry
from .invitations import Invitations
from .jobs import JobShelf
from .mapped import ARCHIVES, CLIENTS, POLICIES, PROOFS, REPOSITORIES, SCHEDULES, SETTINGS, VAULTS, fields_of
from .opening import CHECK, KEY_ID, open_engine, prepare
from .pauses import Pauses
from .rotation import refuse_others, reseal
from .shelves import ArchiveShelf, ClientShelf, PolicyShelf, ProofShelf, RepositoryShelf, ScheduleShelf, VaultShelf
from .types import database_ms


def _now() -> datetime:
    return datetime.now(UTC)


class Store:
    """The shelves and settings of one database; safe to use from any thread.

    `bind` is a URL, or a host application's Engine, which is never disposed of here. `key` and
    `environment` are where keys are looked for (see `keys.find_keys`; `key_folder` is the folder of the
    default file). `migrate=False` never alters tables. `check_policy` is asked before a policy is added or
    replaced. Raises `StoreError` and its kinds.
    """

    def __init__(
        self,
        bind: str | Engine,
        *,
        key: Key | Sealer = None,
        environment: Mapping[str, str] | None = None,
        key_folder: Path | None = None,
        clock: Callable[[], datetime] = _now,
        migrate: bool = True,
        check_policy: Callable[[Policy], Policy] | None = None,
    ) -> None:
        engine, own, file = open_engine(bind)
        memory = engine.dialect.name == "sqlite" and file is None
        self._place = place_of(key, Standing(file=file, memory=memory, fresh=True), environment or {}, key_folder)
        self._database = Database(engine, own=own, memory=memory, clock=clock)
        keys = key if isinstance(key, Sealer) else partial(find_keys, key, environ=environment or {}, folder=key_folder)
        try:
            prepare(self._database, file, keys, migrate=migrate)
        except BaseException:
            self._database.close()
            raise
        self.clients = ClientShelf(self._database, CLIENTS)
        self.repositories = RepositoryShelf(self._database, REPOSITORIES)
        self.schedules = ScheduleShelf(self._database, SCHEDULES)
        self.policies = PolicyShelf(self._database, POLICIES)
        self.policies.check = check_policy
        self.vaults = VaultShelf(self._database, VAULTS)
        self.archives = ArchiveShelf(self._database, ARCHIVES)
        self.proofs = ProofShelf(self._database, PROOFS)
        self.jobs = JobShelf(self._database)
        self.invitations = Invitations(self._database)
        self.pauses = Pauses(self._database)
        self.contents = Contents(self._database)
        self.expiry = Expiry(self._database)

    def close(self) -> None:
        """Give back the connections; a host's own Engine stays as it is."""
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All that this thread does with the store until the end is one transaction, undone if it raises.

        It is the only writer meanwhile, so it should be short. Inside another one it is a part of that.
        """
        with self._database.transaction() as connection:
            yield connection

    def after_commit(self, call: Callable[[], object]) -> None:
        """Call something after this thread's transaction is committed, or at once if there is none."""
        self._database.after_commit(call)

    @property
    def settings(self) -> Settings:
        """What holds for the whole store."""
        with self._database.reading() as connection:
            row = connection.execute(select(schema.settings)).mappings().one_or_none()
        try:
            return Settings() if row is None else SETTINGS.value(row, self._database.sealer)
        except CyborgError as error:
            raise StoreError(f"the settings in the database cannot be used: {error}; assign others") from error

    @settings.setter
    def settings(self, value: Settings) -> None:
        if not isinstance(value, Settings):
            raise Invalid(f"settings are a Settings value, not {value!r}; use attrs.evolve(cyborg.settings, …)")
        with self._database.transaction() as connection:
            connection.execute(delete(schema.settings))
            connection.execute(insert(schema.settings).values(id=1, **fields_of(value)))

    def database_time(self) -> datetime:
        """What the database's clock shows."""
        with self._database.reading() as connection:
            return datetime.fromtimestamp(connection.execute(select(database_ms())).scalar_one() / 1000, UTC)

    def newest_time(self) -> datetime | None:
        """The newest of the times that jobs and archives were written with lately; None in an empty store."""
        jobs, archives = schema.jobs.c, schema.archives.c
        # By id, which an index is for: what was written last.
        some = select(jobs.created_at, jobs.ended_at).order_by(jobs.id.desc()).limit(20)
        last = select(archives.recorded_at).order_by(archives.id.desc()).limit(1)
        with self._database.reading() as connection:
            times = [time for row in connection.execute(some) for time in row]
            times += connection.scalars(last)
        return max((time for time in times if time is not None), default=None)

    def get_meta(self, name: str) -> str | None:
        """A single value that is kept by name; None if there is none."""
        with self._database.reading() as connection:
            return connection.scalar(select(schema.meta.c.value).where(schema.meta.c.name == name))

    def set_meta(self, name: str, value: str) -> None:
        """Keep a single value by name."""
        if name in (CHECK, KEY_ID):
            raise Invalid(f"{name!r} is the store's own; use rotate to change its key")
        with self._database.transaction() as connection:
            connection.execute(delete(schema.meta).where(schema.meta.c.name == name))
            connection.execute(insert(schema.meta).values(name=name, value=value))

    @property
    def key_id(self) -> str:
        """Tells which key seals this store, without giving anything of it away."""
        return self._database.sealer.key_id

    def rotate(self, key: Key = None, *, owner: str = "") -> Path | None:
        """Seal everything anew with another key, in one transaction; gives the file that holds the new one, if any.

        `key` is a Fernet key, a list (the first seals), or the path of a file (a `Path` that is not there is made).
        None makes a new one. What is no path goes where the old key was read from; that one is kept beside it, as
        copies of the database from before need it. Other processes that have this store open say `WrongKey` from
        then on, and write nothing. `owner` is the engine of the caller's own.

        Raises `InUse` while another engine has jobs at work, `MissingKey` if there is no place for a new key,
        `Invalid` for the one that is in use, and `SealBroken` if something does not open now; then nothing was
        changed.
        """
        change = new_key(key, self._place)
        new, old = Sealer(change.keys), self._database.sealer
        if new.key_id == old.key_id:
            raise Invalid(f"the key {new.key_id} seals this store already; leave it out, and a new one is made")
        try:
            with self._database.transaction() as connection:
                self._database.sealing()
                refuse_others(connection, owner)
                reseal(connection, old, new)
                # Last, so that nothing is written where something does not open; and before the commit.
                change.before()
                # Whoever reads now finds what either key sealed; whoever writes waits for this transaction.
                self._database.sealer = new.beside(old)
        except BaseException:
            # Whether it was committed may not be known, and both keys are still in their files.
            self._database.sealer = old.beside(new)
            raise
        change.after()
        return change.file
