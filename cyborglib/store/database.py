"""Connections and transactions: the same promises on SQLite and PostgreSQL.

A transaction is the only writer while it lasts (SQLite: `BEGIN IMMEDIATE`; PostgreSQL: an advisory lock),
so what is decided in it from what it reads still holds when it commits. Reads wait for nobody.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ..errors import StoreError, WrongKey
from ..sealing import Sealer

#: The advisory lock that our writers take on PostgreSQL: an arbitrary number, "cyborg" in letters.
ADVISORY_LOCK = 0x6379626F7267
#: How long a writer waits for another process that writes to the same SQLite file.
BUSY_SECONDS = 60
_AWAY = (OperationalError, InterfaceError, DisconnectionError, PoolTimeout)
#: What databases say that take nothing for now: SQLite's primary codes, PostgreSQL's states.
_FULL_CODES, _FULL_STATES = (sqlite3.SQLITE_FULL,), ("53100",)
_READ_ONLY_CODES, _READ_ONLY_STATES = (sqlite3.SQLITE_READONLY,), ("25006",)


def unavailable(error: BaseException) -> bool:
    """True for an error that says only that the database cannot be asked now: gone, locked, full, too busy."""
    return _passes(error) or (isinstance(error, StoreError) and _passes(error.__cause__))


def _passes(error: BaseException | None) -> bool:
    # PostgreSQL's "read only" is an internal error to its driver.
    return isinstance(error, _AWAY) or _says(error, (), _READ_ONLY_STATES)


def _says(error: BaseException | None, codes: tuple[int, ...], states: tuple[str, ...]) -> bool:
    said = getattr(error, "orig", None)
    code = getattr(said, "sqlite_errorcode", None)
    return (code is not None and code & 0xFF in codes) or getattr(said, "sqlstate", None) in states


def _what_to_do(error: DBAPIError | DisconnectionError | PoolTimeout) -> str:
    if _says(error, _FULL_CODES, _FULL_STATES):
        return (
            "What was begun is undone. The disk that the database lies on is full: make room there; an engine that is "
            "at work keeps what jobs tell it meanwhile, and goes on by itself"
        )
    if _says(error, _READ_ONLY_CODES, _READ_ONLY_STATES):
        return (
            "What was begun is undone. The database can only be read: see whether its file system, its file or its "
            "server was made read-only (a standby, for example), and let this account write; engines go on then"
        )
    return "What was begun is undone; see that its server runs and its disk is not full, and do it again"


class Database:
    """One open database, its sealer and its clock. Safe to use from any thread."""

    def __init__(self, engine: Engine, *, own: bool, memory: bool, clock: Callable[[], datetime]) -> None:
        self.sqlite = engine.dialect.name == "sqlite"
        self._own = own
        self.clock = clock
        self._sealer: Sealer | None = None
        self._closed = False
        self._local = threading.local()
        # In memory there is one connection, which one thread at a time may use.
        self._alone = threading.RLock() if memory else None
        # SQLite makes writers wait by sleeping; those of this process come one after the other at once.
        in_turn = self.sqlite and not memory
        self._writer: AbstractContextManager[object] = threading.Lock() if in_turn else nullcontext()
        # What a transaction decides must hold against what committed before its lock, not before its start.
        self._engine = engine if self.sqlite else engine.execution_options(isolation_level="READ COMMITTED")
        if own:
            event.listen(engine, "connect", _sqlite_connected if self.sqlite else _postgresql_connected)

    @property
    def sealer(self) -> Sealer:
        """Opens what is sealed here."""
        assert self._sealer is not None, "the store is opened with its keys before anything is read"
        return self._sealer

    @sealer.setter
    def sealer(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def sealing(self) -> Sealer:
        """The sealer, inside a transaction that writes what is sealed, or takes work for which that is needed.

        Raises `WrongKey` if another process has sealed everything anew: what is sealed here would open nowhere.
        """
        assert self._current is not None, "what is sealed is written in a transaction"
        if not self._local.sealing:
            self.check_key(self._current)
            self._local.sealing = True
        return self.sealer

    def check_key(self, connection: Connection) -> None:
        """Raise `WrongKey` if the database is not sealed with our key any more."""
        query = text("SELECT value FROM cyborg_meta WHERE name = 'key_id'")
        now = connection.execute(query).scalar_one_or_none()
        if now != self.sealer.key_id:
            raise WrongKey(
                f"another process has given this database a new key ({now}; here it is {self.sealer.key_id}): close it "
                "here, and open it again with that key. Nothing was written"
            )

    def close(self) -> None:
        """Give back the connections, if they are ours and not a host application's; from now on nothing is done."""
        self._closed = True
        if self._own:
            # Not while another thread is using the one connection there is in memory: SQLite would end the process.
            with self._exclusive():
                self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with: that of the transaction open in this thread, or a plain one."""
        if (current := self._current) is not None:
            yield current
            return
        with _in_words(), self._exclusive(), self._open_connection() as connection:
            yield connection

    @contextmanager
    def transaction(self, *, lock: bool = True) -> Iterator[Connection]:
        """A transaction; inside another one of this thread a part of that, undone alone if it raises.

        `lock=False` is for a single guarded UPDATE or INSERT, which needs no decision to hold.
        """
        if (current := self._current) is not None:
            promised = len(self._local.later)
            try:
                with current.begin_nested():
                    yield current
            except BaseException:
                del self._local.later[promised:]
                raise
            return
        later: list[Callable[[], object]] = []
        with (
            _in_words(),
            self._exclusive(),
            self._writer,
            self._open_connection() as connection,
            self._foreign_keys(connection),
            connection.begin(),
        ):
            self._begin(connection, lock)
            self._local.connection, self._local.later, self._local.sealing = connection, later, False
            try:
                yield connection
            finally:
                self._local.connection = self._local.later = None
        for call in later:
            call()

    @contextmanager
    def opening(self) -> Iterator[Connection]:
        """A transaction in which tables may be made and altered. What refers to what is checked at its end."""
        with self.transaction() as connection:
            yield connection

    def after_commit(self, call: Callable[[], object]) -> None:
        """Call something once the open transaction is committed (never, if it is not); at once if there is none."""
        later: list[Callable[[], object]] | None = getattr(self._local, "later", None)
        if later is None:
            call()
        else:
            later.append(call)

    @property
    def in_transaction(self) -> bool:
        """True in a thread that has a transaction open."""
        return self._current is not None

    @property
    def _current(self) -> Connection | None:
        return getattr(self._local, "connection", None)

    @contextmanager
    def _exclusive(self) -> Iterator[None]:
        if self._alone is None:
            yield
        else:
            with self._alone:
                yield

    def _open_connection(self) -> Connection:
        if self._closed:
            raise StoreError("the store was closed, so nothing can be read or written any more: open another Cyborg")
        return self._engine.connect()

    def _begin(self, connection: Connection, lock: bool) -> None:
        if self.sqlite:
            driver: Any = connection.connection.dbapi_connection
            if driver.in_transaction:
                # A host's engine begins on its own, maybe without the lock; nothing was done in it yet.
                connection.exec_driver_sql("ROLLBACK")
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif lock:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))

    @contextmanager
    def _foreign_keys(self, connection: Connection) -> Iterator[None]:
        """Foreign keys enforced for this transaction; a host's own connection gets its setting back."""
        if not self.sqlite or self._own:
            yield
            return
        driver: Any = connection.connection.dbapi_connection
        (before,) = driver.execute("PRAGMA foreign_keys").fetchone()
        driver.execute("PRAGMA foreign_keys = ON")
        try:
            yield
        finally:
            driver.execute(f"PRAGMA foreign_keys = {'ON' if before else 'OFF'}")


@contextmanager
def _in_words() -> Iterator[None]:
    """What a database fails with, as an error of this library: a full disk, a server that is away."""
    try:
        yield
    except (DBAPIError, *_AWAY) as error:
        if not _passes(error):
            raise
        said = " ".join(str(getattr(error, "orig", None) or error).split())
        raise StoreError(f"the database does not answer as it should: {said}. {_what_to_do(error)}") from error


def _sqlite_connected(driver: Any, _record: Any) -> None:
    cursor = driver.cursor()
    for pragma in (f"busy_timeout = {BUSY_SECONDS * 1000}", "synchronous = FULL", "foreign_keys = ON"):
        cursor.execute(f"PRAGMA {pragma}")
    _to_wal(cursor)
    cursor.close()


def _postgresql_connected(driver: Any, _record: Any) -> None:
    # A commit says what is about to be done on hosts, deleted for example: it must not be lost with its server.
    with driver.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
        )
    driver.commit()


def _to_wal(cursor: Any) -> None:
    """Make a new database's journal a write-ahead one, which it then stays.

    Where several open a new database at once, SQLite tells all but one of them at once that it is locked: on the way
    from a shared lock to an exclusive one it does not wait, as two that both wait there would wait for ever.
    """
    until = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.01)
        else:
            return
