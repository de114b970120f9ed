"""A database that is away for a while: said once a minute, not at each try."""

from __future__ import annotations

import logging
import time

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
