"""Gives an engine jobs that may start: the oldest whose keys nobody holds in a way that excludes them.

A job that is found to need a key that is held is *parked* at that key, and is not looked at again while
the key is held that way: so a claim costs by what it hands out, however many wait. Parking is only a
hint where to look; whether a key is free is always asked of the table of holds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, insert, literal_column, select, text, update
from sqlalchemy.sql.elements import ColumnElement

from ..model import Job, JobStatus
from . import leases, schema
from .reading import PAGE, pages
from .schema import LATER, READY


@frozen
class Claim:
    """A job taken, and the token that its writes must show: it grows each time the job is taken."""

    job: Job
    fence: int


#: Literals, not parameters: only so the databases see that the partial indexes fit.
_PENDING: ColumnElement[bool] = schema.jobs.c.status == literal_column("'pending'")

_PARKED_AT = text(
    """
    WITH RECURSIVE places(place) AS (
        SELECT min(parked) FROM cyborg_jobs WHERE status = 'pending' AND parked > ''
        UNION ALL
        SELECT (SELECT min(parked) FROM cyborg_jobs WHERE status = 'pending' AND parked > places.place)
        FROM places WHERE places.place IS NOT NULL
    )
    SELECT place FROM places WHERE place IS NOT NULL
    """
)


def idle(connection: Connection, now: datetime) -> bool:
    """True if nothing may start, asked without a lock: no job stands at the door, and no parked one's key is free."""
    table = schema.jobs.c
    if connection.scalar(select(table.id).where(_PENDING, table.parked == READY).limit(1)) is not None:
        return False
    late = text("status = 'pending' AND not_before IS NOT NULL")
    later = select(table.id).where(late, table.parked == LATER, table.not_before <= now)
    if connection.scalar(later.limit(1)) is not None:
        return False
    held = _held(connection)
    return not any(place not in held or not held[place] for place in connection.scalars(_PARKED_AT) if place != LATER)


def claim_some(
    connection: Connection, owner: str, limit: int, now: datetime, lease: int, only: Sequence[int] | None
) -> tuple[list[int], bool]:
    """Take up to `limit` jobs; gives their ids, and whether there may be more to look at.

    `only` limits it to some jobs, in this order; at most `PAGE` of them.
    """
    table = schema.jobs
    late = text("status = 'pending' AND not_before IS NOT NULL")
    connection.execute(
        update(table).where(late, table.c.parked == LATER, table.c.not_before <= now).values(parked=READY)
    )
    held = _held(connection)
    candidates, more = _candidates(connection, held, limit, only)
    keys = _keys(connection, list(candidates))
    taken: list[int] = []
    parked: dict[str, list[int]] = defaultdict(list)
    for job in sorted(candidates):
        if len(taken) == limit:
            more = True
            break
        mine = keys[job]
        in_the_way = next((key for key, exclusive in mine if key in held and (exclusive or held[key])), None)
        if in_the_way is None:
            taken.append(job)
            held.update((key, exclusive or held.get(key, False)) for key, exclusive in mine)
        elif in_the_way != candidates[job]:
            parked[in_the_way].append(job)
    for key, ids in parked.items():
        connection.execute(update(table).where(table.c.id.in_(ids)).values(parked=key))
    if taken:
        _take(connection, taken, owner, lease, keys)
    return taken, more and (bool(taken) or bool(parked))


def _candidates(
    connection: Connection, held: Mapping[str, bool], limit: int, only: Sequence[int] | None
) -> tuple[dict[int, str], bool]:
    """Jobs to look at, with where they are parked; and whether there were more than are looked at in one go."""
    table, keys = schema.jobs.c, schema.job_keys.c
    query = select(table.id, table.parked).where(_PENDING, table.parked != LATER)
    if only is not None:
        return dict(connection.execute(query.where(table.id.in_(only))).all()), False
    door = select(table.id, table.parked).where(_PENDING, table.parked == READY).order_by(table.id).limit(PAGE)
    found: dict[int, str] = dict(connection.execute(door).all())
    more = len(found) == PAGE
    for place in connection.scalars(_PARKED_AT).all():
        if place == LATER or held.get(place, False):
            continue  # held alone: nobody parked there can start
        there = select(table.id, table.parked).where(_PENDING, table.parked == place)
        if place in held:  # by readers: other readers may join them
            readers = (keys.key == place, keys.exclusive.is_(False))
            there = there.join(schema.job_keys, keys.job == table.id).where(*readers)
        heads = connection.execute(there.order_by(table.id).limit(limit + 1)).all()
        found.update(heads)
        more = more or len(heads) > limit
    return found, more


def _held(connection: Connection) -> dict[str, bool]:
    """The keys that are held, by all engines; True where it is held alone."""
    table = schema.holds.c
    held: dict[str, bool] = {}
    for key, exclusive in connection.execute(select(table.key, table.exclusive)):
        held[key] = held.get(key, False) or exclusive
    return held


def _keys(connection: Connection, ids: Sequence[int]) -> dict[int, list[tuple[str, bool]]]:
    table = schema.job_keys.c
    found: dict[int, list[tuple[str, bool]]] = {job: [] for job in ids}
    for page in pages(ids):
        query = select(table.job, table.key, table.exclusive).where(table.job.in_(page)).order_by(table.job, table.key)
        for job, key, exclusive in connection.execute(query):
            found[job].append((key, exclusive))
    return found


def _take(
    connection: Connection, ids: Sequence[int], owner: str, lease: int, keys: Mapping[int, Iterable[tuple[str, bool]]]
) -> None:
    table = schema.jobs
    connection.execute(
        update(table)
        .where(table.c.id.in_(ids))
        .values(
            status=JobStatus.STARTING,
            attempt=table.c.attempt + 1,
            fence=table.c.fence + 1,
            owner=owner,
            lease_until=leases.until(lease),
            parked=READY,
            reason="",
            error=None,
            progress=None,
            started_at=None,
            not_before=None,
        )
    )
    rows: list[dict[str, Any]] = [
        {"job": job, "key": key, "exclusive": exclusive} for job in ids for key, exclusive in keys[job]
    ]
    if rows:
        connection.execute(insert(schema.holds), rows)
