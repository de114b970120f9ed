"""Stores to test with: each test runs on an SQLite file and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from cyborglib.sealing import Sealer
from cyborglib.store import Store, metadata
from cyborglib.testing import FixedClock
from tests.lab.postgresql import PostgreSQL
from tests.store.fleet import Fleet

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = Sealer.generate_key()


@pytest.fixture(scope="session")
def shared_url(postgresql: PostgreSQL) -> str:
    """A PostgreSQL database that tests use one after another: making one takes longer than most of them."""
    url = postgresql.database()
    Store(url, key=KEY).close()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database in which nothing is kept."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cyborg.db"
    found: str = request.getfixturevalue("shared_url")
    engine = create_engine(found)
    with engine.begin() as connection:
        connection.execute(text(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY"))
    engine.dispose()
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without any table."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cyborg.db"
    found: str = request.getfixturevalue("postgresql_url")
    return found


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
def open_store(url: str, clock: FixedClock) -> Iterator[Callable[..., Store]]:
    """Opens the database, again and again if asked; all are closed after the test."""
    opened: list[Store] = []

    def open_it(**options: Any) -> Store:
        opened.append(Store(options.pop("bind", url), **{"key": KEY, "clock": clock, **options}))
        return opened[-1]

    yield open_it
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., Store]) -> Store:
    return open_store()


@pytest.fixture
def fleet(store: Store) -> Fleet:
    """Clients, a repository, a policy and vaults in the store, and jobs to be planned for them."""
    return Fleet(store)
