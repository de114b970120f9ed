"""Which moment of a crontab line is the next, and which has come: missed ones come once, late. No clock in here."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from .crontab import Crontab, as_instant, moments
from .timezones import first_reached, highest_so_far, shown_at, validate_timezone

__all__ = ["due", "moments", "next_moment", "validate_timezone"]


def next_moment(crontab: Crontab, timezone: str, after: datetime) -> datetime | None:
    """The first instant (aware, UTC) after `after` at which the line comes; None if the calendar ends before.

    Raises `Invalid` for an unknown time zone or a naive datetime.
    """
    return next(moments(crontab, timezone, after, datetime.max.replace(tzinfo=UTC)), None)


def due(crontab: Crontab, timezone: str, since: datetime, now: datetime) -> datetime | None:
    """The latest instant in (since, now] at which the line came; None if there was none.

    However many were missed, there is one answer: a schedule that could not run runs once, late. `since` is when
    it was last answered, or since when its moments count. The search goes backwards from `now`, so a long
    outage costs no more than a short one.

    Raises `Invalid` for an unknown time zone or a naive datetime.
    """
    zone, since, now = validate_timezone(timezone), as_instant(since), as_instant(now)
    walls = crontab.wall_times(highest_so_far(zone, now), backwards=True)
    latest = _latest_elapsed(walls, zone, now) if crontab.elapsed else _latest_fixed(walls, zone, now)
    return latest if latest is not None and latest > since else None


def _latest_fixed(walls: Iterator[datetime], zone: ZoneInfo, now: datetime) -> datetime | None:
    for wall in walls:
        instant = first_reached(zone, wall)
        if instant <= now:
            return instant
    return None


def _latest_elapsed(walls: Iterator[datetime], zone: ZoneInfo, now: datetime) -> datetime | None:
    latest: datetime | None = None
    for wall in walls:
        instants = shown_at(zone, wall)
        for instant in instants:
            if instant <= now and (latest is None or instant > latest):
                latest = instant
        # Earlier wall times are shown for the last time earlier than this one: none can be later than `latest`.
        if instants and instants[-1] <= now:
            break
    return latest
