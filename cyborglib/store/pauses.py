"""What is full, and which jobs wait for it: a claim parks them at the pause of a key, and looks no more at them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, literal, select, text, update

from ..model import JobKind, Pause
from . import schema
from .database import Database
from .reading import pages
from .schema import PAUSED, READY
from .types import UTCDateTime

_pauses, _jobs = schema.pauses.c, schema.jobs.c
_NEVER = literal(datetime(1970, 1, 1, tzinfo=UTC), UTCDateTime)
_PENDING = text("status = 'pending'")


class Pauses:
    """The pauses of one store. Those that the engine makes are made in the transaction of a job's end."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[Pause]:
        """Every pause, in the order of keys."""
        with self._database.reading() as connection:
            return list(standing(connection).values())

    def add(self, pauses: Iterable[Pause]) -> list[Pause]:
        """Begin those pauses whose key is not paused; gives these."""
        with self._database.transaction() as connection:
            known = standing(connection)
            new = [pause for pause in pauses if pause.key not in known]
            for pause in new:
                connection.execute(insert(schema.pauses).values(_row(pause)))
            return new

    def put_off(self, pause: Pause) -> None:
        """Write when it is looked next, how often it was, and who may try; and let that one come to the door."""
        row = _row(pause)
        with self._database.transaction() as connection:
            connection.execute(update(schema.pauses).where(_pauses.key == row.pop("key")).values(row))
            if pause.trial is not None:
                _to_the_door(connection, _jobs.id == pause.trial, _jobs.parked == PAUSED + pause.key)

    def end(self, pauses: Iterable[Pause]) -> list[Pause]:
        """End pauses: who waited comes to the door. Gives those that there were."""
        keys = [pause.key for pause in pauses]
        with self._database.transaction() as connection:
            there = [pause for key, pause in standing(connection).items() if key in keys]
            for pause in there:
                connection.execute(delete(schema.pauses).where(_pauses.key == pause.key))
                _to_the_door(connection, _jobs.parked == PAUSED + pause.key)
            return there

    def next_to_try(self, pause: Pause) -> int | None:
        """The job that waits at a pause and comes after the one that tried last: one may never get through."""
        with self._database.reading() as connection:
            waiting = select(func.min(_jobs.id)).where(_jobs.parked == PAUSED + pause.key)
            found: int | None = connection.scalar(waiting.where(_jobs.id > pause.tried))
            if found is None:
                found = connection.scalar(waiting)
            return found

    def vaults_on(self, repository: int, filesystem: str) -> list[int]:
        """The ids of the vaults that lie on one file system of a host, however many repositories that host has."""
        vaults, repositories = schema.vaults.c, schema.repositories.c
        with self._database.reading() as connection:
            key = connection.scalar(select(repositories.host_key).where(repositories.id == repository))
            same = select(repositories.id).where(
                (repositories.id == repository) | ((repositories.host_key == key) & (repositories.host_key != ""))
            )
            query = select(vaults.id).where(vaults.filesystem == filesystem, vaults.repository.in_(same))
            return list(connection.scalars(query.order_by(vaults.id)))

    def unmeasured(self, since: datetime) -> list[int]:
        """A vault for each file system that is known, was not measured since then, and is not just being measured."""
        vaults = schema.vaults.c
        measuring = select(_jobs.vault).where(text(schema.UNFINISHED), _jobs.kind == JobKind.MEASURE)
        query = (
            select(func.min(vaults.id))
            .where(vaults.filesystem != "", vaults.ready, vaults.id.not_in(measuring))
            .group_by(vaults.repository, vaults.filesystem)
            .having(func.coalesce(func.max(vaults.measured_at), _NEVER) < since)
        )
        with self._database.reading() as connection:
            return list(connection.scalars(query))

    def due(self, now: datetime) -> list[Pause]:
        """Those where it is time to look for room, or the job that was to try was canceled or skipped."""
        with self._database.reading() as connection:
            return _due(connection, now)

    def held(self, now: datetime) -> set[int]:
        """The ids of the jobs that wait for room, where it is not time to look for some."""
        with self._database.reading() as connection:
            due = {pause.key for pause in _due(connection, now)}
            places = [PAUSED + key for key in standing(connection) if key not in due]
            return set(connection.scalars(select(_jobs.id).where(_jobs.parked.in_(places)))) if places else set()

    def looking(self) -> set[int]:
        """The ids of the unfinished jobs by which it is found out whether there is room."""
        with self._database.reading() as connection:
            trials = [pause.trial for pause in standing(connection).values() if pause.trial is not None]
            look = (_jobs.kind == JobKind.MEASURE) | _jobs.id.in_(trials)
            return set(connection.scalars(select(_jobs.id).where(text(schema.UNFINISHED), look)))


def standing(connection: Connection) -> dict[str, Pause]:
    """The pauses by their keys; mostly there is none."""
    rows = connection.execute(select(schema.pauses).order_by(_pauses.key)).mappings()
    return {row["key"]: _pause(row) for row in rows}


def _due(connection: Connection, now: datetime) -> list[Pause]:
    pauses = list(standing(connection).values())
    trials = [pause.trial for pause in pauses if pause.trial is not None]
    open_ = select(_jobs.id).where(text(schema.UNFINISHED), _jobs.id.in_(trials))
    trying = set(connection.scalars(open_)) if trials else set()
    return [
        pause for pause in pauses if pause.look_at <= now or (pause.trial is not None and pause.trial not in trying)
    ]


def kinds_of(connection: Connection, ids: Iterable[int]) -> Mapping[int, Any]:
    """What some jobs do."""
    query = select(_jobs.id, _jobs.kind)
    found: dict[int, Any] = {}
    for page in pages(sorted(ids)):
        found.update(connection.execute(query.where(_jobs.id.in_(page))).all())
    return found


def _to_the_door(connection: Connection, *which: Any) -> None:
    connection.execute(update(schema.jobs).where(_PENDING, *which).values(parked=READY))


def _pause(row: RowMapping) -> Pause:
    return Pause(**row)


def _row(pause: Pause) -> dict[str, Any]:
    return {column.name: getattr(pause, column.name) for column in schema.pauses.c}
