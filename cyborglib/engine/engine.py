"""Claims jobs, hands them to the executor in runs, and tells listeners what happened.

Each run has a thread of its own; what it reports is committed there and then. Listeners are called only in
the thread that called `work`, one at a time and in order.
"""

from __future__ import annotations

import logging
import os
import secrets
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import datetime
from queue import Empty, SimpleQueue

from attrs import evolve

from ..errors import ErrorCode, InvalidTransition, JobError
from ..events import Event, Events
from ..executor import Executor, Run
from ..kinds import KINDS, Refused
from ..model import JobKind, Settings
from ..store import Claim, Store
from . import recording
from .control import Assigned, EngineControl
from .loading import Role, load

logger = logging.getLogger("cyborglib")

#: Where the store keeps its number.
STORE_NUMBER = "store_number"
#: Seconds between two looks at the queue when nobody said that something changed.
POLL = 1.0
#: Jobs whose work goes on without an engine: their agent is asked before anything is done again.
ASKED = frozenset({JobKind.BACKUP, JobKind.RESTORE})
#: Seconds to wait for more jobs to become free together, while others are at work: a run costs about a
#: second of CPU, a host in it a few hundredths.
GATHER = 0.3


class Engine:
    """Works the queue of one store, in the thread that calls `work`."""

    def __init__(
        self,
        store: Store,
        events: Events,
        executor: Callable[[], Executor],
        *,
        clock: Callable[[], datetime],
        state_dir: str,
        role: Role,
    ) -> None:
        self._store = store
        self._events = events
        self._executor = executor
        self._clock = clock
        self._state_dir = state_dir
        self._role = role
        # Told apart from every other engine on the same database, also one with the same pid elsewhere.
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._messages: SimpleQueue[Event | None] = SimpleQueue()
        self._at_work: dict[int, Assigned] = {}
        self._runs: dict[str, threading.Thread] = {}
        self._canceled: frozenset[int] = frozenset()
        self._guard = threading.Lock()
        self._heart: threading.Thread | None = None
        self._working = threading.Event()
        self._detached = False
        self._stop = threading.Event()

    @property
    def busy(self) -> int:
        """How many jobs this engine has at work."""
        with self._guard:
            return len(self._at_work)

    def stop(self) -> None:
        """Let `work` return after what is at work has ended. May be called from any thread or handler."""
        self._stop.set()
        self._messages.put(None)

    def tell(self, events: Iterable[Event]) -> None:
        """Tell listeners at once, in this thread."""
        for event in events:
            self._events.tell(event)

    def work(
        self,
        done: Callable[[], bool],
        *,
        only: frozenset[int] | None = None,
        each_poll: Callable[[], object] | None = None,
    ) -> None:
        """Claim and work jobs (those of `only`, or all) until `done` says so or `stop` was called.

        `each_poll` is called about once a second, between claims. On KeyboardInterrupt the runs of this
        engine are ended, but not Borg on the clients.
        """
        self._stop.clear()
        self._detached = False
        self._working.set()
        if self._heart is None or not self._heart.is_alive():
            self._heart = threading.Thread(target=self._beat, name="cyborglib-heart", daemon=True)
            self._heart.start()
        try:
            self._loop(done, only, each_poll)
        except KeyboardInterrupt:
            self._detach()
            raise
        finally:
            self._working.clear()

    def close(self) -> None:
        """Stop looking after jobs; those at work go on without an engine until the next one takes them over."""
        if self.busy:
            self._detach()
        self._detached = True
        if self._heart is not None:
            self._heart.join()

    def _detach(self) -> None:
        """End the runs and leave Borg at work on the clients; the next engine takes the jobs over at once."""
        self._detached = True
        self._executor().close()
        self._store.jobs.release(self.owner)

    def _loop(
        self, done: Callable[[], bool], only: frozenset[int] | None, each_poll: Callable[[], object] | None
    ) -> None:
        look = poll = 0.0
        while True:
            now = time.monotonic()
            if self._stop.is_set():
                if not self.busy:
                    break
            elif now >= look:
                if each_poll is not None and now >= poll:
                    each_poll()
                    poll = now + POLL
                self._recover(only)
                self._claim(only)
                if done() and not self.busy and self._messages.empty():
                    break
                look = time.monotonic() + POLL
            woken = self._deliver(max(0.0, min(look - time.monotonic(), POLL)))
            if woken:
                look = time.monotonic() + (GATHER if self.busy else 0.0)
        self._deliver(0.0)

    def _deliver(self, wait: float) -> bool:
        """Tell what was reported; wait up to `wait` seconds for the first. True if a job ended."""
        woken = False
        try:
            event = self._messages.get(timeout=wait) if wait > 0 else self._messages.get_nowait()
            while True:
                if event is None:
                    woken = True
                else:
                    self._events.tell(event)
                event = self._messages.get_nowait()
        except Empty:
            return woken

    def _recover(self, only: frozenset[int] | None) -> None:
        """Take over jobs whose engine is gone: ask how those stand whose Borg may still be at work.

        What they hold stays held until that is known; nothing is ever started beside it.
        """
        settings = self._store.settings
        claims = []
        for job in self._store.jobs.expired():
            if job.id is None or (only is not None and job.id not in only):
                continue
            claim = self._store.jobs.adopt(job.id, self.owner, settings.lease)
            if claim is None:
                continue  # Another engine was quicker, or its own came back.
            if job.kind in ASKED:
                claims.append(claim)
            else:
                self._refuse(
                    claim, ErrorCode.LOST, "the engine that worked it is gone; it is done again from the start"
                )
        self._hand_over(claims, settings, recover=True)

    def _claim(self, only: frozenset[int] | None) -> None:
        settings = self._store.settings
        free = settings.parallel - self.busy
        if free > 0:
            claims = self._store.jobs.claim(self.owner, limit=free, now=self._clock(), lease=settings.lease, only=only)
            self._hand_over(claims, settings)

    def _hand_over(self, claims: Iterable[Claim], settings: Settings, *, recover: bool = False) -> None:
        groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[Assigned]] = defaultdict(list)
        for claim in claims:
            assigned = self._assign(claim, recover=recover)
            if assigned is not None:
                assignment = assigned.assignment
                groups[assignment.playbook, tuple(sorted(assignment.run_variables.items()))].append(assigned)
        for (playbook, variables), members in groups.items():
            self._start(playbook, dict(variables), members, settings.connect_timeout)

    def _assign(self, claim: Claim, *, recover: bool) -> Assigned | None:
        """The claimed job as the executor gets it; None where it cannot be handed over, and has ended."""
        try:
            work = load(
                self._store, claim.job, claim.fence, now=self._clock(), state_dir=self._state_dir, role=self._role
            )
            assignment = KINDS[claim.job.kind].assign(work)
            if recover:
                assignment = evolve(assignment, host_run=evolve(assignment.host_run, recover=True))
            return Assigned(work, assignment)
        except Refused as refused:
            self._refuse(claim, refused.error.code, refused.error.message, skip=refused.skip)
        except Exception as error:
            # Whatever it is, it must not stop the queue nor leave the job unfinished.
            logger.exception("job %s could not be handed over", claim.job.id)
            self._refuse(claim, ErrorCode.INTERNAL, f"the job could not be handed over: {error}")
        return None

    def _refuse(self, claim: Claim, code: ErrorCode, message: str, *, skip: bool = False) -> None:
        assert claim.job.id is not None
        error = JobError(code, message)
        if skip:
            changed = self._store.jobs.skip(claim.job.id, claim.fence, message)
        else:
            again = code is ErrorCode.LOST and claim.job.attempt < claim.job.attempts
            retry_at = self._clock() if again else None
            changed = self._store.jobs.fail(
                claim.job.id, claim.fence, evolve(error, permanent=not again), retry_at=retry_at
            )
        for event in recording.told(changed):
            self._messages.put(event)
        self._messages.put(None)

    def _start(self, playbook: str, variables: dict[str, str], members: list[Assigned], timeout: int) -> None:
        run = Run(
            id=secrets.token_hex(6),
            playbook=playbook,
            store=self._store_number(),
            hosts=tuple(member.assignment.host_run for member in members),
            variables=variables,
            connect_timeout=timeout,
        )
        jobs = {member.assignment.host_run.job: member for member in members}
        with self._guard:
            self._at_work.update(jobs)
        thread = threading.Thread(target=self._run, args=(run, jobs), name=f"cyborglib-run-{run.id}", daemon=True)
        self._runs[run.id] = thread
        thread.start()

    def _store_number(self) -> str:
        """What tells this store from every other one, made with the first run."""
        with self._store.transaction():
            number = self._store.get_meta(STORE_NUMBER)
            if number is None:
                number = str(secrets.randbits(48))
                self._store.set_meta(STORE_NUMBER, number)
            return number

    def _run(self, run: Run, jobs: dict[int, Assigned]) -> None:
        control = EngineControl(
            self._store, jobs, self._messages, clock=self._clock, canceled=self._is_canceled, ended=self._released
        )
        reason = "the run ended without saying how this job did; look at its output, and launch it again"
        code = ErrorCode.LOST
        try:
            self._executor().execute(run, control)
        except Exception as error:
            logger.exception("the run of %s failed", run.playbook)
            reason, code = f"the run could not be worked: {error}", ErrorCode.INTERNAL
        for job in () if self._detached else jobs:
            try:
                control.abandon(job, reason, code)
            except Exception:
                logger.exception("the end of job %s could not be recorded; its lease will run out", job)
                self._released(job)
        self._runs.pop(run.id, None)

    def _released(self, job: int) -> None:
        """A job is settled: its slot is free, and what it held."""
        with self._guard:
            self._at_work.pop(job, None)
        self._messages.put(None)

    def _is_canceled(self, job: int) -> bool:
        return job in self._canceled

    def _beat(self) -> None:
        """Renew the leases of what is at work, and hear who asked to cancel what.

        Goes on after `work` has returned early, as long as its runs do.
        """
        renewed = 0.0
        while (self._working.is_set() or self.busy) and not self._detached:
            time.sleep(POLL / 2)
            with self._guard:
                mine = frozenset(self._at_work)
            if not mine:
                continue
            try:
                self._canceled = frozenset(self._store.jobs.canceled(mine))
                lease = self._store.settings.lease
                if time.monotonic() - renewed >= lease / 3:
                    self._store.jobs.heartbeat(self.owner, lease)
                    renewed = time.monotonic()
            except InvalidTransition as error:
                logger.warning("%s", error)
            except Exception:
                # A database that is away for a moment: the lease outlives two missed beats.
                logger.exception("the leases could not be renewed")
