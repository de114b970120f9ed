"""Whether the controller's clock can be believed: what is deleted, and what is due, hangs on it.

It is compared with the database's clock, with the newest time in the store, and with the time that passed since this
process began. While it is doubtful nothing is deleted and nothing expires, and schedules go by the database's clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from .store import Store

#: By how much clocks may differ, and by how much one may jump.
APART, JUMP = timedelta(minutes=5), timedelta(hours=1)
#: Where the store keeps when a person said last that the clock is right.
TRUSTED = "clock_trusted"
NEXT = "Set it right (NTP). If it is right and what it was compared with was wrong, call trust_clock()"


def elapsed() -> float:
    """Seconds by a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Watch:
    """Watches one clock. May be used by any thread.

    A clock that says of itself that it is `made_up`, like `testing.FixedClock`, is the time that a test wants it to
    be, and is compared with nothing.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime], passed: Callable[[], float] = elapsed) -> None:
        self._store, self._clock, self._passed = store, clock, passed
        self._began = (clock(), passed(), store.get_meta(TRUSTED) or "")

    def now(self) -> datetime:
        """The time that schedules go by."""
        return self._store.database_time() if self.doubt() else self._clock()

    def doubt(self) -> str:
        """Why the controller's clock may be wrong, in a sentence; "" if there is no reason to think so."""
        if getattr(self._clock, "made_up", False):
            return ""
        trusted = self._store.get_meta(TRUSTED) or ""
        if trusted != self._began[2]:
            self._began = (self._clock(), self._passed(), trusted)
        now, began = self._clock(), self._began
        apart = now - self._store.database_time()
        if abs(apart) > APART:
            return f"The controller's clock is {_span(apart)} of the database's. {NEXT}"
        jump = now - began[0] - timedelta(seconds=self._passed() - began[1])
        if abs(jump) > JUMP:
            return f"The controller's clock jumped: it is {_span(jump)} of where it would be. {NEXT}"
        newest = self._store.newest_time()
        if newest is not None and now < newest - APART and not (trusted and newest <= datetime.fromisoformat(trusted)):
            return f"The controller's clock is {_span(now - newest)} of what was written before. {NEXT}"
        return ""

    def trust(self) -> None:
        """The clock is right now, whatever was written before. For all processes with this store."""
        newest = self._store.newest_time() or datetime.min.replace(tzinfo=UTC)
        self._store.set_meta(TRUSTED, max(newest, self._clock()).isoformat())


def _span(span: timedelta) -> str:
    """ "2 days, 3:00:00 ahead" or "… behind"."""
    seconds = timedelta(seconds=round(abs(span).total_seconds()))
    return f"{seconds} {'ahead' if span > timedelta(0) else 'behind'}"
