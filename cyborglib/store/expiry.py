"""Takes away what ended jobs left: their output first, and long after that themselves.

It goes along the moments at which jobs ended, and notes how far it came: a step costs by what goes, and not by
what there is. What is kept for good (the job of an archive) is passed once. Archives are never touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, delete, func, insert, select, text, tuple_

from . import schema
from .database import Database

#: The jobs of one step, and about how many lines go in one: short transactions, so that others come in between.
JOBS, LINES = 200, 20_000
OUTPUT_UNTIL, JOBS_UNTIL = "output_expired_until", "jobs_expired_until"
#: What goes with a job. Whatever else refers to one keeps it.
_OWN = (schema.output, schema.job_keys, schema.holds, schema.job_after)
_jobs = schema.jobs.c
_Mark = tuple[datetime, int]
_BEGINNING: _Mark = (datetime(1970, 1, 1, tzinfo=UTC), 0)


class Expiry:
    """Steps, each a short transaction. True: there may be more to do. `before` is when the jobs ended at the latest."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def output(self, before: datetime) -> bool:
        """Take away the output of some jobs."""
        with self._database.transaction() as connection:
            mark = _mark(connection, OUTPUT_UNTIL)
            passed = _ended(connection, mark, before)
            lines = schema.output.c
            counted = select(lines.job, func.count()).where(lines.job.in_([job for _, job in passed]))
            found: dict[int, int] = dict(connection.execute(counted.group_by(lines.job)).all())
            total = 0
            for place, (_, job) in enumerate(passed, 1):
                total += found.get(job, 0)
                if total >= LINES:
                    passed = passed[:place]
                    break
            going = [job for _, job in passed if job in found]
            if going:
                connection.execute(delete(schema.output).where(lines.job.in_(going)))
            return _passed(connection, OUTPUT_UNTIL, passed)

    def jobs(self, before: datetime) -> bool:
        """Take away some jobs, with all that is theirs alone.

        Those that an archive, or anything else that lasts, refers to stay; so do those that an unfinished job waited
        for, and what ended after them is looked at when that one has ended.
        """
        with self._database.transaction() as connection:
            passed = _ended(connection, _mark(connection, JOBS_UNTIL), before)
            needed = _needed(connection, [job for _, job in passed])
            place = next((place for place, (_, job) in enumerate(passed) if job in needed), len(passed))
            passed = passed[:place]
            ids = [job for _, job in passed]
            referred: set[int] = set()
            for column in _lasting():
                referred.update(connection.scalars(select(column).where(column.in_(ids))))
            going = [job for job in ids if job not in referred]
            if going:
                for table in _OWN:
                    connection.execute(delete(table).where(table.c.job.in_(going)))
                connection.execute(delete(schema.job_after).where(schema.job_after.c.needs.in_(going)))
                connection.execute(delete(schema.jobs).where(_jobs.id.in_(going)))
            return _passed(connection, JOBS_UNTIL, passed)


def _ended(connection: Connection, mark: _Mark, before: datetime) -> list[_Mark]:
    """The next jobs that ended, after the mark."""
    query = select(_jobs.ended_at, _jobs.id).where(
        text("ended_at IS NOT NULL"),
        _jobs.ended_at < before,
        _jobs.ended_at >= mark[0],
        tuple_(_jobs.ended_at, _jobs.id) > tuple_(*mark),
    )
    return [(row.ended_at, row.id) for row in connection.execute(query.order_by(_jobs.ended_at, _jobs.id).limit(JOBS))]


def _needed(connection: Connection, ids: Sequence[int]) -> set[int]:
    """Those that an unfinished job waited for: it tells its reason by them."""
    after = schema.job_after.c
    query = select(after.needs).join(schema.jobs, _jobs.id == after.job)
    return set(connection.scalars(query.where(after.needs.in_(ids), text(schema.UNFINISHED))))


def _lasting() -> list[ColumnElement[int]]:
    """The columns that refer to jobs, in tables that are not a job's own."""
    return [
        key.parent
        for table in schema.metadata.sorted_tables
        if table not in _OWN
        for key in table.foreign_keys
        if key.column is _jobs.id
    ]


def _mark(connection: Connection, name: str) -> _Mark:
    """Up to where it came; the beginning, where nothing is noted."""
    meta = schema.meta.c
    noted = connection.scalar(select(meta.value).where(meta.name == name))
    if not noted:
        return _BEGINNING
    moment, _, job = noted.rpartition(" ")
    return datetime.fromisoformat(moment), int(job)


def _passed(connection: Connection, name: str, passed: Sequence[_Mark]) -> bool:
    """Note how far it came. True if there may be more."""
    if not passed:
        return False
    moment, job = passed[-1]
    meta = schema.meta
    connection.execute(delete(meta).where(meta.c.name == name))
    connection.execute(insert(meta).values(name=name, value=f"{moment.isoformat()} {job}"))
    return True
