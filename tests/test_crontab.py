"""Crontab lines: what is taken and refused, and the moments they stand for, against a walk minute by minute."""

from __future__ import annotations

import pickle
import re
from calendar import isleap
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from cyborglib.crontab import Crontab, moments
from cyborglib.errors import Invalid
from tests.cronwalk import MINUTE, Line, lines, places, utc, walk, wall


def within(line: str, zone: str, after: str, until: str) -> list[str]:
    """The moments of a line as texts in UTC."""
    found = moments(Crontab.parse(line), zone, utc(after), utc(until))
    return [f"{moment:%Y-%m-%d %H:%M}" for moment in found]


# --- What is taken and what is refused ---


@pytest.mark.parametrize(
    ("line", "same_as"),
    [
        ("@hourly", "0 * * * *"),
        ("@daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * sun"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 jan *"),
        ("@annually", "0 0 1 1 *"),
        ("0 0 * JAN,dec Mon-FRI", "0 0 * 1,12 1-5"),
        ("00 05 01 01 *", "0 5 1 1 *"),
        ("0 0 * * 7", "0 0 * * 0"),
        ("0 0 * * fri-sun", "0 0 * * 0,5,6"),
        ("0 0 * * 5-7", "0 0 * * 0,5,6"),
        ("0 0 * * 0-7", "0 0 * * *"),
        ("*/15 8-18/5 * * *", "0,15,30,45 8,13,18 * * *"),
        ("1-5,3-7,*/30 0 * * *", "0-7,30 0 * * *"),
        ("0 0 1-31/10 * *", "0 0 1,11,21,31 * *"),
        # Either kind of day is enough; every day or weekday is then always enough.
        ("0 0 1-31 * mon", "0 0 * * *"),
        ("0 0 13 * 0-6", "0 0 * * *"),
        ("0 0 30 feb mon", "0 0 * feb mon"),
    ],
)
def test_lines_that_mean_the_same(line: str, same_as: str) -> None:
    start = wall("2026-01-01")
    one = islice(Crontab.parse(line).wall_times(start), 400)
    two = islice(Crontab.parse(same_as).wall_times(start), 400)
    assert list(one) == list(two)


RANGES = {
    "minute": "0 to 59",
    "hour": "0 to 23",
    "day of month": "1 to 31",
    "month": "1 to 12 or jan",
    "day of week": "0 to 7 or sun",
}


@pytest.mark.parametrize(
    ("line", "field", "text", "problem"),
    [
        ("60 * * * *", "minute", "60", "60 is out of range"),
        ("-1 * * * *", "minute", "-1", "a number is missing"),
        ("*/0 * * * *", "minute", "*/0", "the step '0' is not a number from 1 to 59"),
        ("*/90 * * * *", "minute", "*/90", "the step '90'"),
        ("*/ * * * *", "minute", "*/", "the step ''"),
        ("*/5/5 * * * *", "minute", "*/5/5", "the step '5/5'"),
        ("*5 * * * *", "minute", "*5", "'*5' is not a number"),
        ("*-5 * * * *", "minute", "*-5", "'*' is not a number"),
        ("5/15 * * * *", "minute", "5/15", "write '5-59/15' or '*/15'"),
        ("1.5 * * * *", "minute", "1.5", "'1.5' is not a number"),
        ("H * * * *", "minute", "H", "'H' is not a number"),
        ("R * * * *", "minute", "R", "'R' is not a number"),
        ("R(0-9) * * * *", "minute", "R(0-9)", "'R(0' is not a number"),
        ("H/15 * * * *", "minute", "H/15", "'H' is not a number"),
        ("1,,2 * * * *", "minute", "1,,2", "a number is missing"),
        ("jan * * * *", "minute", "jan", "'jan' is not a number"),
        ("\u0665 * * * *", "minute", "\u0665", "is not a number"),
        ("\u00b2 * * * *", "minute", "\u00b2", "is not a number"),
        ("9999999999 * * * *", "minute", "9999999999", "is not a number"),
        ("0 24 * * *", "hour", "24", "24 is out of range"),
        ("0 25 * * *", "hour", "25", "25 is out of range"),
        ("0 22-2 * * *", "hour", "22-2", "write '22-23,0-2'"),
        ("0 1-2-3 * * *", "hour", "1-2-3", "'2-3' is not a number"),
        ("0 2am * * *", "hour", "2am", "'2am' is not a number"),
        ("0 0 0 * *", "day of month", "0", "0 is out of range"),
        ("0 0 32 * *", "day of month", "32", "32 is out of range"),
        ("0 0 L * *", "day of month", "L", "'L' is not a number"),
        ("0 0 15W * *", "day of month", "15W", "'15W' is not a number"),
        ("0 0 LW * *", "day of month", "LW", "'LW' is not a number"),
        ("0 0 ? * *", "day of month", "?", "'?' is not a number"),
        ("0 0 * 0 *", "month", "0", "0 is out of range"),
        ("0 0 * 13 *", "month", "13", "13 is out of range"),
        ("0 0 * january *", "month", "january", "neither a number nor a name"),
        ("0 0 * mon *", "month", "mon", "neither a number nor a name"),
        ("0 0 * dec-feb *", "month", "dec-feb", "write '12-12,1-2'"),
        ("0 0 * * 8", "day of week", "8", "8 is out of range"),
        ("0 0 * * monday", "day of week", "monday", "neither a number nor a name"),
        ("0 0 * * mon#2", "day of week", "mon#2", "neither a number nor a name"),
        ("0 0 * * L5", "day of week", "L5", "neither a number nor a name"),
        ("0 0 * * 5L", "day of week", "5L", "neither a number nor a name"),
        ("0 0 * * ?", "day of week", "?", "neither a number nor a name"),
        ("0 0 * * sat-mon", "day of week", "sat-mon", "runs backwards"),
        ("0 0 * * sun-", "day of week", "sun-", "a number is missing"),
    ],
)
def test_a_refusal_names_the_field_what_is_wrong_and_what_it_takes(
    line: str, field: str, text: str, problem: str
) -> None:
    with pytest.raises(Invalid) as caught:
        Crontab.parse(line)
    message = str(caught.value)
    assert message.startswith(f"the {field} field {text!r} of the crontab {line!r} ")
    assert problem in message
    assert f"The {field} is {RANGES[field]}" in message
    example = re.search("for example '([^']+)'$", message)
    assert example is not None
    fields = ["*"] * 5
    fields[list(RANGES).index(field)] = example[1]
    Crontab.parse(" ".join(fields))


@pytest.mark.parametrize(
    ("line", "days"),
    [
        ("0 0 31 2 *", 29),
        ("0 0 30 2 *", 29),
        ("0 0 30,31 feb *", 29),
        ("0 0 31 4,6,9,11 *", 30),
        ("0 0 31 2-11/9,4 */2", 30),
        ("*/5 * 31 jun */7", 30),
    ],
)
def test_dates_that_never_come_are_refused(line: str, days: int) -> None:
    with pytest.raises(Invalid, match=f"the day of month field .* never comes: the month field .* than {days} days"):
        Crontab.parse(line)


@pytest.mark.parametrize("line", ["0 0 29 2 *", "0 0 30 2 mon", "0 0 31 4,5 *", "0 0 31 * *", "0 0 */31 2 *"])
def test_dates_that_come_at_least_sometimes_are_taken(line: str) -> None:
    assert next(Crontab.parse(line).wall_times(wall("2026-01-01"))).year < 2030


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "has 0 fields, not five: minute, hour, day of month, month, day of week"),
        ("   \n", "has 0 fields, not five"),
        ("0 2 * *", "has 4 fields, not five"),
        ("0 0 2 * * *", "has 6 fields, not five: .*no seconds, no years"),
        ("0 2 * * * 2026", "has 6 fields, not five"),
        ("0 0 2 * * * *", "has 7 fields, not five"),
        ("@reboot", "'@reboot' is not known; use one of @hourly @daily"),
        ("@", "'@' is not known"),
        ("@every 5m", "is not known"),
        ("0 2\n* * *", "has 4 fields"),
        ("0\u00a02\u00a0*\u00a0*\u00a0*", "has 1 fields"),
        ("x" * 100_000, "has 1 fields"),
        ("0 0 30" + ",30" * 10_000 + " 2 *", "never comes"),
        ("0" + ",0" * 10_000 + ",60 * * * *", "60 is out of range"),
        (None, "a crontab is a text like '30 2 \\* \\* \\*', not NoneType"),
        (b"0 2 * * *", "a crontab is a text"),
    ],
)
def test_what_is_no_line_is_refused(line: object, message: str) -> None:
    with pytest.raises(Invalid, match=message) as caught:
        Crontab.parse(line)
    assert len(str(caught.value)) < 500


@given(st.text(alphabet="0123456789*,-/ @#?LWHRjanmonfri\t", max_size=30) | st.text(max_size=30))
def test_any_text_is_either_a_line_or_invalid(text: str) -> None:
    try:
        crontab = Crontab.parse(text)
    except Invalid:
        return  # any other error fails the test
    assert Crontab.parse(crontab.text) == crontab
    next(crontab.wall_times(wall("2026-01-01")))


def test_a_line_is_a_value() -> None:
    line = Crontab.parse("  30\t2  * * mon-fri\n")
    assert line.text == str(line) == "30 2 * * mon-fri"
    assert repr(line) == "Crontab(text='30 2 * * mon-fri')"
    assert line == Crontab.parse("30 2 * * mon-fri") == pickle.loads(pickle.dumps(line)) == evolve(line)
    assert line != Crontab.parse("30 2 * * 1-5")
    assert len({line, Crontab.parse("30 2 * * mon-fri")}) == 1
    with pytest.raises(AttributeError):
        line.text = "0 0 * * *"  # type: ignore[misc]


# --- Days ---


@pytest.mark.parametrize(
    ("line", "days"),
    [
        # Both restricted: either. June 2026 begins on a Monday; Fridays are 5, 12, 19, 26.
        ("0 0 13 6 fri", [5, 12, 13, 19, 26]),
        ("0 0 1,15 6 0", [1, 7, 14, 15, 21, 28]),
        # One of them begins with *: both.
        ("0 0 */2 6 fri", [5, 19]),
        ("0 0 13-19 6 */7", [14]),
        ("0 0 * 6 fri", [5, 12, 19, 26]),
        ("0 0 13 6 *", [13]),
        ("0 0 31 6 fri", [5, 12, 19, 26]),
    ],
)
def test_day_of_month_and_day_of_week(line: str, days: list[int]) -> None:
    found = moments(Crontab.parse(line), "UTC", utc("2026-05-31T12:00"), utc("2026-07-01T00:00") - MINUTE)
    assert [(moment.month, moment.day) for moment in found] == [(6, day) for day in days]


@pytest.mark.parametrize("weekday", range(7))
def test_29_february_on_one_weekday_comes_over_the_centuries(weekday: int) -> None:
    """The rarest of all dates: up to 40 years apart. `*/7` is Sunday, and begins with `*`: both must hold."""
    line = Crontab.parse(f"0 0 */28 2 {weekday}")  # the 1st and the 29th
    expected = [
        wall(f"{year}-02-{day:02}")
        for year in range(1900, 3000)
        for day in (1, 29)
        if (day == 1 or isleap(year)) and date(year, 2, day).isoweekday() % 7 == weekday
    ]
    assert list(line.wall_times(wall("1900-01-01"))) == expected
    assert list(line.wall_times(wall("2999-12-31"), backwards=True)) == expected[::-1]
    if weekday == 0:
        leap = [wall for wall in expected if wall.day == 29]
        assert list(Crontab.parse("0 0 29 2 */7").wall_times(wall("1900-01-01"))) == leap
        assert list(Crontab.parse("0 0 29 2 */7").wall_times(wall("2999-12-31"), backwards=True)) == leap[::-1]


def test_the_calendar_ends() -> None:
    line = Crontab.parse("0 0 29 2 *")
    assert list(line.wall_times(wall("9999-12-31T23:59:59"))) == []
    assert list(line.wall_times(wall("0001-01-01"), backwards=True)) == []
    assert next(line.wall_times(wall("0001-01-01"))) == wall("1904-02-29")
    assert next(line.wall_times(wall("9999-12-31T23:59:59"), backwards=True)) == wall("2996-02-29")
    everything = moments(line, "America/New_York", utc("0001-01-01"), utc("9999-12-31T23:59"))
    assert len(list(everything)) == 267


def test_wall_times_leave_out_the_start_going_on_and_take_it_going_back() -> None:
    line = Crontab.parse("*/10 * * * *")
    for start, after, before in [
        ("12:10", "12:20", "12:10"),
        ("12:10:30", "12:20", "12:10"),
        ("12:09:59", "12:10", "12:00"),
    ]:
        moment = datetime.fromisoformat(f"2026-06-01T{start}")
        assert next(line.wall_times(moment)) == datetime.fromisoformat(f"2026-06-01T{after}")
        assert next(line.wall_times(moment, backwards=True)) == datetime.fromisoformat(f"2026-06-01T{before}")


# --- Changes of the clocks ---


@pytest.mark.parametrize(
    ("line", "zone", "after", "until", "expected"),
    [
        # Paris, spring: 02:00 to 03:00 on 29 March 2026 do not exist; the gap ends at 01:00 UTC.
        (
            "30 2 * * *",
            "Europe/Paris",
            "2026-03-28T12:00",
            "2026-03-30T12:00",
            ["2026-03-29 01:00", "2026-03-30 00:30"],
        ),
        ("0,30 2 * * *", "Europe/Paris", "2026-03-28T12:00", "2026-03-29T12:00", ["2026-03-29 01:00"]),
        ("0 2,3 * * *", "Europe/Paris", "2026-03-28T12:00", "2026-03-29T12:00", ["2026-03-29 01:00"]),
        (
            "30 1,2,3 * * *",
            "Europe/Paris",
            "2026-03-28T12:00",
            "2026-03-29T12:00",
            ["2026-03-29 00:30", "2026-03-29 01:00", "2026-03-29 01:30"],
        ),
        (
            "*/30 1-3 * * *",
            "Europe/Paris",
            "2026-03-28T12:00",
            "2026-03-29T12:00",
            ["2026-03-29 00:00", "2026-03-29 00:30", "2026-03-29 01:00", "2026-03-29 01:30"],
        ),
        (
            "30 */2 * * *",
            "Europe/Paris",
            "2026-03-28T22:00",
            "2026-03-29T04:00",
            ["2026-03-28 23:30", "2026-03-29 02:30"],
        ),
        (
            "*/20 2 29 3 *",
            "Europe/Paris",
            "2026-01-01T00:00",
            "2027-12-31T00:00",
            ["2027-03-29 00:00", "2027-03-29 00:20", "2027-03-29 00:40"],
        ),
        # Paris, autumn: 02:00 to 03:00 on 25 October 2026 come twice, from 00:00 and from 01:00 UTC.
        (
            "30 2 * * *",
            "Europe/Paris",
            "2026-10-24T12:00",
            "2026-10-26T12:00",
            ["2026-10-25 00:30", "2026-10-26 01:30"],
        ),
        (
            "0,30 2,3 * * *",
            "Europe/Paris",
            "2026-10-24T12:00",
            "2026-10-25T12:00",
            ["2026-10-25 00:00", "2026-10-25 00:30", "2026-10-25 02:00", "2026-10-25 02:30"],
        ),
        (
            "*/30 2 * * *",
            "Europe/Paris",
            "2026-10-24T12:00",
            "2026-10-25T12:00",
            ["2026-10-25 00:00", "2026-10-25 00:30", "2026-10-25 01:00", "2026-10-25 01:30"],
        ),
        (
            "30 * * * *",
            "Europe/Paris",
            "2026-10-24T23:00",
            "2026-10-25T03:00",
            ["2026-10-24 23:30", "2026-10-25 00:30", "2026-10-25 01:30", "2026-10-25 02:30"],
        ),
        ("30 2 * * *", "Europe/Paris", "2026-10-25T00:30", "2026-10-25T12:00", []),
        ("30 2 * * *", "Europe/Paris", "2026-10-25T00:45", "2026-10-25T12:00", []),
        # New York: the gap at 07:00 UTC on 8 March 2026, the doubled hour from 05:00 UTC on 1 November.
        (
            "30 2 * * *",
            "America/New_York",
            "2026-03-07T12:00",
            "2026-03-09T12:00",
            ["2026-03-08 07:00", "2026-03-09 06:30"],
        ),
        (
            "@daily",
            "America/New_York",
            "2026-03-07T12:00",
            "2026-03-09T12:00",
            ["2026-03-08 05:00", "2026-03-09 04:00"],
        ),
        (
            "30 1 * * *",
            "America/New_York",
            "2026-10-31T12:00",
            "2026-11-02T12:00",
            ["2026-11-01 05:30", "2026-11-02 06:30"],
        ),
        (
            "@hourly",
            "America/New_York",
            "2026-11-01T04:30",
            "2026-11-01T07:30",
            ["2026-11-01 05:00", "2026-11-01 06:00", "2026-11-01 07:00"],
        ),
        # Lord Howe, half an hour: the gap 02:00-02:30 at 15:30 UTC on 3 October 2026, 01:30-02:00 doubled on 4 April.
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00",
            "2026-10-05T00:00",
            ["2026-10-03 15:30", "2026-10-04 15:15"],
        ),
        ("45 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00", "2026-10-04T00:00", ["2026-10-03 15:45"]),
        (
            "45 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T00:00",
            "2026-04-05T20:00",
            ["2026-04-04 14:45", "2026-04-05 15:15"],
        ),
        (
            "*/15 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T14:00",
            "2026-04-04T15:59",
            ["2026-04-04 14:15", "2026-04-04 14:30", "2026-04-04 14:45", "2026-04-04 15:00", "2026-04-04 15:15"],
        ),
        # Apia left out 30 December 2011, from 10:00 UTC on.
        (
            "0 2 * * *",
            "Pacific/Apia",
            "2011-12-29T00:00",
            "2012-01-01T00:00",
            ["2011-12-29 12:00", "2011-12-30 10:00", "2011-12-30 12:00", "2011-12-31 12:00"],
        ),
        (
            "0 * * * *",
            "Pacific/Apia",
            "2011-12-30T08:00",
            "2011-12-30T11:00",
            ["2011-12-30 09:00", "2011-12-30 10:00", "2011-12-30 11:00"],
        ),
        (
            "0 9 30 12 *",
            "Pacific/Apia",
            "2011-01-01T00:00",
            "2012-12-31T00:00",
            ["2011-12-30 10:00", "2012-12-29 19:00"],
        ),
        # Gaps at midnight: Sao Paulo on 4 November 2018, Beirut on 29 March 2026.
        (
            "@daily",
            "America/Sao_Paulo",
            "2018-11-03T12:00",
            "2018-11-05T12:00",
            ["2018-11-04 03:00", "2018-11-05 02:00"],
        ),
        ("@weekly", "America/Sao_Paulo", "2018-11-01T00:00", "2018-11-10T00:00", ["2018-11-04 03:00"]),
        ("15 0 * * *", "Asia/Beirut", "2026-03-28T00:00", "2026-03-29T12:00", ["2026-03-28 22:00"]),
        # A doubled hour before midnight: Sao Paulo had 23:00-24:00 on 17 February 2018 twice, from 01:00 UTC.
        (
            "30 23 * * *",
            "America/Sao_Paulo",
            "2018-02-17T12:00",
            "2018-02-19T12:00",
            ["2018-02-18 01:30", "2018-02-19 02:30"],
        ),
        ("@daily", "America/Sao_Paulo", "2018-02-17T12:00", "2018-02-18T12:00", ["2018-02-18 03:00"]),
        # One after midnight: Havana has 00:00-01:00 on 1 November 2026 twice, from 04:00 UTC.
        ("@daily", "America/Havana", "2026-10-31T12:00", "2026-11-02T12:00", ["2026-11-01 04:00", "2026-11-02 05:00"]),
        # No change at all.
        ("30 2 * * *", "UTC", "2026-10-24T12:00", "2026-10-26T12:00", ["2026-10-25 02:30", "2026-10-26 02:30"]),
        ("0 0 * * *", "Asia/Kathmandu", "2026-10-24T12:00", "2026-10-25T12:00", ["2026-10-24 18:15"]),
    ],
)
def test_changes_of_the_clocks(line: str, zone: str, after: str, until: str, expected: list[str]) -> None:
    assert within(line, zone, after, until) == expected


def test_the_ends_of_the_range() -> None:
    assert within("0 2 * * *", "UTC", "2026-01-01T02:00", "2026-01-03T02:00") == [
        "2026-01-02 02:00",
        "2026-01-03 02:00",
    ]
    assert within("0 2 * * *", "UTC", "2026-01-01T01:59:59", "2026-01-01T02:00:01") == ["2026-01-01 02:00"]
    assert within("0 2 * * *", "UTC", "2026-01-03T00:00", "2026-01-01T00:00") == []


def test_any_aware_time_will_do_and_a_naive_one_is_refused_at_once() -> None:
    line, paris = Crontab.parse("0 2 * * *"), ZoneInfo("Europe/Paris")
    found = list(moments(line, "UTC", datetime(2026, 1, 1, tzinfo=paris), datetime(2026, 1, 2, tzinfo=paris)))
    assert found == [utc("2026-01-01T02:00")]
    assert found[0].tzinfo is UTC
    with pytest.raises(Invalid, match="has no time zone"):
        moments(line, "UTC", wall("2026-01-01"), utc("2026-01-02"))
    with pytest.raises(Invalid, match="has no time zone"):
        moments(line, "UTC", utc("2026-01-02"), wall("2026-01-01"))
    with pytest.raises(Invalid, match="did you mean 'Europe/Paris'"):
        moments(line, "Europe/Pariss", utc("2026-01-01"), utc("2026-01-02"))


# --- Against a walk through every minute ---


@settings(deadline=None, max_examples=200)
@given(lines(), places(), st.integers(0, 3 * 24 * 60 * 60))
def test_moments_are_those_of_a_walk_through_every_minute(
    line: Line, place: tuple[str, datetime], seconds: int
) -> None:
    zone, after = place
    after -= timedelta(seconds=seconds % 61)
    until = after + timedelta(seconds=seconds)
    try:
        crontab = Crontab.parse(line.text)
    except Invalid:
        # Refused as never coming, and rightly: 2024 has every date.
        times = [wall("2024-01-01") + timedelta(days=n) for n in range(366)]
        minute, hour = min(line.minutes), min(line.hours)
        assert not any(line.names(time.replace(hour=hour, minute=minute)) for time in times)
        return
    assert list(moments(crontab, zone, after, until)) == list(walk(line, zone, after, until))
