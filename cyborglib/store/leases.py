"""Who looks after the jobs at work: leases, written and compared by the *database's* clock in SQL.

A lease that is over frees nothing. It only lets another engine take the job over, with a new token, and
find out what became of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select, text, update

from . import schema
from .reading import pages
from .types import database_ms

_ACTIVE = text(schema.ACTIVE)
#: As a condition: the lease of a job at work is over.
OVER = schema.jobs.c.lease_until < database_ms()


def until(seconds: Any) -> Any:
    """The end of a lease that begins now, in SQL."""
    return database_ms() + seconds * 1000


def renew(connection: Connection, owner: str, seconds: int, jobs: Iterable[int] | None) -> list[int]:
    """Renew what is not over yet; gives what the engine lost: see `JobShelf.heartbeat`."""
    table = schema.jobs
    mine = (table.c.owner == owner, _ACTIVE)
    wanted = sorted(jobs or ())
    # Not what is its by name only: a job that it claimed and does not know of must run out.
    some = [(table.c.id.in_(page),) for page in pages(wanted)] if jobs is not None else [()]
    for these in some:
        connection.execute(update(table).where(*mine, *these, ~OVER).values(lease_until=until(seconds)))
    lost = set(connection.scalars(select(table.c.id).where(*mine, OVER)))
    for page in pages(wanted):
        others = select(table.c.id).where(table.c.id.in_(page), _ACTIVE, table.c.owner != owner)
        lost.update(connection.scalars(others))
    return sorted(lost)


def release(connection: Connection, owner: str) -> None:
    """End all leases of an engine."""
    table = schema.jobs
    mine = update(table).where(table.c.owner == owner, _ACTIVE)
    connection.execute(mine.values(lease_until=database_ms() - 1))


def adopt(connection: Connection, job: int, owner: str, seconds: int) -> bool:
    """Take over a job whose lease is over; False if that is not so."""
    table = schema.jobs
    lost = update(table).where(table.c.id == job, _ACTIVE, OVER)
    done = connection.execute(lost.values(owner=owner, fence=table.c.fence + 1, lease_until=until(seconds), reason=""))
    return bool(done.rowcount)
