"""What jobs said, line by line; and in words, what a pending job waits for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, text

from ..errors import InvalidTransition, NotFound
from ..model import Pause, Settings
from . import schema
from .pauses import standing
from .schema import PAUSED, READY
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


def reasons(connection: Connection, places: Iterable[str]) -> dict[str, str]:
    """For what those wait that stand in line at some places: for an engine or a slot of one, for a key, for room."""
    found: dict[str, str] = {}
    paused = standing(connection)
    door = ""
    for place in places:
        key = place.removeprefix(PAUSED)
        if place != key and key in paused:
            found[place] = _full(connection, paused[key])
        elif place == READY or not (user := _user(connection, place)):
            door = door or _at_the_door(connection)
            found[place] = door
        else:
            found[place] = f"{_named(connection, place)} is used by {user}"
    return found


def when(row: RowMapping | Mapping[str, Any]) -> str:
    """For which moment a pending job waits that stands nowhere in line."""
    moment = f"{row['not_before']:%Y-%m-%d %H:%M:%S} UTC" if row["not_before"] is not None else "the next look"
    if row["error"] is None:
        return f"is not begun before {moment}"
    tries = f"try {row['attempt']} of {row['attempts']}"
    return f"is tried again at {moment}, as it failed ({tries}): {row['error']}"


def _at_the_door(connection: Connection) -> str:
    """Nothing is in its way but that nobody has taken it yet."""
    jobs = schema.jobs.c
    active = connection.scalar(select(func.count()).select_from(schema.jobs).where(text(schema.ACTIVE))) or 0
    slots = connection.scalar(select(schema.settings.c.parallel)) or Settings().parallel
    if active >= slots:
        first = connection.execute(select(schema.jobs).where(text(schema.ACTIVE)).order_by(jobs.id).limit(1))
        return (
            f"waits for a free slot: {active} jobs are at work, which is what the setting `parallel` allows an engine; "
            f"the first of them is {_numbered(first.mappings().one())}"
        )
    return "waits for an engine to take it, which is the next to look at the queue (serve, work, run or finish)"


def _full(connection: Connection, pause: Pause) -> str:
    """Since when there has been no room, and what goes on then."""
    how = f"resume({'client' if pause.client is not None else 'vault'})"
    return (
        f"{_named(connection, pause.key)} is paused since {pause.since:%Y-%m-%d %H:%M} UTC: {pause.reason} It is "
        f"looked for room again at {pause.look_at:%Y-%m-%d %H:%M} UTC; {how} lets jobs go on at once"
    )


def _user(connection: Connection, key: str) -> str:
    """Who holds a key now; "" for one that is free."""
    holds, jobs = schema.holds.c, schema.jobs
    query = select(jobs).join(schema.holds, holds.job == jobs.c.id).where(holds.key == key).order_by(jobs.c.id)
    row = connection.execute(query.limit(1)).mappings().one_or_none()
    return "" if row is None else _numbered(row)


def _numbered(row: RowMapping) -> str:
    return f"job {row['id']} ({title(row)})"


def _named(connection: Connection, key: str) -> str:
    """What a key stands for, as a person calls it: "vault:7" → "the vault ssh://…"."""
    kind, _, number = key.partition(":")
    column = {"vault": schema.vaults.c.location, "client": schema.clients.c.hostname}.get(kind)
    if column is not None and number.isdecimal():
        name = connection.scalar(select(column).where(column.table.c.id == int(number)))
        if name is not None:
            return f"the {kind} {name}"
    return key
