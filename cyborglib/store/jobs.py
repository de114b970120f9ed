"""What was and will be done."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, or_, select, text, update

from ..errors import ErrorCode, Invalid, JobError, StoreError
from ..model import Archive, Job, JobKind, JobStatus, Progress, Stats
from ..planning import Key, NewJob
from . import claiming, leases, queueing, saying, schema, transitions
from .claiming import Claim
from .database import Database, unavailable
from .mapped import JOBS
from .reading import ReadShelf, pages

#: At how many jobs beyond those asked for a claim looks at first, and at how many at most at a time: most
#: claims find what they want at once, and a long line of jobs that cannot start is gone through in few steps.
FIRST_LOOK, LONGEST_LOOK = 10, 2000
#: Kinds of jobs that change a vault with the key of a client.
WRITERS = (JobKind.PREPARE_REPOSITORY, JobKind.BACKUP)
_ACTIVE = text(schema.ACTIVE)
_UNFINISHED = text(schema.UNFINISHED)


class Queued(list[Job]):
    """The jobs that do what was planned, in order; `new` are those of them that were not there before."""

    def __init__(self, jobs: Iterable[Job], new: Iterable[int]) -> None:
        super().__init__(jobs)
        ids = frozenset(new)
        self.new: list[Job] = [job for job in self if job.id in ids]


class JobShelf(ReadShelf[Job]):
    """Jobs. Hosts see it as a `ReadShelf`; the engine and the verbs change them by what follows.

    Whatever ends or changes jobs gives back all that changed, the job itself first: events are told of them.
    """

    thing, things = "job", "jobs"

    def __init__(self, database: Database) -> None:
        super().__init__(database, JOBS)

    # Queueing

    def queue(self, planned: Sequence[NewJob]) -> Queued:
        """Queue planned jobs, all or none; gives, in order, the jobs that do what was planned.

        A backup of a policy and client that has not ended is not made twice, nor is one for the same moment
        of a schedule; then what was planned around it is left out too. The same holds for preparations:
        those that wait share one. `job.after` may name jobs of the store besides the plan's own places.
        Raises `NotFound` if something that a job refers to is gone, and queues nothing.
        """
        with self._database.transaction() as connection:
            now, sealer = self._database.clock(), self._database.sealing()
            ids, new = queueing.queue(connection, planned, now, sealer, self.get)
            return Queued(self._of(connection, ids), new)

    def relaunched(self, queued: Queued, old: Job) -> Queued:
        """Note of the new jobs of its kind that they do an ended job once more. In the transaction that queued them."""
        new = [job.id for job in queued.new if job.kind is old.kind and job.id is not None]
        with self._database.transaction() as connection:
            mine = update(schema.jobs).where(schema.jobs.c.id.in_(new))
            connection.execute(mine.values(relaunch_of=old.id))
            ids = [job.id for job in queued if job.id is not None]
            return Queued(self._of(connection, ids), [job.id for job in queued.new if job.id is not None])

    def again(self, job: Job) -> NewJob:
        """What an ended job did, planned once more. A backup's keys are as its kind and ids say."""
        if not job.finished:
            raise Invalid(f"job {job.id} has not ended yet ({job.status}); cancel it first, or wait for it")
        fresh = Job(
            kind=job.kind,
            policy=job.policy,
            client=job.client,
            repository=job.repository,
            vault=job.vault,
            archive=job.archive,
            launched_by="relaunch",
            attempts=job.attempts,
            timeout=job.timeout,
            extra_vars=job.extra_vars,
            options=job.options,
            policy_name=job.policy_name,
            client_name=job.client_name,
            repository_name=job.repository_name,
        )
        keys = []
        if job.vault is not None:
            keys.append(Key(f"vault:{job.vault}", job.kind not in ("catalog", "restore", "drill")))
        if job.client is not None and job.kind != "catalog":
            keys.append(Key(f"client:{job.client}"))
        return NewJob(fresh, tuple(keys))

    # Working

    def claim(
        self, owner: str, *, limit: int, now: datetime, lease: int, only: Collection[int] | None = None
    ) -> list[Claim]:
        """Take up to `limit` jobs that may start, the oldest first, for an engine: they become `starting`.

        The lease runs `lease` seconds by the database's clock. `only` limits it to some jobs; give the
        unfinished ones. Each round is a short transaction, so that others come in between.
        """
        taken: list[int] = []
        with self._database.reading() as connection:
            if limit <= 0 or claiming.idle(connection, now):
                return []
        look = FIRST_LOOK + limit
        for page in [None] if only is None else pages(sorted(only)):
            more = True
            while more and len(taken) < limit:
                left = limit - len(taken)
                with self._database.transaction() as connection:
                    self._database.sealing()  # Else each of them would fail, as its secrets do not open.
                    got, more = claiming.claim_some(connection, owner, left, now, lease, look=look, only=page)
                taken += got
                look = min(2 * look, LONGEST_LOOK)
        return self._claims(taken)

    def started(self, id: int, fence: int) -> Job:
        """Work on the job has begun: starting → running."""
        with self._database.transaction(lock=False) as connection:
            transitions.start(connection, id, fence, self._database.clock())
            return self.get(id)

    def progress(self, id: int, fence: int, progress: Progress) -> None:
        """How far a job at work is; nothing is written for one that is not, or that another engine took over."""
        table = schema.jobs
        mine = update(table).where(table.c.id == id, table.c.fence == fence, _ACTIVE)
        with self._database.transaction(lock=False) as connection:
            connection.execute(mine.values(progress=progress))

    def output(self, id: int, lines: Sequence[str], fence: int | None = None) -> None:
        """Lines that a job said, after those it said before; with `fence` only while the job is this engine's."""
        with self._database.transaction() as connection:
            saying.say(connection, id, lines, fence)

    def output_of(self, id: int) -> list[str]:
        """The lines that a job said. Raises `NotFound`."""
        with self._database.reading() as connection:
            return saying.said(connection, id)

    # Ending

    def succeed(
        self,
        id: int,
        fence: int,
        *,
        stats: Stats | None = None,
        warnings: Sequence[str] = (),
        archives: Sequence[Archive] = (),
    ) -> list[Job]:
        """The job met every condition; its archives are recorded with it."""
        with self._database.transaction() as connection:
            changed = transitions.succeed(
                connection, id, fence, self._database.clock(), stats=stats, warnings=warnings, archives=archives
            )
            return self._of(connection, changed)

    def fail(
        self,
        id: int,
        fence: int,
        error: JobError,
        *,
        retry_at: datetime | None = None,
        stats: Stats | None = None,
        warnings: Sequence[str] = (),
        archives: Sequence[Archive] = (),
    ) -> list[Job]:
        """The job failed, though some archives may have been made.

        With `retry_at` it is pending again from then on, unless somebody asked to cancel it.
        """
        with self._database.transaction() as connection:
            changed = transitions.fail(
                connection,
                id,
                fence,
                self._database.clock(),
                error,
                retry_at=retry_at,
                stats=stats,
                warnings=warnings,
                archives=archives,
            )
            return self._of(connection, changed)

    def skip(self, id: int, fence: int, reason: str) -> list[Job]:
        """The claimed job was not begun."""
        with self._database.transaction() as connection:
            return self._of(connection, transitions.skip(connection, id, fence, self._database.clock(), reason))

    def give_back(self, id: int, fence: int) -> list[Job]:
        """The claimed job was not begun, and another engine may: starting → pending, the attempt not counted."""
        with self._database.transaction() as connection:
            return self._of(connection, transitions.give_back(connection, id, fence))

    def put_back(self, id: int, fence: int) -> list[Job]:
        """The job at work found no room, and waits for it again; that costs none of its attempts."""
        with self._database.transaction() as connection:
            return self._of(connection, transitions.put_back(connection, id, fence, self._database.clock()))

    def finish_canceled(self, id: int, fence: int, archives: Sequence[Archive] = ()) -> list[Job]:
        """The job at work was canceled, and nothing of it runs any more; some archives may have been made before."""
        with self._database.transaction() as connection:
            changed = transitions.canceled(connection, id, fence, self._database.clock(), archives)
            return self._of(connection, changed)

    def cancel(self, id: int) -> list[Job]:
        """Cancel a job: one that waits at once; one at work when its engine has ended it (`cancel_requested`).

        Raises `InvalidTransition` for one that has ended.
        """
        with self._database.transaction() as connection:
            return self._of(connection, transitions.cancel(connection, id, self._database.clock()))

    def postpone(self, id: int, fence: int, seconds: float, reason: str) -> None:
        """The job stays at work with all it holds, and is nobody's for `seconds`; then any engine may adopt it."""
        with self._database.transaction() as connection:
            transitions.postpone(connection, id, fence, seconds, reason)

    # Watching

    def unfinished(self, only: Iterable[int] | None = None) -> int:
        """How many jobs, of some or of all, have not ended."""
        count = select(func.count()).select_from(schema.jobs).where(_UNFINISHED)
        with self._database.reading() as connection:
            if only is None:
                return connection.scalar(count) or 0
            some = (count.where(schema.jobs.c.id.in_(page)) for page in pages(sorted(only)))
            return sum(connection.scalar(one) or 0 for one in some)

    def left(self, ids: Iterable[int]) -> set[int]:
        """Those of some jobs that have not ended."""
        table = schema.jobs.c
        with self._database.reading() as connection:
            query = select(table.id).where(_UNFINISHED)
            found = (connection.scalars(query.where(table.id.in_(page))).all() for page in pages(sorted(ids)))
            return {job for some in found for job in some}

    def idle(self) -> bool:
        """True if every job has ended."""
        with self._database.reading() as connection:
            return connection.scalar(select(schema.jobs.c.id).where(_UNFINISHED).limit(1)) is None

    def with_needs(self, ids: Iterable[int]) -> set[int]:
        """Some jobs, and all that they wait for."""
        return self._spread(ids, schema.job_after.c.job, schema.job_after.c.needs)

    def with_followers(self, ids: Iterable[int]) -> set[int]:
        """Some jobs, and all that wait for them."""
        return self._spread(ids, schema.job_after.c.needs, schema.job_after.c.job)

    def keys_of(self, ids: Iterable[int]) -> set[str]:
        """The keys that some unfinished jobs hold, or will."""
        table = schema.job_keys.c
        with self._database.reading() as connection:
            found = (
                connection.scalars(select(table.key).where(table.job.in_(page))).all() for page in pages(sorted(ids))
            )
            return {key for some in found for key in some}

    def canceled(self, ids: Iterable[int]) -> set[int]:
        """Those of some jobs at work that somebody asked to cancel."""
        table = schema.jobs.c
        with self._database.reading() as connection:
            asked = select(table.id).where(table.cancel_requested, _ACTIVE)
            found = (connection.scalars(asked.where(table.id.in_(page))).all() for page in pages(sorted(ids)))
            return {job for some in found for job in some}

    # Leases

    def heartbeat(self, owner: str, lease: int, jobs: Iterable[int] | None = None) -> list[int]:
        """Renew the leases of an engine's jobs (of these, or all) for `lease` seconds; gives those lost to it.

        Lost is whatever lease was over before this, and those of `jobs` that are at work but not this
        engine's any more. On a lost job the engine must not act: another one may have taken it.
        """
        with self._database.transaction() as connection:
            return leases.renew(connection, owner, lease, jobs)

    def is_worked(self, id: int, fence: int) -> bool:
        """True if the job is at work, and not another engine's. Inside a transaction that holds until its end."""
        table = schema.jobs.c
        with self._database.reading() as connection:
            mine = select(table.id).where(table.id == id, table.fence == fence, _ACTIVE)
            return connection.scalar(mine) is not None

    def writers(self, vault: int, since: datetime) -> list[Job]:
        """Jobs that may have written a vault with a client's key, and had not ended before a time."""
        table = schema.jobs.c
        with self._database.reading() as connection:
            ended = or_(table.ended_at.is_(None), table.ended_at >= since)
            return self._select(connection, table.vault == vault, table.kind.in_(WRITERS), ended)

    def release(self, owner: str) -> None:
        """End the leases of an engine that goes away while its jobs go on: the next one takes them over at once."""
        with self._database.transaction() as connection:
            leases.release(connection, owner)

    def expired(self) -> list[Job]:
        """Jobs at work whose lease is over by the database's clock: their engine is gone, or was asleep.

        They still hold what they held; nothing is freed before it is known what became of them.
        """
        with self._database.reading() as connection:
            return self._select(connection, _ACTIVE, leases.OVER)

    def adopt(self, id: int, owner: str, lease: int) -> Claim | None:
        """Take over a job whose lease is over, with all it holds; None if it ended, or an engine looks after it."""
        with self._database.transaction() as connection:
            self._database.sealing()
            if not leases.adopt(connection, id, owner, lease):
                return None
        return next(iter(self._claims([id])), None)

    # Inside

    def _of(self, connection: Connection, ids: Sequence[int]) -> list[Job]:
        """Jobs in the order of the ids given."""
        found = {job.id: job for page in pages(ids) for job in self._select(connection, schema.jobs.c.id.in_(page))}
        return [found[job] for job in ids if job in found]

    def _claims(self, ids: Sequence[int]) -> list[Claim]:
        """Jobs just taken. One whose row cannot be used is failed at once, or nobody would ever work or end it."""
        with self._database.reading() as connection:
            rows = {row["id"]: row for page in pages(ids) for row in self._rows(connection, schema.jobs.c.id.in_(page))}
            jobs = self._values(connection, [rows[job] for job in ids])
        claims = [Claim(job, rows[job.id or 0]["fence"]) for job in jobs]
        for lost in set(ids) - {claim.job.id for claim in claims}:
            try:
                self.get(lost)
            except StoreError as error:
                if unavailable(error):
                    raise
                self.fail(lost, rows[lost]["fence"], JobError(ErrorCode.INTERNAL, str(error), permanent=True))
        return claims

    def _spread(self, ids: Iterable[int], source: Any, target: Any) -> set[int]:
        seen = set(ids)
        edge = sorted(seen)
        with self._database.reading() as connection:
            while edge:
                reached = [connection.scalars(select(target).where(source.in_(page))).all() for page in pages(edge)]
                edge = sorted({job for some in reached for job in some} - seen)
                seen.update(edge)
        return seen

    def _completed(self, connection: Connection, rows: Sequence[RowMapping]) -> list[dict[str, Any]]:
        ids = [row["id"] for row in rows]
        after = self._linked(connection, ids, schema.job_after.c.job, schema.job_after.c.needs)
        archives = self._linked(connection, ids, schema.archives.c.job, schema.archives.c.id)
        done = [{**row, "after": after[row["id"]], "archives": archives[row["id"]]} for row in rows]
        pending = [row for row in done if row["status"] is JobStatus.PENDING]
        if pending:
            reasons = saying.reasons(connection, {row["parked"] for row in pending} - {None})
            for row in pending:
                row["reason"] = saying.when(row) if row["parked"] is None else reasons[row["parked"]]
        return done

    def _linked(self, connection: Connection, ids: Sequence[int], owner: Any, other: Any) -> dict[int, list[int]]:
        found: dict[int, list[int]] = {job: [] for job in ids}
        for page in pages(ids):
            for job, value in connection.execute(select(owner, other).where(owner.in_(page)).order_by(owner, other)):
                found[job].append(value)
        return found
