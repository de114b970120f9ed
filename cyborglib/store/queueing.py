"""Queues planned jobs: decides in one transaction which are new, and what each waits for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve, frozen
from sqlalchemy import Connection, RowMapping, insert, select, text, update

from ..errors import Invalid, NotFound
from ..model import Job, JobKind, JobStatus
from ..planning import NewJob
from ..sealing import Sealer
from . import schema
from .mapped import JOBS, fields_of
from .reading import pages
from .schema import READY
from .titles import title, why_not

_REFERENCES = {
    "policy": schema.policies,
    "client": schema.clients,
    "repository": schema.repositories,
    "vault": schema.vaults,
}
_SHARED = (JobKind.PREPARE_CLIENT, JobKind.PREPARE_HYPERVISOR, JobKind.PREPARE_REPOSITORY)


@frozen
class Decided:
    """What becomes of the planned jobs, each by its place: a job that is there already, nothing, or a new job."""

    found: Mapping[int, int]
    left_out: frozenset[int]
    #: The same thing planned twice: the later place, and the earlier that does it.
    same: Mapping[int, int]


def queue(
    connection: Connection, planned: Sequence[NewJob], now: datetime, sealer: Sealer, options_of: Callable[[int], Job]
) -> tuple[list[int], list[int]]:
    """Write planned jobs; gives the ids of the jobs that do what was planned, in order, and those that are new."""
    _check(connection, planned)
    decided = _decide(connection, planned, options_of)
    new = [
        place
        for place in range(len(planned))
        if place not in decided.found and place not in decided.left_out and place not in decided.same
    ]
    needs_of = _needs(planned, decided, new)
    stored = _stored(connection, {need for needs in needs_of.values() for need in needs if need < 0})
    jobs: dict[int, Job] = {}
    for place in new:
        jobs[place] = _begun(planned[place], needs_of[place], jobs, stored, now)
    ids = _insert(connection, list(jobs.values()))
    id_of = {**decided.found, **dict(zip(new, ids, strict=True))}
    for later, earlier in decided.same.items():
        if earlier in id_of:
            id_of[later] = id_of[earlier]
    _insert_links(connection, planned, jobs, id_of, needs_of)
    _seal(connection, jobs, id_of, sealer)
    return [id_of[place] for place in range(len(planned)) if place in id_of], ids


def _check(connection: Connection, planned: Sequence[NewJob]) -> None:
    for place, one in enumerate(planned):
        if any(not 0 <= need < place for need in one.after):
            raise Invalid(f"the new job {place} must come after those it waits for, which are {one.after}")
        if one.job.id is not None:
            raise Invalid(f"job {one.job.id} is in the store already; a new job has no id")
    for name, table in _REFERENCES.items():
        wanted = sorted({value for one in planned if (value := getattr(one.job, name)) is not None})
        for page in pages(wanted):
            known = set(connection.scalars(select(table.c.id).where(table.c.id.in_(page))))
            if gone := [one for one in page if one not in known]:
                raise NotFound(f"there is no {name} with the id {gone[0]} any more; nothing was queued")


def _decide(connection: Connection, planned: Sequence[NewJob], options_of: Callable[[int], Job]) -> Decided:
    backups = _unfinished_backups(connection, {one.job.policy for one in planned if one.job.kind is JobKind.BACKUP})
    moments = _moments(connection, {(one.job.policy, one.job.due) for one in planned if one.job.kind is JobKind.BACKUP})
    preparing = _preparing(connection, planned, options_of)
    found: dict[int, int] = {}
    same: dict[int, int] = {}
    out: set[int] = set()
    seen: dict[Any, int] = {}
    for place, one in enumerate(planned):
        identity = _identity(one.job)
        if identity is None:
            continue
        if identity in seen:
            same[place] = seen[identity]
            continue
        seen[identity] = place
        if one.job.kind is JobKind.BACKUP:
            if (running := backups.get((one.job.policy, one.job.client))) is not None:
                found[place] = running
            elif (one.job.policy, one.job.client, one.job.due) in moments:
                out.add(place)
        elif identity in preparing:
            found[place] = preparing[identity]
    _leave_out(planned, found, same, out)
    return Decided(found, frozenset(out), same)


def _leave_out(planned: Sequence[NewJob], found: Mapping[int, int], same: Mapping[int, int], out: set[int]) -> None:
    """With a backup that is not new goes what was planned around it: what was to follow, and what only it needed."""
    old = {place for place in {*found, *same} if planned[place].job.kind is JobKind.BACKUP}
    for place, one in enumerate(planned):
        if place not in found and place not in same and any(need in out or need in old for need in one.after):
            out.add(place)
    users: dict[int, set[int]] = defaultdict(set)
    for place, one in enumerate(planned):
        for need in one.after:
            users[same.get(need, need)].add(place)
    for place in reversed(range(len(planned))):
        if place not in found and place not in same and users[place] and users[place] <= out | old | set(same):
            out.add(place)


def _identity(job: Job) -> Any:
    """What makes two jobs the same work; None for kinds of which there may be several."""
    if job.kind is JobKind.BACKUP and job.policy is not None:
        return job.kind, job.policy, job.client
    if job.kind in _SHARED:
        return job.kind, job.client, job.vault, job.options
    return None


def _unfinished_backups(connection: Connection, policies: set[int | None]) -> dict[tuple[int | None, int | None], int]:
    table = schema.jobs.c
    rows: dict[tuple[int | None, int | None], int] = {}
    for policy in policies - {None}:
        query = select(table.client, table.id).where(
            text(schema.UNFINISHED), text("kind = 'backup'"), table.policy == policy
        )
        rows |= {(policy, client): job for client, job in connection.execute(query)}
    return rows


def _moments(
    connection: Connection, moments: set[tuple[int | None, datetime | None]]
) -> set[tuple[int, int, datetime]]:
    """The moments of a schedule for which some client has its backup already, from this engine or another one."""
    table = schema.jobs.c
    found: set[tuple[int, int, datetime]] = set()
    for policy, due in moments:
        if policy is not None and due is not None:
            query = select(table.client).where(
                text("kind = 'backup' AND due IS NOT NULL"), table.policy == policy, table.due == due
            )
            found |= {(policy, client, due) for client in connection.scalars(query)}
    return found


def _preparing(connection: Connection, planned: Sequence[NewJob], job_of: Callable[[int], Job]) -> dict[Any, int]:
    """The unfinished preparations of the clients of a plan, the oldest of each kind, by what makes them the same."""
    table = schema.jobs.c
    kinds = {one.job.kind for one in planned if one.job.kind in _SHARED}
    clients = sorted({one.job.client for one in planned if one.job.kind in _SHARED and one.job.client is not None})
    found: dict[Any, int] = {}
    for page in pages(clients):
        query = select(table.id).where(
            text(schema.UNFINISHED), table.client.in_(page), table.kind.in_(kinds), table.cancel_requested.is_(False)
        )
        for job in connection.scalars(query.order_by(table.id)):
            found.setdefault(_identity(job_of(job)), job)
    return found


def _needs(planned: Sequence[NewJob], decided: Decided, new: Sequence[int]) -> dict[int, list[int]]:
    """What each new job waits for: a place of the plan (0 and up), or minus the id of a job in the store."""
    needs: dict[int, list[int]] = {}
    for place in new:
        one = planned[place]
        places = [decided.same.get(need, need) for need in one.after]
        theirs = [-decided.found[need] if need in decided.found else need for need in places]
        needs[place] = list(dict.fromkeys([*(-job for job in one.job.after), *theirs]))
    return needs


def _stored(connection: Connection, needs: Iterable[int]) -> dict[int, RowMapping]:
    """The rows of the jobs in the store that are waited for, by minus their id."""
    table = schema.jobs
    ids = sorted(-need for need in needs)
    found: dict[int, RowMapping] = {}
    for page in pages(ids):
        for row in connection.execute(select(table).where(table.c.id.in_(page))).mappings():
            found[-row["id"]] = row
    if missing := [job for job in ids if -job not in found]:
        raise NotFound(f"there is no job with the id {missing[0]} to wait for; nothing was queued")
    return found


def _begun(
    one: NewJob, needs: Sequence[int], jobs: Mapping[int, Job], stored: Mapping[int, RowMapping], now: datetime
) -> Job:
    """A new job as it begins: pending, waiting, or skipped because of what became of a job that it needs."""
    reasons, waits = [], []
    for need in needs:
        if need >= 0:
            if jobs[need].finished:
                reasons.append(jobs[need].reason)
            waits.append(jobs[need].title)
        elif not stored[need]["status"].finished:
            waits.append(title(stored[need]))
        elif stored[need]["status"] is not JobStatus.SUCCESSFUL:
            reasons.append(why_not(stored[need]))
    job = evolve(one.job, created_at=now, attempt=0)
    if reasons:
        return evolve(job, status=JobStatus.SKIPPED, reason=reasons[0], ended_at=now)
    if waits:
        return evolve(job, status=JobStatus.WAITING, reason=f"waits for {waits[0]}")
    return evolve(job, status=JobStatus.PENDING, reason="")


def _insert(connection: Connection, jobs: Sequence[Job]) -> list[int]:
    if not jobs:
        return []
    rows = []
    for job in jobs:
        parked = READY if job.status is JobStatus.PENDING and job.not_before is None else None
        rows.append(JOBS.row(fields_of(job)) | {"fence": 0, "owner": None, "lease_until": None, "parked": parked})
        del rows[-1]["id"]
    statement = insert(schema.jobs).returning(schema.jobs.c.id, sort_by_parameter_order=True)
    return list(connection.scalars(statement, rows))


def _insert_links(
    connection: Connection,
    planned: Sequence[NewJob],
    jobs: Mapping[int, Job],
    id_of: Mapping[int, int],
    needs_of: Mapping[int, Sequence[int]],
) -> None:
    """What the new jobs wait for, and the keys that those which may come to work will hold."""
    after, keys = [], []
    for place, job in jobs.items():
        number = id_of[place]
        after += [{"job": number, "needs": id_of[need] if need >= 0 else -need} for need in needs_of[place]]
        alone: dict[str, bool] = {}
        for key in planned[place].keys:
            alone[key.name] = alone.get(key.name, False) or key.alone
        if not job.finished:
            keys += [{"job": number, "key": name, "exclusive": exclusive} for name, exclusive in alone.items()]
    if after:
        connection.execute(insert(schema.job_after), after)
    if keys:
        connection.execute(insert(schema.job_keys), keys)


def _seal(connection: Connection, jobs: Mapping[int, Job], id_of: Mapping[int, int], sealer: Sealer) -> None:
    """Write what is sealed, which needs the ids."""
    table = schema.jobs
    for place, job in jobs.items():
        sealed = JOBS.sealed_row(fields_of(job), id_of[place], sealer)
        if any(sealed.values()):
            connection.execute(update(table).where(table.c.id == id_of[place]).values(sealed))
