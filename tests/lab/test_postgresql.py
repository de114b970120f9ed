"""The PostgreSQL fixture gives a real and empty database to each test."""

from __future__ import annotations

import pytest
import sqlalchemy


@pytest.mark.parametrize("turn", [1, 2])
def test_a_database_is_fresh(postgresql_url: str, turn: int) -> None:
    engine = sqlalchemy.create_engine(postgresql_url)
    with engine.begin() as connection:
        assert connection.scalar(sqlalchemy.text("select count(*) from pg_tables where schemaname = 'public'")) == 0
        connection.execute(sqlalchemy.text("create table t (id int)"))
        assert str(connection.scalar(sqlalchemy.text("show server_version"))) >= "13"
    engine.dispose()
