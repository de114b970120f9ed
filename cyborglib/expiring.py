"""Takes away what ended jobs left, when it is older than the settings keep it; archives and catalogue never go."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from .store import Store

logger = logging.getLogger("cyborglib")

#: Seconds between two looks where nothing was left to take away, and steps in one look.
EVERY, STEPS = 60.0, 5


def _sure(_now: datetime) -> str:
    return ""


class Expiring:
    """What `tick` does besides queueing. `doubt` says why the clock is not to be believed now, or "".

    Then nothing goes: by a clock that is years ahead all would be old.
    """

    def __init__(self, store: Store, doubt: Callable[[datetime], str] = _sure) -> None:
        self._store = store
        self._doubt = doubt
        self._looked = float("-inf")

    def step(self, now: datetime) -> None:
        """Take some away, if there is any; costs by what goes."""
        if time.monotonic() - self._looked < EVERY:
            return
        if why := self._doubt(now):
            self._looked = time.monotonic()
            logger.warning("nothing that is old is taken away: %s", why)
            return
        settings, expiry = self._store.settings, self._store.expiry
        for _ in range(STEPS):
            more = expiry.output(now - timedelta(days=settings.keep_output))
            if not expiry.jobs(now - timedelta(days=settings.keep_jobs)) and not more:
                self._looked = time.monotonic()
                return
