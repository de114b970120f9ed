"""Verbs that do the queued work, wait for it, and say what it said."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from .. import checking, drilling, given, kit, launching
from ..engine import pausing
from ..events import ClockDoubtful, JobQueued, KitOutdated
from ..model import Client, Job, JobKind, Policy
from ..model.fields import as_utc
from .base import Base


class Working(Base):
    """All but `tick`, `stop` and `output` take their time, and cannot be called by a listener."""

    def tick(self, now: datetime | None = None) -> list[Job]:
        """Queue what is due by now; gives the new backup jobs. A host with its own scheduler calls this.

        Prunes and compacts that are due are queued as well, and the checks and drills whose turn it is. Where the
        controller's clock may be wrong, `ClockDoubtful` is told, the database's clock says what is due, and nothing is
        deleted. Once a minute it takes away old output and old jobs (the settings `keep_output`, `keep_jobs`).
        """
        doubt = self._watch.doubt()
        self._tell_of_clock(doubt)
        at = as_utc(now) or self._watch.now()
        new: list[Job] = []
        for policy in self._timetable.waiting(at):
            new += self._queued(partial(self._timetable.launch, policy, at)).new
        if self._measuring.due():
            self._queued(partial(self._measuring.queue, self._clock()))
        for vault in checking.waiting(self._store, at):
            self._queued(partial(checking.launch, self._store, vault, at))
        for policy in drilling.waiting(self._store, at):
            self._queued(partial(drilling.launch, self._store, policy, at, self._roles_path))
        if not doubt:
            self._upkeep(at)
        self._expiring.step(self._clock())
        return launching.of_kind(new, JobKind.BACKUP)

    def work(self) -> None:
        """Do the queued work in this process, until nothing is left to do.

        Jobs that another engine has at work are waited for, and taken over if that one is gone. Jobs that wait for
        room (`job.reason` says so) are not: it is looked once whether there is room now, and if not they stay queued.
        """
        with self._engine.verb("work"):
            told = self._kit_is_fresh()
            self._look_for_room()
            self._engine.work(lambda: None if self._engine.busy or self._something_left() else ())
            self._kit_is_fresh(told)

    def serve(self) -> None:
        """Queue what is due and do it, until `stop` is called (from a listener, a thread or a signal handler)."""
        with self._engine.verb("serve"):
            self._kit_is_fresh()
            self._engine.work(lambda: None, each_poll=self._each_poll)

    def stop(self) -> None:
        """Let `serve`, `work`, `run` and `finish` return after what is at work has ended; the rest stays queued.

        Where none of them is going on, the next one returns at once.
        """
        self._engine.stop()

    def run(
        self,
        policy: Policy | int | str,
        clients: Iterable[Client | int | str] | None = None,
        extra_vars: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> list[Job]:
        """Launch a policy, work until everything queued with it has ended, and give the ended backup jobs.

        A failed job does not raise: look at `job.status` and `job.error`. One that waits for room is given as it
        stands (see `finish`). Raises `TimedOut` after `timeout`
        seconds; the jobs go on with the next engine.
        """
        with self._engine.verb("run"):
            jobs = self._launch(policy, clients, extra_vars)
            ended = launching.of_kind(self.finish(jobs, timeout=timeout), JobKind.BACKUP)
            # Who runs policies by a scheduler of the system's, and never calls `tick`, has prunes too.
            if not self._watch.doubt() and (due := self._upkeep(self._clock(), {job.vault for job in ended})):
                self.finish(due, timeout=timeout)
            return ended

    def finish(self, jobs: Iterable[Job | int], timeout: float | None = None) -> list[Job]:
        """Work some jobs, and what they wait for, until they have ended; gives them as they ended.

        Jobs that another engine has at work are watched, and taken over if that one is gone. Jobs that wait for room
        after it was looked whether there is any are given as they stand: pending, with the reason. Raises `TimedOut`.
        """
        with self._engine.verb("finish"):
            told = self._kit_is_fresh()
            wanted = given.keys(jobs)
            left = launching.all_of(self._store, wanted)

            def still() -> set[int]:
                nonlocal left
                left = self._store.jobs.left(left)
                return self._doable(left)

            self._look_for_room(left)
            self._engine.work(still, timeout=timeout)
            self._kit_is_fresh(told)
            return self._found(wanted)

    def wait(self, jobs: Iterable[Job | int], timeout: float | None = None) -> list[Job]:
        """Watch until some jobs have ended; gives them as they ended. Works nothing itself. Raises `TimedOut`."""
        with self._engine.verb("wait"):
            wanted = given.keys(jobs)
            self._engine.watch(lambda: self._store.jobs.left(wanted), timeout)
            return self._found(wanted)

    def output(self, job: Job | int) -> list[str]:
        """The lines that a job said."""
        return self._store.jobs.output_of(given.key(job, Job))

    def _look_for_room(self, jobs: Iterable[int] | None = None) -> None:
        pausing.look_now(self._store, self._clock(), jobs)

    def _stuck(self) -> set[int]:
        """What waits for room, and what waits for that."""
        held = self._store.pauses.held(self._clock())
        return self._store.jobs.with_followers(held) if held else set()

    def _doable(self, left: set[int]) -> set[int]:
        """Those of some jobs that do not wait for room; with the jobs that find out whether there is any."""
        if not left or not (stuck := self._stuck() & left):
            return left
        return left - stuck | self._store.pauses.looking()

    def _something_left(self) -> bool:
        jobs = self._store.jobs
        if jobs.idle():
            return False
        stuck = self._stuck()
        return not stuck or jobs.unfinished() > len(jobs.left(stuck))

    def _each_poll(self) -> None:
        if self.tick():
            self._kit_is_fresh()  # `serve` may go on for months, and vaults be made meanwhile.

    def _upkeep(self, now: datetime, vaults: Collection[int | None] | None = None) -> list[Job]:
        """Queue the prunes and compacts that are due, of some vaults or all; gives those jobs."""
        new: list[Job] = []
        for vault in self._due.waiting(now):
            if vaults is not None and vault.id not in vaults:
                continue
            with self._engine.committing() as events:
                done = self._due.queue(vault, now)
                events.extend(done.events)
                events.extend(JobQueued(job=job) for job in done.queued.new)
            new += done.queued.new
        self._engine.tell()
        return new

    def _tell_of_clock(self, doubt: str) -> None:
        """Say so once when the clock becomes doubtful."""
        if doubt and not self._doubted:
            with self._engine.committing() as events:
                events.append(ClockDoubtful(reason=doubt))
            self._engine.tell()
        self._doubted = doubt

    def _kit_is_fresh(self, told: str = "") -> str:
        """Say so if it is not, unless that was told already; gives why it is not."""
        reason = kit.outdated(self._store)
        if reason and reason != told:
            with self._engine.committing() as events:
                events.append(KitOutdated(reason=reason))
            self._engine.tell()
        return reason
