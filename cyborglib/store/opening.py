"""What a database is when it is opened, and making it ours: new, migrated, or refused."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    StaticPool,
    create_engine,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from ..errors import SchemaTooNew, SchemaTooOld, SealBroken, StoreError, WrongKey
from ..keys import Standing
from ..sealing import Sealer
from . import schema
from .database import Database, unavailable

#: Our own version table, so that a host's Alembic and ours do not meet.
VERSION_TABLE = "cyborg_alembic_version"
#: All revisions of `migrations/`, oldest first. Known without importing alembic; a test compares.
REVISIONS = ("0001",)
#: Names in the table of single values.
CHECK, KEY_ID = "check", "key_id"


def open_engine(bind: str | URL | Engine) -> tuple[Engine, bool, Path | None]:
    """An engine, whether it is ours, and the SQLite file it is on, if any. Raises `StoreError`."""
    if isinstance(bind, Engine):
        file = bind.url.database if bind.dialect.name == "sqlite" else None
        _known(bind.dialect.name)
        return bind, False, _path(file)
    try:
        url = make_url(bind)
        _known(url.get_backend_name())
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        if url.get_backend_name() == "postgresql":
            return create_engine(url, pool_pre_ping=True, hide_parameters=True, max_overflow=-1), True, None
        path = _path(url.database)
        if path is None:
            return _in_memory(url), True, None
        _private(path)
        return create_engine(url, hide_parameters=True, max_overflow=-1), True, path
    except (ArgumentError, ImportError, ValueError) as error:
        # What was given is not repeated: there may be a password in it.
        raise StoreError(
            f"the database cannot be opened: {error}. Give a URL like sqlite:///cyborg.db or "
            "postgresql+psycopg://user@host/name (which needs the extra cyborglib[postgresql])"
        ) from error


def _in_memory(url: URL) -> Engine:
    # One connection for all threads; `Database` lets one of them at a time use it.
    options = {"check_same_thread": False}
    return create_engine(url, poolclass=StaticPool, connect_args=options, hide_parameters=True)


def _known(dialect: str) -> None:
    if dialect not in ("sqlite", "postgresql"):
        raise StoreError(f"a store is kept in SQLite or PostgreSQL, not in {dialect}")


def _path(database: str | None) -> Path | None:
    if not database or database == ":memory:":
        return None
    if database.startswith("file:"):
        raise StoreError(f"give the SQLite file plainly, like sqlite:///cyborg.db, not as the URI {database!r}")
    return Path(database).absolute()


def _private(path: Path) -> None:
    """Make the file, 0600, or see that nobody else may read it. SQLite gives -wal and -shm the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        os.chmod(path, 0o600)
    except FileExistsError:
        pass
    except OSError as error:
        raise StoreError(f"the database {path} cannot be made: {error.strerror}") from error
    files = [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))]
    wide = [file for file in files if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077]
    if wide:
        names = " ".join(map(str, wide))
        raise StoreError(
            f"others may read or write the database (file names and job output are in it); run: chmod 600 {names}"
        )


def prepare(
    database: Database, file: Path | None, keys: Sealer | Callable[[Standing], tuple[str, ...]], *, migrate: bool
) -> None:
    """Make the tables or migrate them, and find the key that opens the database, under the writers' lock.

    Raises `SchemaTooNew`, `SchemaTooOld`, `MissingKey`, `WrongKey`, `StoreError`; then nothing was changed.
    """
    memory = database.sqlite and file is None
    try:
        with database.opening() as connection:
            if _behind(connection) and migrate:
                _bring_up(connection)
            elif behind := _behind(connection):
                raise SchemaTooOld(behind)
            key_id = _single(connection, KEY_ID)
            standing = Standing(file=file, memory=memory, fresh=not key_id, key_id=key_id)
            sealer = keys if isinstance(keys, Sealer) else Sealer(keys(standing))
            # A key file may hold two while the key is changed: the one that sealed what is there goes on sealing.
            sealer = sealer.led_by(key_id)
            _check_key(connection, sealer, standing)
            database.sealer = sealer
    except StoreError as error:
        if not unavailable(error):
            raise
        raise StoreError(
            f"the database cannot be opened: {getattr(error.__cause__, 'orig', error)}"
        ) from error.__cause__
    except SQLAlchemyError as error:
        raise StoreError(f"the database cannot be opened: {getattr(error, 'orig', None) or error}") from error


def _single(connection: Connection, name: str) -> str:
    return str(connection.scalar(select(schema.meta.c.value).where(schema.meta.c.name == name)) or "")


def _behind(connection: Connection) -> str:
    """Why the tables are not as this release needs them; "" if they are. Raises `SchemaTooNew`, `StoreError`."""
    tables = set(inspect(connection).get_table_names())
    ours = {table.name: table for table in schema.metadata.sorted_tables}
    if VERSION_TABLE in tables:
        version = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608 - a constant
        if version is not None and version not in REVISIONS:
            raise SchemaTooNew(
                f"the database was written by a later release (its schema is {version}, this release knows "
                f"{REVISIONS[-1]}): install that release, or put the copy from before the upgrade back"
            )
        if version == REVISIONS[-1]:
            return ""
        return (
            f"the database is of an earlier release (its schema is {version}, this release needs {REVISIONS[-1]}): "
            "open it with migrate=True, or migrate it yourself"
        )
    if not tables & set(ours):
        return "the database holds no tables of this library yet: open it with migrate=True, or make them yourself"
    # Tables without our version: a host's own migrations made them, from `cyborglib.store.metadata`.
    inspector = inspect(connection)
    for name, table in ours.items():
        there = {column["name"] for column in inspector.get_columns(name)} if name in tables else set()
        if lacking := [column.name for column in table.columns if column.name not in there]:
            raise SchemaTooOld(
                f"the table {name} lacks {', '.join(lacking)}. It was not made by this library's own migrations, so "
                "these leave it alone: bring it up to date with those that made it (cyborglib.store.metadata)"
            )
    return ""


def _bring_up(connection: Connection) -> None:
    tables = set(inspect(connection).get_table_names())
    if VERSION_TABLE in tables:
        from .migrating import upgrade  # here: it imports alembic

        upgrade(connection)
        return
    schema.metadata.create_all(connection, checkfirst=False)
    connection.execute(
        text(
            f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL, "
            f"CONSTRAINT {VERSION_TABLE}_pkc PRIMARY KEY (version_num))"
        )
    )
    stamp = text(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES (:version)")  # noqa: S608 - a constant
    connection.execute(stamp, {"version": REVISIONS[-1]})


def _check_key(connection: Connection, sealer: Sealer, standing: Standing) -> None:
    if standing.fresh:
        write_check(connection, sealer)
        return
    try:
        sealer.unseal(f"meta/{CHECK}", _single(connection, CHECK))
    except SealBroken as error:
        raise WrongKey(
            f"the key given does not open this database: it was sealed with the key {standing.key_id}, and "
            f"{sealer.key_id} was given. Give the right one as key= or $CYBORG_KEY. Nothing was changed"
        ) from error


def write_check(connection: Connection, sealer: Sealer) -> None:
    """Keep what shows, on the next opening, whether a key is the right one."""
    meta = schema.meta
    connection.execute(meta.delete().where(meta.c.name.in_((CHECK, KEY_ID))))
    rows = [
        {"name": CHECK, "value": sealer.seal(f"meta/{CHECK}", sealer.key_id)},
        {"name": KEY_ID, "value": sealer.key_id},
    ]
    connection.execute(insert(meta), rows)
