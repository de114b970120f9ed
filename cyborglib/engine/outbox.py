"""What is to be told, in the order in which it was committed; told by one thread at a time."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue

from ..events import Event, Events, JobEvent, JobOutput, JobProgressed, JobStarted

#: Nothing can start because of these, so nobody looks at the queue because of them.
_IDLE = (JobStarted, JobProgressed, JobOutput)


class Outbox:
    """Events on their way from whoever commits to the listeners. May be used by any thread.

    Listeners are called outside of every lock, so they may call any verb. Who finds that somebody is telling
    already leaves its events to that one: nobody waits for a listener of another thread.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._order = threading.RLock()
        # Each event in a cell of its own, so that progress nobody heard of yet can be brought up to date.
        self._cells: deque[list[Event]] = deque()
        self._latest: dict[int | None, list[Event]] = {}
        self._mutex = threading.Lock()
        self._put_in = self._told = 0
        self._telling = threading.Lock()
        self._teller: int | None = None
        # Replaced, never changed: a signal handler may be going through it.
        self._ears: tuple[SimpleQueue[bool], ...] = ()

    @contextmanager
    def committing(self) -> Iterator[list[Event]]:
        """A commit, and what it is about, as one step: no other commit of this process comes between.

        Put into the list what is to be told; it is dropped if the block raises. Enter this before any
        transaction of the store, never inside one.
        """
        with self._order:
            told: list[Event] = []
            yield told
            self._put(told)
        if told:
            self.wake(look=any(not isinstance(event, _IDLE) for event in told))

    def _put(self, events: Iterable[Event]) -> None:
        with self._mutex:
            for event in events:
                if not isinstance(event, JobEvent):
                    self._add(event)
                elif not isinstance(event, JobProgressed):
                    self._latest.pop(event.job.id, None)
                    self._add(event)
                elif (cell := self._latest.get(event.job.id)) is not None:
                    cell[0] = event
                else:
                    self._latest[event.job.id] = self._add(event)

    def _add(self, event: Event) -> list[Event]:
        self._cells.append([event])
        self._put_in += 1
        return self._cells[-1]

    # Telling

    @property
    def waiting(self) -> bool:
        """True if there is something that nobody has begun to tell."""
        return bool(self._cells)

    @property
    def telling_here(self) -> bool:
        """True inside a listener that this thread is calling."""
        return self._teller == threading.get_ident()

    def tell(self, seconds: float = math.inf) -> None:
        """Tell what there is, in this thread, for about so long; nothing if somebody is telling already."""
        end = time.monotonic() + seconds
        # Asked again after the lock is free: what came meanwhile would be left to nobody.
        while self._cells and self._telling.acquire(blocking=False):
            self._teller = threading.get_ident()
            try:
                while (event := self._next()) is not None:
                    try:
                        self._events.tell(event)
                    finally:
                        self._told += 1
                    if time.monotonic() >= end:
                        return
            finally:
                self._teller = None
                self._telling.release()

    def settle(self) -> None:
        """Return when all that was committed before this has been told."""
        with self._order, self._mutex:
            all_of_it = self._put_in
        while self._told < all_of_it:
            self.tell()
            if self._told < all_of_it:
                with self._telling:
                    pass  # Another thread is telling it.

    def _next(self) -> Event | None:
        with self._mutex:
            if not self._cells:
                return None
            cell = self._cells.popleft()
            event = cell[0]
            if isinstance(event, JobProgressed) and self._latest.get(event.job.id) is cell:
                del self._latest[event.job.id]
            return event

    # Waking

    @contextmanager
    def listening(self) -> Iterator[SimpleQueue[bool]]:
        """A queue in which True says: look at the jobs; and False: there is something to tell."""
        ear: SimpleQueue[bool] = SimpleQueue()
        with self._mutex:
            self._ears = (*self._ears, ear)
        try:
            yield ear
        finally:
            with self._mutex:
                self._ears = tuple(one for one in self._ears if one is not ear)

    @property
    def heard(self) -> bool:
        """True if somebody listens, and so will tell."""
        return bool(self._ears)

    def wake(self, *, look: bool = True) -> None:
        """Wake whoever listens. Takes no lock: this is what a signal handler may call."""
        for ear in self._ears:
            ear.put(look)
