"""What jobs said, line by line; and in words, what a pending job waits for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlalchemy import Connection, delete, func, insert, select

from ..errors import InvalidTransition, NotFound
from ..model import Settings
from . import schema
from .titles import title


def say(connection: Connection, job: int, lines: Sequence[str], fence: int | None) -> None:
    """Add lines after those that are there; with a token, only if it is the job's."""
    table, jobs = schema.output, schema.jobs.c
    row = connection.execute(select(jobs.fence).where(jobs.id == job)).one_or_none()
    if row is None:
        raise NotFound(f"there is no job with the id {job}")
    if fence is not None and row.fence != fence:
        raise InvalidTransition(f"job {job} was taken over by another engine: what this one heard is not kept")
    last = connection.scalar(select(func.max(table.c.n)).where(table.c.job == job)) or 0
    rows = [{"job": job, "n": last + n, "line": line} for n, line in enumerate(lines, 1)]
    if not rows:
        return
    connection.execute(insert(table), rows)
    last += len(rows)
    most = _most_lines(connection)
    if last > most:
        first = most // 2
        middle = table.c.job == job, table.c.n > first, table.c.n <= last - (most - first)
        connection.execute(delete(table).where(*middle))


def _most_lines(connection: Connection) -> int:
    """How many lines of a job are kept, by the settings: the first half and the last."""
    most = connection.scalar(select(schema.settings.c.output_lines))
    return most if most is not None else Settings().output_lines


def said(connection: Connection, job: int) -> list[str]:
    """The lines of a job, and in the place of those that were too many how many they were. Raises `NotFound`."""
    table, jobs = schema.output.c, schema.jobs.c
    lines: list[str] = []
    before = 0
    for n, line in connection.execute(select(table.n, table.line).where(table.job == job).order_by(table.n)):
        if n > before + 1:
            lines.append(f"… {n - before - 1} lines are left out here (the setting output_lines) …")
        lines.append(line)
        before = n
    if not lines and connection.scalar(select(jobs.id).where(jobs.id == job)) is None:
        raise NotFound(f"there is no job with the id {job}")
    return lines


def reasons(connection: Connection, keys: Iterable[str]) -> dict[str, str]:
    """Who holds a key now, in words; nothing for a key that is free (then the job starts with the next claim)."""
    holds, jobs = schema.holds.c, schema.jobs
    found: dict[str, str] = {}
    for key in keys:
        query = select(jobs).join(schema.holds, holds.job == jobs.c.id).where(holds.key == key).order_by(jobs.c.id)
        row = connection.execute(query.limit(1)).mappings().one_or_none()
        if row is not None:
            found[key] = f"{_named(connection, key)} is used by job {row['id']} ({title(row)})"
    return found


def _named(connection: Connection, key: str) -> str:
    """What a key stands for, as a person calls it: "vault:7" → "the vault ssh://…"."""
    kind, _, number = key.partition(":")
    column = {"vault": schema.vaults.c.location, "client": schema.clients.c.hostname}.get(kind)
    if column is not None and number.isdecimal():
        name = connection.scalar(select(column).where(column.table.c.id == int(number)))
        if name is not None:
            return f"the {kind} {name}"
    return key
