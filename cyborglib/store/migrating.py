"""Bringing an older database up to this release. The only importer of alembic, and only when it is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script
from sqlalchemy import Connection

from . import schema, types
from .opening import VERSION_TABLE

#: What a type of ours is in a migration, which must not change when the type does.
_FROZEN = {
    types.UTCDateTime: "sa.DateTime(timezone=True)",
    types.Whole: 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")',
    types.Choice: "sa.String(32)",
}


def configuration() -> Config:
    """Alembic's, without a file."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def settings() -> dict[str, Any]:
    """How a migration context is set up: it knows our tables alone, whatever else a host keeps beside them."""
    return {
        "target_metadata": schema.metadata,
        "version_table": VERSION_TABLE,
        "include_name": _ours,
        "render_item": _render,
    }


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Run the migrations up to a revision, in the transaction of this connection."""
    config = configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def write_revision(connection: Connection, message: str, revision: str) -> str:
    """Write a migration that makes the tables of this database those of the schema; gives the file's path."""
    config = configuration()
    config.attributes["connection"] = connection
    written = command.revision(config, message, autogenerate=True, rev_id=revision)
    assert isinstance(written, Script)
    return written.path


def differences(connection: Connection) -> list[Any]:
    """How the tables of this database differ from the schema, as alembic sees it."""
    options = {key: value for key, value in settings().items() if key != "target_metadata"}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, schema.metadata))


def _ours(name: str | None, kind: str, _parents: Any) -> bool:
    return kind != "table" or (name is not None and name in schema.metadata.tables)


def _render(kind: str, item: Any, _context: Any) -> str | bool:
    if kind != "type" or not isinstance(item, sa.types.TypeDecorator):
        return False
    return next((text for type_, text in _FROZEN.items() if isinstance(item, type_)), "sa.Text()")
