"""Crontab lines by brute force: generated lines whose meaning is known, and a walk through every minute."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from attrs import frozen
from hypothesis import strategies as st

MINUTE = timedelta(minutes=1)


def utc(text: str) -> datetime:
    """An instant."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def wall(text: str) -> datetime:
    """What a clock shows."""
    return datetime.fromisoformat(text)


@frozen
class Line:
    """A generated line, and what its fields mean as the generator knows it."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]

    @property
    def elapsed(self) -> bool:
        return self.text.split()[0][0] == "*" or self.text.split()[1][0] == "*"

    def names(self, wall: datetime) -> bool:
        if wall.minute not in self.minutes or wall.hour not in self.hours or wall.month not in self.months:
            return False
        fields = self.text.split()
        day, weekday = wall.day in self.days, wall.isoweekday() % 7 in self.weekdays
        return day and weekday if fields[2][0] == "*" or fields[4][0] == "*" else day or weekday


@st.composite
def fields(draw: st.DrawFn, low: int, high: int, most: int | None = None) -> tuple[str, frozenset[int]]:
    """A field from `low` to `high` and what it means; its numbers are at most `most`."""
    texts, numbers = [], set()
    number = st.integers(low, high if most is None else most)
    for _ in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
        first, last = sorted((draw(number), draw(number)))
        step = draw(st.integers(1, high))
        text, meant = draw(
            st.sampled_from(
                [
                    ("*", range(low, high + 1)),
                    (f"*/{step}", range(low, high + 1, step)),
                    (f"{first}", range(first, first + 1)),
                    (f"{first}-{last}", range(first, last + 1)),
                    (f"{first}-{last}/{step}", range(first, last + 1, step)),
                ]
            )
        )
        texts.append(text)
        numbers |= set(meant)
    return ",".join(texts), frozenset(numbers)


@st.composite
def lines(draw: st.DrawFn) -> Line:
    """Any line; often one for the hours after midnight, when clocks are changed, and for every day."""
    every = st.just(("*", frozenset(range(32))))
    minute, hour = draw(fields(0, 59)), draw(fields(0, 23) | fields(0, 23, most=3))
    day, month = draw(every | fields(1, 31)), draw(every | every | fields(1, 12))
    weekday, numbers = draw(every | fields(0, 7))
    text = f"{minute[0]} {hour[0]} {day[0]} {month[0]} {weekday}"
    return Line(text, minute[1], hour[1], day[1], month[1], frozenset(number % 7 for number in numbers))


#: Zones and days on which something happens to their clocks.
CHANGES = [
    ("Europe/Paris", "2026-03-29"),
    ("Europe/Paris", "2026-10-25"),
    ("America/New_York", "2026-03-08"),
    ("America/New_York", "2026-11-01"),
    ("Australia/Lord_Howe", "2026-04-05"),
    ("Australia/Lord_Howe", "2026-10-04"),
    ("Pacific/Apia", "2011-12-30"),
    ("Pacific/Kwajalein", "1993-08-21"),
    ("America/Sao_Paulo", "2018-02-18"),
    ("America/Sao_Paulo", "2018-11-04"),
    ("America/Santiago", "2026-04-05"),
    ("America/Havana", "2026-11-01"),
    ("Asia/Beirut", "2026-03-29"),
    ("Asia/Beirut", "2026-10-25"),
    ("Asia/Pyongyang", "2018-05-05"),
    ("Antarctica/Troll", "2026-03-29"),
    ("Antarctica/Troll", "2026-10-25"),
    ("Africa/Casablanca", "2026-02-15"),
    ("Africa/Casablanca", "2026-03-22"),
    ("Europe/Dublin", "2026-10-25"),
    ("Pacific/Chatham", "2026-04-05"),
    ("America/Caracas", "2016-05-01"),
    ("Asia/Kathmandu", "2026-01-01"),
    ("UTC", "2026-01-01"),
]

NAMES = sorted(name for name in available_timezones() if name not in {"localtime", "Factory"})


@st.composite
def places(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone and an instant in it, most often near a change. From 1973 on all offsets are whole minutes."""
    if draw(st.integers(0, 3)):
        zone, day = draw(st.sampled_from(CHANGES))
        return zone, utc(day) + draw(st.integers(-36 * 60, 30 * 60)) * MINUTE
    minute = st.integers(0, 64 * 365 * 24 * 60)
    return draw(st.sampled_from(NAMES)), utc("1973-01-01") + draw(minute) * MINUTE


def walk(line: Line, zone: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """The same by brute force: one UTC minute after the other, with a look at the clock.

    A line of fixed times comes when the clock for the first time shows, or has jumped over, a time it names.
    """
    info = ZoneInfo(zone)
    minute = after.replace(second=0, microsecond=0) - timedelta(hours=27)
    highest = minute.astimezone(info).replace(tzinfo=None)
    while (minute := minute + MINUTE) <= until:
        shown = minute.astimezone(info).replace(tzinfo=None)
        if line.elapsed:
            comes = minute > after and line.names(shown)
        else:
            new = (highest + n * MINUTE for n in range(1, (shown - highest) // MINUTE + 1))
            comes = minute > after and any(line.names(wall) for wall in new)
            highest = max(highest, shown)
        if comes:
            yield minute
