"""When each policy comes next, kept in the store, so that a tick costs by what is due and not by what there is."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta

from . import launching
from .crontab import Crontab
from .errors import Disabled
from .model import Policy, Schedule
from .scheduling import due, next_moment
from .store import Queued, Store, unavailable

logger = logging.getLogger("cyborglib")

#: After which time a policy that could not be launched is tried again.
AGAIN = timedelta(minutes=1)
#: By how much the clocks of two engines may differ, and the seconds between two looks whether one was wrong.
DIFFER, RECOUNT = timedelta(minutes=5), 60.0

_NOTHING = Queued((), ())


class Timetable:
    """The moments of the policies of one store."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._put_off: dict[int, datetime] = {}
        self._recounted = float("-inf")

    def next_of(self, policy: Policy, after: datetime | None = None) -> datetime | None:
        """When a policy comes next by its schedule; None without one, or where either is disabled."""
        schedule = self._schedule(policy)
        if schedule is None:
            return None
        since = after or _since(policy, schedule, self._clock())
        return next_moment(Crontab.parse(schedule.crontab), schedule.timezone, since)

    def waiting(self, now: datetime) -> list[Policy]:
        """The policies that may be due, by what was computed last; without those that failed a moment ago."""
        self._recount(now)
        return [policy for policy in self._store.policies.due(now) if not self._is_put_off(policy, now)]

    def launch(self, policy: Policy, now: datetime) -> Queued:
        """Launch a policy if a moment of it has come that was not answered yet; gives what was queued.

        One that cannot be launched never stops the others: it is logged, and tried again after a while.
        """
        assert policy.id is not None
        try:
            with self._store.transaction():
                return self._answer(policy.id, now)
        except Exception as error:
            if unavailable(error):
                raise
            logger.exception("the policy %s was due and could not be launched", policy.name)
            self._put_off[policy.id] = now + AGAIN
            return _NOTHING

    def _answer(self, policy_id: int, now: datetime) -> Queued:
        """In one transaction with what is launched for it: a moment is neither lost nor taken twice."""
        if policy_id not in self._store.policies:
            return _NOTHING
        # As it stands now: another engine may have answered since it was found to be waiting.
        policy = self._store.policies.get(policy_id)
        schedule = self._schedule(policy)
        moment = None
        if schedule is not None:
            line, since = Crontab.parse(schedule.crontab), _since(policy, schedule, now)
            moment = due(line, schedule.timezone, since, now)
        self._store.policies.observe(policy_id, counted_from=now, next_run=self.next_of(policy, now))
        if moment is None:
            return _NOTHING
        try:
            return launching.launch(
                self._store,
                policy,
                None,
                variables=lambda client: policy.variables_for(client.id),
                launched_by="schedule",
                now=now,
                due=moment,
            )
        except Disabled as error:
            logger.info("the policy %s was due and not launched: %s", policy.name, error)
            return _NOTHING

    def _schedule(self, policy: Policy) -> Schedule | None:
        if policy.schedule is None or not policy.enabled:
            return None
        schedule = self._store.schedules.get(policy.schedule)
        return schedule if schedule.enabled else None

    def _is_put_off(self, policy: Policy, now: datetime) -> bool:
        assert policy.id is not None
        until = self._put_off.get(policy.id)
        # Not for longer than was meant, if the clock was set back since.
        if until is not None and until - AGAIN <= now < until:
            return True
        self._put_off.pop(policy.id, None)
        return False

    def _recount(self, now: datetime) -> None:
        """A clock that was wrong by years would have put policies off by years."""
        if time.monotonic() - self._recounted < RECOUNT:
            return
        self._recounted = time.monotonic()
        for policy in self._store.policies.ahead(now + DIFFER):
            logger.warning("the policy %s was answered at %s, which is yet to come", policy.name, policy.counted_from)
            self.launch(policy, now)


def _since(policy: Policy, schedule: Schedule, now: datetime) -> datetime:
    """From when the moments count that were not answered yet; what a clock wrote that was wrong does not count."""
    moments = (policy.counted_from, schedule.counted_from)
    return max((min(moment, now) for moment in moments if moment and moment <= now + DIFFER), default=now)
