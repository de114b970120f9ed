"""Looks after the jobs at work, in a thread that lives as long as there are any."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial

from attrs import evolve

from ..store import Store
from .at_work import Assigned, AtWork
from .outbox import Outbox
from .scribe import Scribe
from .trouble import Alarm, Trouble

logger = logging.getLogger("cyborglib")

#: Seconds between two beats.
BEAT = 0.5
#: Leases are renewed this often in their time: one outlives two beats that were missed.
PER_LEASE = 3


class Heart:
    """Renews leases, hears who asked to cancel what, and writes what could not be written before."""

    def __init__(self, store: Store, outbox: Outbox, scribe: Scribe, at_work: AtWork, owner: str, alarm: Alarm) -> None:
        self._store = store
        self._outbox = outbox
        self._scribe = scribe
        self._at_work = at_work
        self._owner = owner
        self._alarm = alarm
        self._trouble = Trouble()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._end = threading.Event()
        self._renewed = 0.0

    def start(self) -> None:
        """To be called after jobs were taken in hand."""
        with self._lock:
            if self._thread is None and not self._end.is_set():
                self._renewed = time.monotonic()
                thread = threading.Thread(target=self._live, name="cyborglib-heart", daemon=True)
                try:
                    thread.start()
                except RuntimeError:
                    logger.exception("no thread could be started; it is tried again with the next jobs")
                else:
                    self._thread = thread

    def close(self) -> None:
        """End at once; there is nothing more to look after."""
        self._end.set()
        with self._lock:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _live(self) -> None:
        while True:
            self._end.wait(BEAT)
            with self._lock:
                # Asked and answered under the lock: who takes a job in hand now starts another thread.
                if self._end.is_set() or not len(self._at_work):
                    self._thread = None
                    return
            self._try(self._renew)
            self._try(self._hear)
            for assigned in self._at_work.all():
                self._try(partial(self._write, assigned))

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            if not self._trouble.passes(error, "leases outlive that for a while"):
                logger.exception("looking after the jobs at work went wrong")
                return
            with self._outbox.committing() as told:
                told.extend(self._alarm.away("leases", error))

    def _renew(self) -> None:
        mine = self._at_work.all()
        lease = min((assigned.work.settings.lease for assigned in mine), default=0)
        if not mine or time.monotonic() - self._renewed < lease / PER_LEASE:
            return
        lost = self._store.jobs.heartbeat(self._owner, lease, [assigned.id for assigned in mine])
        self._renewed = time.monotonic()
        with self._outbox.committing() as told:
            told.extend(self._alarm.back("leases"))
        for job in lost:
            if (assigned := self._at_work.get(job)) is not None:
                self._regain(assigned, lease)

    def _regain(self, assigned: Assigned, lease: int) -> None:
        """A lease ran out (this machine slept, or the database was away): take it anew, or let go of the job."""
        with self._outbox.committing():
            if assigned.over:
                return
            claim = self._store.jobs.adopt(assigned.id, self._owner, lease)
            if claim is None:
                self._scribe.lose(assigned, "its lease ran out, and another engine has it")
            else:
                assigned.work = evolve(assigned.work, fence=claim.fence)

    def _hear(self) -> None:
        for job in self._store.jobs.canceled([assigned.id for assigned in self._at_work.all()]):
            if (assigned := self._at_work.get(job)) is not None:
                assigned.canceled = True

    def _write(self, assigned: Assigned) -> None:
        with self._outbox.committing() as told:
            self._scribe.say(assigned, told)
            self._scribe.end(assigned, told)
