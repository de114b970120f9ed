"""A crontab line, checked, and the moments at which it comes in a time zone.

The only importer of croniter, which is asked for one thing: the next or the previous wall time of a line that
was checked here. On its own it takes more than crontab(5) does (seconds, `L`, `#`, 31 February), and over a
change of the clocks it runs `30 2 * * *` twice.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from attrs import field, frozen

from .cronfields import FIELDS
from .errors import Invalid
from .timezones import first_reached, lowest_ahead, shown_at, validate_timezone, wall_time

__all__ = ["FIRST_YEAR", "LAST_YEAR", "Crontab", "as_instant", "moments", "validate_timezone"]

#: The years in which lines are followed; outside them nothing comes.
FIRST_YEAR, LAST_YEAR = 1900, 2999

_MINUTE = timedelta(minutes=1)
_LONGEST = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days of each month, in a leap year
_EVERY_DAY = frozenset(range(1, 32))
_SHORTCUTS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


@frozen
class Crontab:
    """A crontab line known to be right, made by `Crontab.parse`. Lines are equal when their texts are."""

    #: As it was given, runs of blanks made one.
    text: str
    #: It goes by elapsed time, since its minute or hour begins with `*`; see `moments`.
    elapsed: bool = field(eq=False, repr=False)
    # The same in plain numbers, for croniter; and whether one of the two kinds of day is enough.
    _numbers: str = field(eq=False, repr=False)
    _either_day: bool = field(eq=False, repr=False)

    @classmethod
    def parse(cls, text: object) -> Crontab:
        """Read five fields as in crontab(5), or one of @hourly @daily @midnight @weekly @monthly @yearly @annually.

        Fields are numbers, names of three letters, `*`, lists, ranges and steps. Where day of month and day of
        week are both restricted, which is to say neither begins with `*`, either is enough, as in Vixie cron.

        Raises `Invalid`, naming the field and what it takes, for anything else and for dates that never come.
        """
        if not isinstance(text, str):
            raise Invalid(f"a crontab is a text like '30 2 * * *', not {type(text).__name__}")
        line = re.sub("[ \t]+", " ", text.strip(" \t\r\n"))
        quoted = repr(line if len(line) <= 100 else line[:97] + "...")
        parts = _five(line, quoted)
        sets = []
        for one, part in zip(FIELDS, parts, strict=True):
            try:
                sets.append(one.values(part))
            except ValueError as error:
                raise Invalid(
                    f"the {one.name} field {part[:100]!r} of the crontab {quoted} cannot be used: {error}. "
                    f"The {one.name} is {one.takes}"
                ) from error
        minutes, hours, days, months, weekdays = sets
        either = not (parts[2].startswith("*") or parts[4].startswith("*"))
        never = not any(day <= _LONGEST[month - 1] for day in days for month in months)
        if never and not either:
            raise Invalid(
                f"the day of month field {parts[2][:100]!r} of the crontab {quoted} never comes: the month field "
                f"{parts[3][:100]!r} has no month longer than {max(_LONGEST[month - 1] for month in months)} days"
            )
        if never:
            either, days = False, _EVERY_DAY  # only the weekday ever comes; croniter before 7 gives up here
        # croniter reads `*` ten times as fast as sixty numbers; as one of two kinds of day it would be no restriction.
        every = (60, 24, None if either else 31, 12, None)
        listed = (
            "*" if len(numbers) == count else ",".join(map(str, sorted(numbers)))
            for numbers, count in zip((minutes, hours, days, months, weekdays), every, strict=True)
        )
        return cls(line, parts[0].startswith("*") or parts[1].startswith("*"), " ".join(listed), either)

    def __str__(self) -> str:
        return self.text

    def wall_times(self, start: datetime, *, backwards: bool = False) -> Iterator[datetime]:
        """The wall times (naive) that the line names: after `start`, or backwards from it, `start` included.

        They know nothing of time zones. They begin with `FIRST_YEAR` and end with `LAST_YEAR`.
        """
        from croniter import croniter  # here: it takes 40 ms, and most who import this never get here

        low, high = datetime(FIRST_YEAR, 1, 1), datetime(LAST_YEAR + 1, 1, 1)  # noqa: DTZ001 - wall times
        # croniter leaves out the minute it starts from.
        start = max(low - _MINUTE, min(start, high)).replace(second=0, microsecond=0)
        start += _MINUTE if backwards else timedelta(0)
        walk = croniter(self._numbers, start, ret_type=datetime, day_or=self._either_day)
        while True:
            wall: datetime = walk.get_prev() if backwards else walk.get_next()
            if not low <= wall < high:
                return
            yield wall


def _five(line: str, quoted: str) -> list[str]:
    """The five fields of a line or of the shortcut it is. Raises `Invalid`."""
    if line.startswith("@") and line.lower() not in _SHORTCUTS:
        raise Invalid(
            f"the crontab {quoted} is not known; use one of {' '.join(_SHORTCUTS)}, or five fields like '30 2 * * *'"
        )
    parts = _SHORTCUTS.get(line.lower(), line).split(" ")
    if len(parts) != len(FIELDS):
        raise Invalid(
            f"the crontab {quoted} has {len(parts) if line else 0} fields, not five: "
            f"{', '.join(one.name for one in FIELDS)}; for example '30 2 * * mon-fri' (no seconds, no years)"
        )
    return parts


def moments(crontab: Crontab, timezone: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """The instants (aware, UTC, ascending) at which a line comes in a time zone: after `after`, up to `until`.

    Where the clocks change, the rule is that of Vixie cron:

    - A line whose minute or hour begins with `*` goes by elapsed time: it comes whenever the clock shows a time
      it names, thus in both of two doubled hours, and never for a time that the clock skips.
    - Any other line comes once for each time it names: in a doubled hour the first time, and for a time that
      the clock skips at the end of the gap. Several times in one gap come once, together. That holds however
      long the gap is: for the day that Samoa left out in 2011 as well.

    Raises `Invalid` for an unknown time zone or a naive datetime.
    """
    zone, after, until = validate_timezone(timezone), as_instant(after), as_instant(until)
    return _between(_elapsed(crontab, zone, after) if crontab.elapsed else _fixed(crontab, zone, after), after, until)


def as_instant(time: datetime) -> datetime:
    """An aware time in UTC, brought into the years in which lines are followed. Raises `Invalid` if naive."""
    if time.tzinfo is None:
        raise Invalid(f"the time {time!r} has no time zone; use an aware one, like datetime.now(UTC)")
    low, high = datetime(FIRST_YEAR, 1, 3, tzinfo=UTC), datetime(LAST_YEAR, 12, 29, tzinfo=UTC)
    return low if time < low else high if time > high else time.astimezone(UTC)


def _between(source: Iterator[datetime], after: datetime, until: datetime) -> Iterator[datetime]:
    """Those of an ascending source that lie in (after, until], each once."""
    last = after
    for moment in source:
        if moment > until:
            return
        if moment > last:
            yield moment
            last = moment


def _fixed(crontab: Crontab, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    for wall in crontab.wall_times(wall_time(zone, after)):
        yield first_reached(zone, wall)


def _elapsed(crontab: Crontab, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
    second_time: deque[datetime] = deque()
    for wall in crontab.wall_times(lowest_ahead(zone, after)):
        instants = shown_at(zone, wall)
        while second_time and instants and second_time[0] < instants[0]:
            yield second_time.popleft()
        yield from instants[:1]
        second_time.extend(instants[1:])
    yield from second_time
