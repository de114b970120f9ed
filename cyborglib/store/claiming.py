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
from sqlalchemy import Connection, bindparam, insert, select, text, update

from ..model import Job, JobStatus
from . import leases, schema
from .pauses import kinds_of, standing
from .reading import pages
from .schema import PAUSED, READY
from .types import Whole


@frozen
class Claim:
    """A job taken, and the token that its writes must show: it grows each time the job is taken."""

    job: Job
    fence: int


_jobs, _keys = schema.jobs.c, schema.job_keys.c
# Built once: a claim is asked for every second, and building its statements took half of its time.
#: Pending, said so that no index on the status is tried: the one on `not_before` is the short one.
_LATER = (_jobs.not_before <= bindparam("now"), text("parked IS NULL AND status || '' = 'pending'"))
_SOMEBODY_AT_THE_DOOR = select(_jobs.id).where(_jobs.parked == READY).order_by(_jobs.id).limit(1)
_SOMEBODYS_TIME_CAME = select(_jobs.id).where(*_LATER).order_by(_jobs.not_before).limit(1)
_COME_TO_THE_DOOR = update(schema.jobs).where(*_LATER).values(parked=READY)
_HELD = select(schema.holds.c.key, schema.holds.c.exclusive)
_IN_LINE = select(_jobs.id, _jobs.parked)
_AT = _IN_LINE.where(_jobs.parked == bindparam("place")).order_by(_jobs.id).limit(bindparam("look"))
_READERS_AT = _AT.join(schema.job_keys, _keys.job == _jobs.id).where(
    _keys.key == bindparam("place"), _keys.exclusive.is_(False)
)
_OF = _IN_LINE.where(_jobs.parked.is_not(None), _jobs.id.in_(bindparam("ids", expanding=True)))
_KEYS = select(_keys.job, _keys.key, _keys.exclusive).where(_keys.job.in_(bindparam("ids", expanding=True)))
_PARK = update(schema.jobs).where(_jobs.id.in_(bindparam("ids", expanding=True))).values(parked=bindparam("place"))
_TAKE = (
    update(schema.jobs)
    .where(_jobs.id.in_(bindparam("ids", expanding=True)))
    .values(
        status=JobStatus.STARTING,
        attempt=_jobs.attempt + 1,
        fence=_jobs.fence + 1,
        owner=bindparam("engine"),
        lease_until=leases.until(bindparam("seconds", type_=Whole)),
        parked=None,
        reason="",
        error=None,
        progress=None,
        started_at=None,
        not_before=None,
    )
)
#: The keys at which jobs are parked, each found by one step through the index that is the line.
_PARKED_AT = text(
    """
    WITH RECURSIVE places(place) AS (
        SELECT (SELECT parked FROM cyborg_jobs WHERE parked > '' ORDER BY parked LIMIT 1)
        UNION ALL
        SELECT (SELECT parked FROM cyborg_jobs WHERE parked > places.place ORDER BY parked LIMIT 1)
        FROM places WHERE places.place IS NOT NULL
    )
    SELECT place FROM places WHERE place IS NOT NULL
    """
)


def idle(connection: Connection, now: datetime) -> bool:
    """True if nothing may start, asked without a lock: no job stands at the door, and no parked one's key is free."""
    if connection.scalar(_SOMEBODY_AT_THE_DOOR) is not None:
        return False
    if connection.scalar(_SOMEBODYS_TIME_CAME, {"now": now}) is not None:
        return False
    held = _held(connection)
    held.update((PAUSED + key, True) for key in standing(connection))
    return not any(place not in held or not held[place] for place in connection.scalars(_PARKED_AT))


def claim_some(
    connection: Connection,
    owner: str,
    limit: int,
    now: datetime,
    lease: int,
    *,
    look: int,
    only: Sequence[int] | None,
) -> tuple[list[int], bool]:
    """Take up to `limit` jobs, looking at `look` of those at the door; gives their ids, and whether to look on.

    `only` limits it to some jobs; at most `reading.PAGE` of them.
    """
    connection.execute(_COME_TO_THE_DOOR, {"now": now})
    held = _held(connection)
    paused = standing(connection)
    held.update((PAUSED + key, True) for key in paused)
    candidates, more = _candidates(connection, held, limit, look, only)
    keys = _keys_of(connection, list(candidates))
    kinds = kinds_of(connection, candidates) if paused else {}
    taken: list[int] = []
    parked: dict[str, list[int]] = defaultdict(list)
    for job in sorted(candidates):
        if len(taken) == limit:
            more = True
            break
        mine = keys[job]
        full = (PAUSED + key for key, _ in mine if key in paused and paused[key].holds(kinds[job], job))
        in_the_way = next(
            full, next((key for key, exclusive in mine if key in held and (exclusive or held[key])), None)
        )
        if in_the_way is None:
            taken.append(job)
            held.update((key, exclusive or held.get(key, False)) for key, exclusive in mine)
        elif in_the_way != candidates[job]:
            parked[in_the_way].append(job)
    for key, ids in parked.items():
        connection.execute(_PARK, {"ids": ids, "place": key})
    if taken:
        _take(connection, taken, owner, lease, keys)
    return taken, more and (bool(taken) or bool(parked))


def _candidates(
    connection: Connection, held: Mapping[str, bool], limit: int, look: int, only: Sequence[int] | None
) -> tuple[dict[int, str], bool]:
    """Jobs to look at, with where they are parked; and whether there were more than are looked at in one go."""
    if only is not None:
        return dict(connection.execute(_OF, {"ids": only}).all()), False
    found: dict[int, str] = dict(connection.execute(_AT, {"place": READY, "look": look}).all())
    more = len(found) == look
    for place in connection.scalars(_PARKED_AT).all():
        if held.get(place, False):
            continue  # held alone: nobody parked there can start
        # Where readers hold it, other readers may join them.
        query = _READERS_AT if place in held else _AT
        heads = connection.execute(query, {"place": place, "look": limit + 1}).all()
        found.update(heads)
        more = more or len(heads) > limit
    return found, more


def _held(connection: Connection) -> dict[str, bool]:
    """The keys that are held, by all engines; True where it is held alone."""
    held: dict[str, bool] = {}
    for key, exclusive in connection.execute(_HELD):
        held[key] = held.get(key, False) or exclusive
    return held


def _keys_of(connection: Connection, ids: Sequence[int]) -> dict[int, list[tuple[str, bool]]]:
    found: dict[int, list[tuple[str, bool]]] = {job: [] for job in ids}
    for page in pages(ids):
        for job, key, exclusive in connection.execute(_KEYS, {"ids": page}):
            found[job].append((key, exclusive))
    return found


def _take(
    connection: Connection, ids: Sequence[int], owner: str, lease: int, keys: Mapping[int, Iterable[tuple[str, bool]]]
) -> None:
    connection.execute(_TAKE, {"ids": ids, "engine": owner, "seconds": lease})
    rows: list[dict[str, Any]] = [
        {"job": job, "key": key, "exclusive": exclusive} for job in ids for key, exclusive in keys[job]
    ]
    if rows:
        connection.execute(insert(schema.holds), rows)
