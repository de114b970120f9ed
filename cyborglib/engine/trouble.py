"""A database that is away for a while: said once a minute, not at each try."""

from __future__ import annotations

import logging
import threading
import time

from ..events import Event, StoreAway, StoreBack
from ..store import unavailable

logger = logging.getLogger("cyborglib")

#: Seconds between two words in the log about the same trouble.
SAID_EVERY = 60.0


class Trouble:
    """Tells trouble with the database, which passes, from mistakes, which do not."""

    def __init__(self) -> None:
        self._said = float("-inf")

    def passes(self, error: Exception, what: str) -> bool:
        """True if the database cannot be asked now; then the log has it, `what` saying what is done about it."""
        if not unavailable(error):
            return False
        if time.monotonic() - self._said >= SAID_EVERY:
            self._said = time.monotonic()
            logger.warning("the database cannot be asked: %s; %s", " ".join(str(error).split())[:500], what)
        return True


class Alarm:
    """Says once that the database is away, whoever of an engine found out, and once that it is back for all of them.

    One may read what another one cannot write. May be used by any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._finders: set[str] = set()

    def away(self, finder: str, error: Exception) -> list[Event]:
        """What is to be told, as this one cannot do its work."""
        with self._lock:
            first = not self._finders
            self._finders.add(finder)
        return [StoreAway(reason=" ".join(str(error).split())[:500])] if first else []

    def back(self, *finders: str) -> list[Event]:
        """What is to be told, as these could do their work."""
        if not self._finders.intersection(finders):
            return []
        with self._lock:
            self._finders.difference_update(finders)
            return [] if self._finders else [StoreBack()]
