"""How jobs go from state to state: each step one guarded UPDATE, and with an end all that hangs on it.

A step that is not allowed from where the job stands, or that is said with the token of an engine that lost
the job, changes nothing and raises `InvalidTransition`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, case, delete, insert, select, text, update

from ..errors import AlreadyExists, ErrorCode, InvalidTransition, JobError, NotFound
from ..model import ACTIVE, STEPS, Archive, JobStatus, Stats
from . import leases, schema
from .mapped import ARCHIVES, fields_of
from .reading import pages
from .schema import READY
from .titles import title, why_not

_ACTIVE = text(schema.ACTIVE)


def _from(to: JobStatus, among: Collection[JobStatus]) -> Any:
    """The condition that a job is where it may go on from to there, and is one of these."""
    allowed = ", ".join(repr(str(status)) for status in JobStatus if status in among and to in STEPS[status])
    return text(f"status IN ({allowed})")


#: A job at work goes to these, and one that is not to that.
_RUNNING, _AGAIN, _SUCCESSFUL, _FAILED, _CANCELED, _SKIPPED = (
    _from(to, ACTIVE)
    for to in (
        JobStatus.RUNNING,
        JobStatus.PENDING,
        JobStatus.SUCCESSFUL,
        JobStatus.FAILED,
        JobStatus.CANCELED,
        JobStatus.SKIPPED,
    )
)
_NOT_BEGUN = _from(JobStatus.CANCELED, set(JobStatus) - ACTIVE)


def start(connection: Connection, id: int, fence: int, now: datetime) -> None:
    """starting → running."""
    _step(connection, id, _RUNNING, {"status": JobStatus.RUNNING, "started_at": now}, "started", fence)


def succeed(
    connection: Connection,
    id: int,
    fence: int,
    now: datetime,
    *,
    stats: Stats | None,
    warnings: Sequence[str],
    archives: Sequence[Archive],
) -> list[int]:
    """starting or running → successful, with its archives; gives what changed: the job and what it woke."""
    values = {"status": JobStatus.SUCCESSFUL, "stats": stats, "warnings": tuple(warnings), "error": None, "reason": ""}
    _step(connection, id, _SUCCESSFUL, {**values, **_ended(now)}, "successful", fence)
    for archive in archives:
        _record(connection, archive, id)
    return [id, *_settle(connection, id, now)]


def _record(connection: Connection, archive: Archive, job: int) -> None:
    row = ARCHIVES.row(fields_of(archive) | {"job": job})
    del row["id"]
    table = schema.archives
    same = select(table.c.name).where(table.c.vault == archive.vault, table.c.borg_id == archive.borg_id)
    if (name := connection.scalar(same)) is not None:
        raise AlreadyExists(
            f"the archive id {archive.borg_id} was recorded before, as {name}: this answer of Borg is not of job {job}"
        )
    connection.execute(insert(table).values(row))


def fail(
    connection: Connection,
    id: int,
    fence: int,
    now: datetime,
    error: JobError,
    *,
    retry_at: datetime | None,
    stats: Stats | None,
    warnings: Sequence[str],
    archives: Sequence[Archive],
) -> list[int]:
    """starting or running → failed, with the archives that it made nevertheless.

    Or, to be tried again, → pending; or canceled, if that was asked meanwhile.
    """
    values: dict[str, Any] = {"error": error, "warnings": tuple(warnings), "stats": stats, "reason": ""}
    if retry_at is None:
        _step(connection, id, _FAILED, {"status": JobStatus.FAILED, **values, **_ended(now)}, "failed", fence)
        for archive in archives:
            _record(connection, archive, id)
        return [id, *_settle(connection, id, now)]
    again = {
        "status": JobStatus.PENDING,
        "not_before": retry_at,
        "parked": None,
        "owner": None,
        "lease_until": None,
        "reason": "",
    }
    if _try_step(connection, id, _AGAIN & ~schema.jobs.c.cancel_requested, {**values, **again}, fence):
        connection.execute(delete(schema.holds).where(schema.holds.c.job == id))
        for archive in archives:
            _record(connection, archive, id)
        return [id]
    return canceled(connection, id, fence, now, archives)


def postpone(connection: Connection, id: int, fence: int, seconds: float, reason: str) -> None:
    """starting or running, and nobody's for some seconds: then whoever comes first takes it over."""
    values = {"owner": None, "lease_until": leases.until(int(seconds)), "reason": reason}
    _step(connection, id, _ACTIVE, values, "asked for later", fence)


def give_back(connection: Connection, id: int, fence: int) -> list[int]:
    """starting → pending, as if it had not been claimed: nothing was done for it."""
    starting = text("status = 'starting'")
    values = {"status": JobStatus.PENDING, "owner": None, "lease_until": None, "parked": READY}
    attempt = schema.jobs.c.attempt - 1
    _step(connection, id, starting, {**values, "attempt": attempt}, "given back", fence)
    connection.execute(delete(schema.holds).where(schema.holds.c.job == id))
    return [id]


def put_back(connection: Connection, id: int, fence: int, now: datetime) -> list[int]:
    """starting or running → pending: there was no room for it, which costs it none of its attempts.

    It was begun, and so the next try is another attempt. Or → canceled, if that was asked meanwhile.
    """
    values = {"status": JobStatus.PENDING, "owner": None, "lease_until": None, "parked": READY, "error": None}
    more = {"attempts": schema.jobs.c.attempts + 1}
    if _try_step(connection, id, _AGAIN & ~schema.jobs.c.cancel_requested, {**values, **more}, fence):
        connection.execute(delete(schema.holds).where(schema.holds.c.job == id))
        return [id]
    return canceled(connection, id, fence, now)


def canceled(connection: Connection, id: int, fence: int, now: datetime, archives: Sequence[Archive] = ()) -> list[int]:
    """starting or running → canceled: nothing of it runs any more."""
    _step(connection, id, _CANCELED, {"status": JobStatus.CANCELED, "reason": "", **_ended(now)}, "canceled", fence)
    for archive in archives:
        _record(connection, archive, id)
    return [id, *_settle(connection, id, now)]


def skip(connection: Connection, id: int, fence: int, now: datetime, reason: str) -> list[int]:
    """starting → skipped: something it needs is not there, so it was not begun."""
    _step(connection, id, _SKIPPED, {"status": JobStatus.SKIPPED, "reason": reason, **_ended(now)}, "skipped", fence)
    return [id, *_settle(connection, id, now)]


def cancel(connection: Connection, id: int, now: datetime) -> list[int]:
    """waiting or pending → canceled at once; for one at work it is noted, and its engine ends it."""
    if _try_step(connection, id, _NOT_BEGUN, {"status": JobStatus.CANCELED, "reason": "", **_ended(now)}):
        return [id, *_settle(connection, id, now)]
    _step(connection, id, _ACTIVE, {"cancel_requested": True}, "canceled")
    return [id]


def _ended(now: datetime) -> dict[str, Any]:
    return {"ended_at": now, "owner": None, "lease_until": None, "not_before": None, "parked": None}


def _try_step(connection: Connection, id: int, guard: Any, values: dict[str, Any], fence: int | None = None) -> bool:
    table = schema.jobs
    statement = update(table).where(table.c.id == id, guard).values(values)
    if fence is not None:
        statement = statement.where(table.c.fence == fence)
    return bool(connection.execute(statement).rowcount)


def _step(
    connection: Connection, id: int, guard: Any, values: dict[str, Any], verb: str, fence: int | None = None
) -> None:
    if not _try_step(connection, id, guard, values, fence):
        raise _refusal(connection, id, verb, fence)


def _refusal(connection: Connection, id: int, verb: str, fence: int | None) -> Exception:
    table = schema.jobs.c
    row = connection.execute(select(table.status, table.fence).where(table.id == id)).one_or_none()
    if row is None:
        return NotFound(f"there is no job with the id {id}")
    if row.status.finished:
        return InvalidTransition(
            f"job {id} is {row.status} already, so it cannot become {verb}; launch it again if need be"
        )
    if fence is not None and row.fence != fence:
        return InvalidTransition(
            f"job {id} was taken over by another engine: what this one says of it ({verb}) no longer counts"
        )
    return InvalidTransition(f"job {id} is {row.status}, and from there it cannot become {verb}")


def _settle(connection: Connection, id: int, now: datetime) -> list[int]:
    """What the end of a job means for others: its keys are free, and those that waited for it go on or are skipped."""
    for table in (schema.holds, schema.job_keys):
        connection.execute(delete(table).where(table.c.job == id))
    jobs = schema.jobs.c
    row = connection.execute(select(schema.jobs).where(jobs.id == id)).mappings().one()
    if row["status"] is JobStatus.SUCCESSFUL:
        return _wake(connection, id)
    changed = _skip_all(connection, id, why_not(row), now)
    _forget_foundlings(connection, row, changed)
    return changed


def _forget_foundlings(connection: Connection, row: Any, changed: Sequence[int]) -> None:
    """A repository that was to be adopted, and could not be, is no vault: the next launch must not take it for one.

    It stays where a person has only to let a key in, as that key bears its id.
    """
    error = row["error"]
    if error is not None and row["status"] is JobStatus.FAILED and error.code is ErrorCode.KEY_NOT_AUTHORIZED:
        return
    jobs, vaults = schema.jobs.c, schema.vaults.c
    for page in pages([row["id"], *changed]):
        theirs = select(jobs.vault).where(jobs.id.in_(page), jobs.vault.is_not(None))
        others = select(jobs.id).where(jobs.vault == vaults.id, text(schema.UNFINISHED)).exists()
        lost = delete(schema.vaults).where(vaults.adopted, vaults.borg_id == "", vaults.id.in_(theirs), ~others)
        connection.execute(lost)


def _waiting_for(connection: Connection, ids: Sequence[int]) -> list[int]:
    after, jobs = schema.job_after.c, schema.jobs.c
    found: set[int] = set()
    for page in pages(ids):
        query = (
            select(after.job)
            .join(schema.jobs, jobs.id == after.job)
            .where(after.needs.in_(page), jobs.status == JobStatus.WAITING)
        )
        found.update(connection.scalars(query))
    return sorted(found)


def _wake(connection: Connection, id: int) -> list[int]:
    """Those that waited for this job alone may start; others learn for what they wait now."""
    after, jobs = schema.job_after.c, schema.jobs
    changed = _waiting_for(connection, [id])
    for one in changed:
        left = (
            connection.execute(
                select(jobs)
                .join(schema.job_after, after.needs == jobs.c.id)
                .where(after.job == one, jobs.c.status != JobStatus.SUCCESSFUL)
                .order_by(jobs.c.id)
                .limit(1)
            )
            .mappings()
            .one_or_none()
        )
        values: dict[str, Any] = (
            {"reason": f"waits for {title(left)}"}
            if left is not None
            else {
                "status": JobStatus.PENDING,
                "reason": "",
                # With a time of its own it comes into line when that has come.
                "parked": case((jobs.c.not_before.is_(None), READY)),
            }
        )
        connection.execute(update(jobs).where(jobs.c.id == one).values(values))
    return changed


def _skip_all(connection: Connection, id: int, reason: str, now: datetime) -> list[int]:
    """Skip those that waited for this job, those that waited for them, and so on."""
    changed: list[int] = []
    level = _waiting_for(connection, [id])
    values = {"status": JobStatus.SKIPPED, "reason": reason, **_ended(now)}
    while level:
        for page in pages(level):
            connection.execute(update(schema.jobs).where(schema.jobs.c.id.in_(page)).values(values))
            connection.execute(delete(schema.job_keys).where(schema.job_keys.c.job.in_(page)))
        changed += level
        level = _waiting_for(connection, level)
    return changed
