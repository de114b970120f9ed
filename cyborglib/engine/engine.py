"""The engine: works the queue of one store, in the threads that call `work`.

Each run has a thread of its own; what it reports is committed there and then. Listeners are called only in
a thread that works, or where there is none in that of the verb: one at a time, in the order of commits.
"""

from __future__ import annotations

import math
import os
import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from queue import Empty, SimpleQueue

from ..errors import CyborgError, TimedOut
from ..events import Event, Events
from ..executor import Executor
from ..kinds import Role
from ..store import Store
from . import pausing
from .at_work import AtWork
from .hands import Hands
from .heart import Heart
from .outbox import Outbox
from .runs import Runs
from .scribe import Scribe
from .trouble import Alarm, Trouble

#: Seconds between two looks at the queue when nobody said that something changed.
POLL = 1.0
#: Seconds to wait for more jobs to become free together, while others are at work: a run costs about a
#: second of CPU, a host in it a few hundredths.
GATHER = 0.3
#: Seconds that listeners are told things before the queue is looked at again.
TELL = 0.5
#: Seconds to wait where there is more to tell.
SHORT = 0.01
#: Seconds between two looks at jobs that others work.
WATCH = 0.5
#: Seconds that `close` waits for other threads that work.
LEAVE = 5.0


class Engine:
    """Several threads may call `work` at the same time; together they take no more jobs than `parallel` says."""

    def __init__(
        self,
        store: Store,
        events: Events,
        executor: Callable[[], Executor],
        *,
        clock: Callable[[], datetime],
        state_dir: str,
        role: Role,
        doubt: Callable[[], str] = str,
    ) -> None:
        # Told apart from every other engine on the same database, also one with the same pid elsewhere.
        self.owner = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._store = store
        self._clock = clock
        self._outbox = Outbox(events)
        self._at_work = AtWork()
        self._alarm = Alarm()
        scribe = Scribe(store, self._outbox, self._at_work, self._alarm)
        self._heart = Heart(store, self._outbox, scribe, self._at_work, self.owner, self._alarm)
        self._runs = Runs(store, self._outbox, scribe, self._at_work, executor, clock=clock)
        self._hands = Hands(
            store, self._outbox, scribe, self._at_work, self._heart, self._runs, self.owner,
            clock=clock, state_dir=state_dir, role=role, doubt=doubt,
        )  # fmt: skip
        self._workers: set[int] = set()
        #: How many verbs each thread is in.
        self._inside: Counter[int] = Counter()
        self._change = threading.Condition()
        # Plain flags: a signal handler may come at any instant, also one at which a lock is held.
        self._stopping = False
        self._closed = False

    @property
    def busy(self) -> int:
        """How many jobs this engine has at work."""
        return len(self._at_work)

    # Telling

    def committing(self) -> AbstractContextManager[list[Event]]:
        """A commit of a verb, and what is to be told of it; see `Outbox.committing`."""
        return self._outbox.committing()

    def tell(self) -> None:
        """Tell what verbs committed: in this thread, unless there is one that works, which then does it."""
        if not self._outbox.heard:
            self._outbox.tell()

    def cancel(self, job: int) -> None:
        """Hear at once that a job is to be canceled, if it is at work here."""
        if (assigned := self._at_work.get(job)) is not None:
            assigned.canceled = True

    def may_work(self, verb: str) -> None:
        """Raise `CyborgError` after `close`, and inside a listener, where waiting for jobs is waiting for oneself."""
        if self._closed:
            raise CyborgError(f"{verb} cannot be called any more, as this Cyborg is closed: open another one")
        if self._outbox.telling_here:
            raise CyborgError(
                f"{verb} cannot be called by a listener, as the thread that tells it does the work: call launch "
                "instead, and the jobs are worked next"
            )

    @contextmanager
    def verb(self, name: str) -> Iterator[None]:
        """A verb that works or waits, in which `may_work`: until it is over, `close` leaves the store open."""
        self.may_work(name)
        me = threading.get_ident()
        with self._change:
            self._inside[me] += 1
        try:
            yield
        finally:
            with self._change:
                self._inside[me] -= 1
                self._inside += Counter()  # without those that are at zero
                self._change.notify_all()

    # Working

    def work(
        self,
        left: Callable[[], Collection[int] | None],
        *,
        each_poll: Callable[[], object] | None = None,
        timeout: float | None = None,
    ) -> None:
        """Take and work jobs until nothing is left or `stop` was called.

        `left` says what there is to do: the ids of jobs, none if all is done, None for whatever is queued.
        `each_poll` is called about once a second. A database that is away is waited for. On
        KeyboardInterrupt the runs of this engine are ended, but not Borg on the clients.

        Raises `TimedOut` after `timeout` seconds; what is at work then goes on in threads of its own.
        """
        with self._working() as ear:
            try:
                self._loop(ear, left, each_poll, timeout)
            except (KeyboardInterrupt, SystemExit):
                self._runs.detach(self.owner)
                raise

    def watch(self, left: Callable[[], Collection[int]], timeout: float | None) -> None:
        """Watch, and work nothing, until no job is left. Raises `TimedOut`."""
        end = time.monotonic() + (math.inf if timeout is None else timeout)
        while left():
            if time.monotonic() >= end:
                raise TimedOut(f"not all jobs ended within {timeout} s; they go on where they are worked")
            time.sleep(WATCH)
            self.may_work("wait")

    def stop(self) -> None:
        """Let `work` return after what is at work has ended; where nobody works, the next call returns at once.

        May be called from any thread, listener or signal handler: it takes no lock.
        """
        self._stopping = True
        self._outbox.wake()

    def close(self) -> None:
        """Stop at once; jobs at work go on without an engine until the next one takes them over."""
        self._closed = True
        self._outbox.wake()
        self._detach()
        with self._change:
            others = self._workers, self._inside.keys()
            self._change.wait_for(lambda: not any(found - {threading.get_ident()} for found in others), timeout=LEAVE)
        self._detach()  # What another thread took in the meantime.
        self._heart.close()

    def _detach(self) -> None:
        if self.busy:
            self._runs.detach(self.owner)

    def drop_executor(self) -> None:
        """Close the executor; if there is more to do, a new one is made."""
        self._runs.drop_executor()

    @contextmanager
    def _working(self) -> Iterator[SimpleQueue[bool]]:
        me = threading.get_ident()
        with self._outbox.listening() as ear:
            with self._change:
                self._workers.add(me)
            try:
                yield ear
            finally:
                with self._change:
                    self._workers.discard(me)
                    if not self._workers:
                        self._stopping = False
                    self._change.notify_all()

    def _loop(
        self,
        ear: SimpleQueue[bool],
        left: Callable[[], Collection[int] | None],
        each_poll: Callable[[], object] | None,
        timeout: float | None,
    ) -> None:
        look = poll = time.monotonic()
        end = math.inf if timeout is None else look + timeout
        trouble = Trouble()
        while not self._closed:
            now = time.monotonic()
            if self._stopping:
                if not self.busy:
                    break
            elif now >= end:
                raise TimedOut(f"not all jobs ended within {timeout} s; they go on with the next engine")
            elif now >= look:
                look = now + POLL
                try:
                    if each_poll is not None and now >= poll:
                        poll = now + POLL
                        each_poll()
                    over = self._look(left)
                    self._tell(self._alarm.back("queue"))
                    if over:
                        break
                except Exception as error:
                    if not trouble.passes(error, "it is asked again"):
                        raise
                    self._tell(self._alarm.away("queue", error))
            self._outbox.tell(TELL)
            if self._woken(ear, min(look, end) - time.monotonic()):
                # What ends together is taken together; but the first is not kept waiting by all that come after.
                look = min(look, time.monotonic() + (GATHER if self.busy else 0.0))
        self._outbox.settle()

    def _tell(self, events: Sequence[Event]) -> None:
        if events:
            with self._outbox.committing() as told:
                told.extend(events)

    def _look(self, left: Callable[[], Collection[int] | None]) -> bool:
        """Take what may start. True if nothing is left."""
        only = left()
        if only is not None and not only:
            # Listeners may launch something because of how the last job ended.
            self._outbox.settle()
            only = left()
            return only is not None and not only
        self._hands.take_over()
        with self._outbox.committing() as told:
            told.extend(pausing.look(self._store, self._clock()))
        self._hands.take(only)
        return False

    def _woken(self, ear: SimpleQueue[bool], wait: float) -> bool:
        """Wait until there is something to do, or to tell. True if jobs may have become free."""
        if self._outbox.waiting:
            wait = min(wait, SHORT)  # Listeners take their time, here or in another thread.
        look = False
        try:
            look = ear.get(timeout=wait) if wait > 0 else ear.get_nowait()
            while True:
                look = ear.get_nowait() or look
        except Empty:
            return look
