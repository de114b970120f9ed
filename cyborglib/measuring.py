"""Has the hosts of vaults asked once a day how much room there is: the alarm comes before the end."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from . import planning
from .store import Queued, Store

#: How often each file system is asked for, and the seconds between two looks whether it is time.
DAILY, EVERY = timedelta(days=1), 300.0


class Measuring:
    """The questions of one store's `tick`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._looked = float("-inf")

    def due(self) -> bool:
        """True if it is to be looked whether a question is due."""
        return time.monotonic() - self._looked >= EVERY

    def queue(self, now: datetime) -> Queued:
        """Queue one question for each file system of a managed host that was not asked for a day; gives those jobs."""
        self._looked = time.monotonic()
        store = self._store
        settings = store.settings
        if not settings.min_free:
            return Queued((), ())
        with store.transaction():
            planned = []
            for vault in store.vaults.many(store.pauses.unmeasured(now - DAILY)):
                repository = store.repositories.get(vault.repository)
                if repository.managed and repository.enabled and not vault.where.local:
                    planned.append(planning.measure(repository, vault, None, settings, launched_by="schedule"))
            return store.jobs.queue(planned)
