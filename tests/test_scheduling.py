"""The next moment of a line, and what is due: once and late after an outage, at a cost that does not grow with it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cyborglib.crontab import Crontab
from cyborglib.errors import Invalid
from cyborglib.scheduling import due, moments, next_moment, validate_timezone
from tests.cronwalk import MINUTE, Line, lines, places, utc, walk

PARIS = "Europe/Paris"


@pytest.mark.parametrize(
    ("line", "zone", "after", "expected"),
    [
        ("0 2 * * *", PARIS, "2026-07-01T00:00", "2026-07-02T00:00"),
        ("0 2 * * *", PARIS, "2026-06-30T23:59:59.999999", "2026-07-01T00:00"),
        ("30 2 * * *", PARIS, "2026-03-28T12:00", "2026-03-29T01:00"),
        ("30 2 * * *", PARIS, "2026-10-25T00:30", "2026-10-26T01:30"),
        ("*/30 * * * *", PARIS, "2026-10-25T00:30", "2026-10-25T01:00"),
        ("0 0 29 2 *", "UTC", "2096-03-01T00:00", "2104-02-29T00:00"),
        ("0 0 29 2 */7", "UTC", "2088-03-01T00:00", "2128-02-29T00:00"),
        ("@yearly", "Pacific/Apia", "2011-06-01T00:00", "2011-12-31T10:00"),
        ("0 0 29 2 *", "UTC", "2996-03-01T00:00", None),
        ("* * * * *", "America/New_York", "9999-12-31T23:59", None),
    ],
)
def test_next_moment(line: str, zone: str, after: str, expected: str | None) -> None:
    assert next_moment(Crontab.parse(line), zone, utc(after)) == (utc(expected) if expected else None)


@pytest.mark.parametrize(
    ("line", "zone", "since", "now", "expected"),
    [
        # Not yet, just now, a little late, and answered already.
        ("0 2 * * *", "UTC", "2026-06-01T02:00", "2026-06-02T01:59:59", None),
        ("0 2 * * *", "UTC", "2026-06-01T02:00", "2026-06-02T02:00", "2026-06-02T02:00"),
        ("0 2 * * *", "UTC", "2026-06-01T02:00", "2026-06-02T02:00:07", "2026-06-02T02:00"),
        ("0 2 * * *", "UTC", "2026-06-02T02:00", "2026-06-02T02:00:07", None),
        ("0 2 * * *", "UTC", "2026-06-02T02:00:06", "2026-06-02T02:00:07", None),
        # Missed for long: the latest only.
        ("0 2 * * *", "UTC", "2026-01-01T00:00", "2026-06-02T12:00", "2026-06-02T02:00"),
        ("*/5 * * * *", "UTC", "2016-01-01T00:00", "2026-06-02T12:03", "2026-06-02T12:00"),
        # The clock went back behind what was answered: nothing is due until it has caught up.
        ("* * * * *", "UTC", "2026-06-02T12:00", "2026-06-02T11:00", None),
        # The gap: from its end on, and once for all that fell in it.
        ("30 2 * * *", PARIS, "2026-03-28T12:00", "2026-03-29T00:59:59", None),
        ("30 2 * * *", PARIS, "2026-03-28T12:00", "2026-03-29T01:00", "2026-03-29T01:00"),
        ("0,30 2 * * *", PARIS, "2026-03-28T12:00", "2026-03-29T01:20", "2026-03-29T01:00"),
        ("0,30 2 * * *", PARIS, "2026-03-29T01:00", "2026-03-29T12:00", None),
        ("*/15 2 * * *", PARIS, "2026-03-28T12:00", "2026-03-29T12:00", None),
        # The doubled hour: the first only, whenever one looks; or both, by elapsed time.
        ("30 2 * * *", PARIS, "2026-10-24T12:00", "2026-10-25T00:45", "2026-10-25T00:30"),
        ("30 2 * * *", PARIS, "2026-10-24T12:00", "2026-10-25T01:15", "2026-10-25T00:30"),
        ("30 2 * * *", PARIS, "2026-10-24T12:00", "2026-10-25T02:00", "2026-10-25T00:30"),
        ("30 2 * * *", PARIS, "2026-10-25T00:30", "2026-10-25T12:00", None),
        ("*/30 2 * * *", PARIS, "2026-10-24T12:00", "2026-10-25T00:59", "2026-10-25T00:30"),
        ("*/30 2 * * *", PARIS, "2026-10-24T12:00", "2026-10-25T01:29", "2026-10-25T01:00"),
        ("*/30 2 * * *", PARIS, "2026-10-24T12:00", "2026-10-25T12:00", "2026-10-25T01:30"),
        # A day left out.
        ("0 2 * * *", "Pacific/Apia", "2011-12-29T12:00", "2011-12-30T10:00", "2011-12-30T10:00"),
        # Rare dates.
        ("0 0 29 2 *", "UTC", "2024-02-29T00:00", "2028-02-28T23:59", None),
        ("0 0 29 2 *", "UTC", "2020-01-01T00:00", "2027-12-31T00:00", "2024-02-29T00:00"),
        # The ends of the calendar.
        ("0 0 29 2 *", "UTC", "0001-01-01T00:00", "9999-12-31T00:00", "2996-02-29T00:00"),
        ("* * * * *", "UTC", "0001-01-01T00:00", "0001-01-02T00:00", None),
    ],
)
def test_due(line: str, zone: str, since: str, now: str, expected: str | None) -> None:
    assert due(Crontab.parse(line), zone, utc(since), utc(now)) == (utc(expected) if expected else None)


@settings(deadline=None, max_examples=200)
@given(lines(), places(), st.integers(0, 3 * 24 * 60 * 60))
def test_due_and_next_are_those_of_a_walk_through_every_minute(
    line: Line, place: tuple[str, datetime], seconds: int
) -> None:
    try:
        crontab = Crontab.parse(line.text)
    except Invalid:
        return  # a date that never comes; tests/test_crontab.py looks at those
    zone, since = place
    since -= timedelta(seconds=seconds % 61)
    now = since + timedelta(seconds=seconds)
    came = list(walk(line, zone, since, now))
    assert due(crontab, zone, since, now) == (came[-1] if came else None)
    following = next_moment(crontab, zone, since)
    if came:
        assert following == came[0]
    else:
        assert following is None or following > now


@pytest.mark.parametrize("line", ["30 2 * * *", "*/20 * * * *", "0,30 1-3 * * *", "*/10 2 * * *"])
@pytest.mark.parametrize("start", ["2026-03-28T20:00", "2026-10-24T20:00"])
def test_one_who_looks_every_few_minutes_misses_nothing_and_doubles_nothing(line: str, start: str) -> None:
    """The engine's loop: what was due is answered, and the next look begins there."""
    crontab = Crontab.parse(line)
    since = now = utc(start)
    answered = []
    while now < utc(start) + timedelta(hours=12):
        now += timedelta(minutes=7, seconds=13)
        moment = due(crontab, PARIS, since, now)
        if moment is not None:
            assert moment <= now
            answered.append(since := moment)
    assert answered == list(moments(crontab, PARIS, utc(start), now))


@pytest.mark.parametrize(
    "line",
    ["* * * * *", "*/5 2 * * *", "0 2 * * *", "* * * 1 *", "0 0 29 2 *", "0 0 29 2 */7", "* * 29 2 */7", "@yearly"],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Paris", "Australia/Lord_Howe"])
def test_a_long_outage_costs_no_more_than_a_short_one(line: str, zone: str) -> None:
    """It takes milliseconds, where a walk through the years takes minutes; the bound leaves room for a slow machine."""
    crontab, now = Crontab.parse(line), utc("2026-12-31T12:00")
    due(crontab, zone, now - MINUTE, now)  # the first call imports croniter
    spent = []
    for years in (10, 100):
        started = time.process_time()
        due(crontab, zone, now - years * timedelta(days=365), now)
        next_moment(crontab, zone, now)
        spent.append(time.process_time() - started)
    assert max(spent) < 0.25


def test_naive_times_and_unknown_zones_are_refused() -> None:
    crontab, moment = Crontab.parse("0 2 * * *"), utc("2026-01-01")
    naive = moment.replace(tzinfo=None)
    with pytest.raises(Invalid, match="has no time zone"):
        next_moment(crontab, "UTC", naive)
    with pytest.raises(Invalid, match="has no time zone"):
        due(crontab, "UTC", naive, moment)
    with pytest.raises(Invalid, match="has no time zone"):
        due(crontab, "UTC", moment, naive)
    with pytest.raises(Invalid, match="did you mean 'Europe/Paris'"):
        next_moment(crontab, "Europe/Parsi", moment)
    with pytest.raises(Invalid, match="did you mean 'Europe/Paris'"):
        due(crontab, "Europe/Parsi", moment, moment)


def test_answers_are_utc() -> None:
    crontab, now = Crontab.parse("0 2 * * *"), datetime(2026, 6, 1, 12, tzinfo=ZoneInfo(PARIS))
    latest, following = due(crontab, PARIS, now - timedelta(days=2), now), next_moment(crontab, PARIS, now)
    assert latest == utc("2026-06-01")
    assert following == utc("2026-06-02")
    assert latest.tzinfo is UTC
    assert following.tzinfo is UTC


def test_a_zone_is_checked_by_the_same_rule_wherever_it_is_asked_for() -> None:
    assert validate_timezone(PARIS).key == PARIS
    with pytest.raises(Invalid, match="did you mean 'Europe/Paris'"):
        validate_timezone("Europe/Parsi")
