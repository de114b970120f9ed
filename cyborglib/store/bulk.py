"""Many rows at once, the way that is cheapest on each database: the catalogue takes in a million entries at a time."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, text

_VERSION = "v.first_archive, v.last_archive, v.type, v.size, v.mtime, v.mode, v.owner, v.target"
_ON = "v.path = p.id AND v.series = :series AND v.first_archive <= :high AND v.last_archive >= :low"
#: JSON of a folder's id and names there: one statement for all, in which each name is one step down an index.
_SQLITE = text(
    f"SELECT p.id, p.parent, p.name, {_VERSION} "  # noqa: S608 - constants
    "FROM json_each(:wanted) AS folder, json_each(folder.value) AS name "
    "CROSS JOIN cyborg_paths AS p ON p.parent = CAST(folder.key AS INTEGER) AND p.name = name.value "
    f"LEFT JOIN cyborg_versions AS v ON {_ON}"
)
_POSTGRESQL = text(
    f"SELECT p.id, p.parent, p.name, {_VERSION} "  # noqa: S608 - constants
    "FROM unnest(CAST(:parents AS bigint[]), CAST(:names AS text[])) AS w (parent, name) "
    "JOIN cyborg_paths AS p ON p.parent = w.parent AND p.name = w.name "
    f"LEFT JOIN cyborg_versions AS v ON {_ON}"
)
#: The columns of what is written in bulk: table -> (what PostgreSQL calls its type, name).
PATHS = ("cyborg_paths", (("bigint", "id"), ("bigint", "parent"), ("text", "name"), ("text", "folded")), "")
VERSIONS = (
    "cyborg_versions",
    (
        ("bigint", "path"), ("bigint", "series"), ("bigint", "first_archive"), ("bigint", "last_archive"),
        ("text", "type"), ("bigint", "size"), ("bigint", "mtime"), ("smallint", "mode"), ("bigint", "owner"),
        ("text", "target"),
    ),
    " ON CONFLICT (path, series, first_archive) DO UPDATE SET last_archive = excluded.last_archive, "
    "type = excluded.type, size = excluded.size, mtime = excluded.mtime, mode = excluded.mode, "
    "owner = excluded.owner, target = excluded.target",
)  # fmt: skip


def prepared(connection: Connection) -> None:
    """Say, for this transaction, that a few thousand keys are looked up in a large table. It may still be small."""
    if connection.dialect.name != "sqlite":
        for way in ("hashjoin", "mergejoin", "seqscan"):
            connection.execute(text(f"SET LOCAL enable_{way} = off"))


def looked_up(
    connection: Connection, wanted: dict[int, list[str]], series: int, low: int, high: int
) -> Iterable[Sequence[Any]]:
    """(path, parent, name, first, last, and the six of a state) of what is there of some names, by their folders.

    A path without a version in those archives of the series has None instead; with several, it comes as often.
    """
    if connection.dialect.name == "sqlite":
        asked: dict[str, Any] = {"wanted": json.dumps(wanted)}
        statement = _SQLITE
    else:
        asked = {
            "parents": [parent for parent, names in wanted.items() for _ in names],
            "names": [name for names in wanted.values() for name in names],
        }
        statement = _POSTGRESQL
    asked.update(series=series, low=low, high=high)
    return connection.execute(statement, asked).all()


def write(
    connection: Connection, table: tuple[str, tuple[tuple[str, str], ...], str], rows: list[tuple[Any, ...]]
) -> None:
    """Insert rows; a version that is there already is written over."""
    if not rows:
        return
    name, columns, conflict = table
    into = f"INSERT INTO {name} ({', '.join(column for _, column in columns)})"
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        connection.exec_driver_sql(f"{into} VALUES ({marks}){conflict}", rows)
        return
    arrays = ", ".join(f"CAST(:{column} AS {kind}[])" for kind, column in columns)
    values = zip(*rows, strict=True)
    asked = {column: list(some) for (_, column), some in zip(columns, values, strict=True)}
    connection.execute(text(f"{into} SELECT * FROM unnest({arrays}){conflict}"), asked)  # noqa: S608 - constants
