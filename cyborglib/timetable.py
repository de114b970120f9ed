"""When each policy comes next, kept in the store, so that a tick costs by what is due and not by what there is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from .crontab import Crontab
from .model import Policy, Schedule
from .scheduling import due, next_moment
from .store import Store


class Timetable:
    """The moments of the policies of one store."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    def next_of(self, policy: Policy, after: datetime | None = None) -> datetime | None:
        """When a policy comes next by its schedule; None without one, or where either is disabled."""
        if policy.schedule is None or not policy.enabled:
            return None
        schedule = self._store.schedules.get(policy.schedule)
        if not schedule.enabled:
            return None
        since = after or max(filter(None, (schedule.counted_from, policy.counted_from)), default=self._clock())
        return next_moment(Crontab.parse(schedule.crontab), schedule.timezone, since)

    def waiting(self, now: datetime) -> list[Policy]:
        """The policies that may be due, by what was computed last."""
        return self._store.policies.due(now)

    def answer(self, policy: Policy, now: datetime) -> datetime | None:
        """The latest moment of a policy that has come and was not answered yet; and move the policy on.

        In one transaction with what is launched for it: a moment is neither lost nor taken twice.
        """
        assert policy.id is not None
        moment = None
        if policy.schedule is not None and policy.enabled:
            schedule = self._store.schedules.get(policy.schedule)
            if schedule.enabled:
                moment = due(Crontab.parse(schedule.crontab), schedule.timezone, _since(policy, schedule), now)
        self._store.policies.observe(policy.id, counted_from=now, next_run=self.next_of(policy, now))
        return moment


def _since(policy: Policy, schedule: Schedule) -> datetime:
    moments = [moment for moment in (policy.counted_from, schedule.counted_from) if moment is not None]
    return max(moments)
