"""Our migrations: from nothing to what the schema says, and never at a host's tables."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator

import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text

from cyborglib.model import Client
from cyborglib.store import Store, metadata
from cyborglib.store.migrating import configuration, differences, upgrade
from cyborglib.store.opening import REVISIONS, VERSION_TABLE
from tests.store.conftest import KEY


def not_comparable(test: Callable[..., None]) -> Callable[..., None]:
    """Indexes on expressions cannot be read back from SQLite; another test compares all that there is."""
    warnings = ("ignore:autogenerate skipping:UserWarning", "ignore:Skipped unsupported reflection")
    return pytest.mark.filterwarnings(*warnings)(test)


@pytest.fixture
def connection(empty_url: str) -> Iterator[Connection]:
    engine = create_engine(empty_url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def made(connection: Connection) -> dict[str, list[str]]:
    """The statements that made what is in an SQLite database, but for blanks, quotes and order."""
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL"))
    return {name: sorted(re.split(r"[\s\",()]+", sql)) for name, sql in rows if name != VERSION_TABLE}


def test_the_revisions_are_those_of_the_folder() -> None:
    script = ScriptDirectory.from_config(configuration())
    assert tuple(revision.revision for revision in reversed(list(script.walk_revisions()))) == REVISIONS
    assert script.get_heads() == [REVISIONS[-1]]


@not_comparable
def test_the_migrations_make_what_the_schema_says(connection: Connection) -> None:
    upgrade(connection)
    assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one() == REVISIONS[-1]
    assert set(inspect(connection).get_table_names()) == {*metadata.tables, VERSION_TABLE}
    assert differences(connection) == []


def test_on_sqlite_the_migrations_make_the_very_same() -> None:
    engines = [create_engine("sqlite://"), create_engine("sqlite://")]
    with engines[0].begin() as migrated, engines[1].begin() as created:
        upgrade(migrated)
        metadata.create_all(created)
        assert made(migrated) == made(created)
    for engine in engines:
        engine.dispose()


@not_comparable
def test_a_hosts_tables_are_not_seen(connection: Connection) -> None:
    connection.execute(text("CREATE TABLE clients (id INTEGER PRIMARY KEY)"))
    connection.execute(text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
    connection.execute(text("INSERT INTO alembic_version VALUES ('theirs')"))
    upgrade(connection)
    assert differences(connection) == []
    assert connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "theirs"
    assert "clients" in inspect(connection).get_table_names()


def test_opening_migrates_what_an_earlier_release_left(empty_url: str) -> None:
    """The first release made nothing yet: a version table alone is the earliest there can be."""
    engine = create_engine(empty_url)
    with engine.begin() as connection:
        connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num VARCHAR(32) NOT NULL)"))
    if "sqlite" in empty_url:
        os.chmod(empty_url.removeprefix("sqlite:///"), 0o600)
    store = Store(empty_url, key=KEY)
    assert store.clients.add(Client("web1")).id == 1
    store.close()
    with engine.connect() as connection:
        assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one() == REVISIONS[-1]
    engine.dispose()
