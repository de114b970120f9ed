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
from ..sealing import Sealer
from . import schema
from .database import Database
from .invitations import Invitations
from .jobs import JobShelf
from .mapped import ARCHIVES, CLIENTS, POLICIES, REPOSITORIES, SCHEDULES, SETTINGS, VAULTS, fields_of
from .opening import CHECK, KEY_ID, open_engine, prepare
from .rotation import reseal
from .shelves import ArchiveShelf, ClientShelf, PolicyShelf, RepositoryShelf, ScheduleShelf, VaultShelf


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
        # As if it were new: what is asked for a new key when it changes.
        self._standing, self._key_folder = Standing(file=file, memory=memory, fresh=True), key_folder
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
        self.jobs = JobShelf(self._database)
        self.invitations = Invitations(self._database)

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

    def rotate(self, key: Key = None) -> None:
        """Seal everything anew with another key, in one transaction.

        `key` is a Fernet key, a list (the first seals) or the path of a file. None makes a new one: for an
        SQLite file in a new default key file, which the next opening finds. The old key stays where it is, as
        copies of the database from before need it. Other processes that have this store open cannot unseal any
        more until they are opened with the new key. Raises `MissingKey` if there is no place for a new one, and
        `SealBroken` if something does not open now; then nothing was changed.
        """
        new = Sealer(find_keys(key, self._standing, {}, self._key_folder))
        with self._database.transaction() as connection:
            reseal(connection, self._database.sealer, new)
            self._database.after_commit(lambda: setattr(self._database, "sealer", new))
