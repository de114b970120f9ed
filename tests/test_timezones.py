"""Zone names and the wall clock: gaps, doubled hours, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from cyborglib.errors import Invalid
from cyborglib.timezones import (
    first_reached,
    highest_so_far,
    lowest_ahead,
    shown_at,
    validate_timezone,
    wall_time,
)
from tests.cronwalk import utc, wall


@pytest.mark.parametrize("name", ["UTC", "Europe/Paris", "Australia/Lord_Howe", "America/Argentina/Ushuaia"])
def test_known_names(name: str) -> None:
    assert validate_timezone(name) == ZoneInfo(name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("Europe/Pariss", "'Europe/Paris'"),
        ("europe/paris", "'Europe/Paris'"),
        ("Paris", "'Europe/Paris'"),
        ("New York", "'America/New_York'"),
        ("America/NewYork", "'America/New_York'"),
        ("utc", "'UTC'"),
        # Folders, files that are no zones, paths, and what is a zone on this machine only.
        ("Europe", "'Europe/"),
        ("zone.tab", "use a name"),
        ("localtime", "use a name"),
        ("right/Europe/Paris", "Europe/Paris"),
        ("posix/Europe/Paris", "Europe/Paris"),
        ("../zoneinfo/UTC", "use a name"),
        ("Europe/../Europe/Paris", "Europe/Paris"),
        ("/etc/localtime", "use a name"),
        ("UTC\0", "'UTC'"),
        ("x" * 5000, "use a name"),
        ("", "use a name"),
        # Etc/GMT+2 would be two hours *behind*.
        ("GMT+2", "use a name"),
        ("+02:00", "use a name"),
    ],
)
def test_unknown_names_are_refused_with_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(Invalid, match="time zone") as caught:
        validate_timezone(name)
    message = str(caught.value)
    assert repr(name[:100]) in message
    assert hint in message.partition(";")[2]
    assert "GMT+" not in message.partition(";")[2]
    assert len(message) < 300


@pytest.mark.parametrize("name", [None, 0, b"UTC", ZoneInfo("UTC")])
def test_what_is_no_text_is_refused(name: object) -> None:
    with pytest.raises(Invalid, match="is a name like 'Europe/Paris'"):
        validate_timezone(name)


@pytest.mark.parametrize(
    ("zone", "time", "shown", "reached"),
    [
        # An ordinary time.
        ("Europe/Paris", "2026-07-01T12:00", ["2026-07-01T10:00"], "2026-07-01T10:00"),
        # A gap of an hour, of half an hour, of two, at midnight, of a day.
        ("Europe/Paris", "2026-03-29T02:00", [], "2026-03-29T01:00"),
        ("Europe/Paris", "2026-03-29T02:59", [], "2026-03-29T01:00"),
        ("Europe/Paris", "2026-03-29T03:00", ["2026-03-29T01:00"], "2026-03-29T01:00"),
        ("Australia/Lord_Howe", "2026-10-04T02:15", [], "2026-10-03T15:30"),
        ("Antarctica/Troll", "2026-03-29T01:30", [], "2026-03-29T01:00"),
        ("America/Sao_Paulo", "2018-11-04T00:00", [], "2018-11-04T03:00"),
        ("Pacific/Apia", "2011-12-30T15:00", [], "2011-12-30T10:00"),
        # Doubled hours: an hour, half an hour, around midnight.
        ("Europe/Paris", "2026-10-25T02:30", ["2026-10-25T00:30", "2026-10-25T01:30"], "2026-10-25T00:30"),
        ("Australia/Lord_Howe", "2026-04-05T01:45", ["2026-04-04T14:45", "2026-04-04T15:15"], "2026-04-04T14:45"),
        ("America/Sao_Paulo", "2018-02-17T23:10", ["2018-02-18T01:10", "2018-02-18T02:10"], "2018-02-18T01:10"),
        # A gap that ends between two minutes.
        ("Africa/Monrovia", "1972-01-07T00:20", [], "1972-01-07T00:44:30"),
    ],
)
def test_when_a_clock_shows_a_time(zone: str, time: str, shown: list[str], reached: str) -> None:
    info = ZoneInfo(zone)
    assert shown_at(info, wall(time)) == tuple(utc(one) for one in shown)
    assert first_reached(info, wall(time)) == utc(reached)


def test_bounds_around_a_doubled_hour() -> None:
    paris = ZoneInfo("Europe/Paris")
    start = utc("2026-10-24T23:30")
    shown = [wall_time(paris, start + timedelta(minutes=5 * n)) for n in range(37)]
    for n in range(37):
        instant = start + timedelta(minutes=5 * n)
        assert min(shown[n:]) - timedelta(hours=1) <= lowest_ahead(paris, instant) <= min(shown[n:])
        assert max(shown[: n + 1]) <= highest_so_far(paris, instant) <= max(shown[: n + 1]) + timedelta(hours=1)
    assert lowest_ahead(paris, utc("2026-10-24T23:59")) == wall("2026-10-25T01:59")
    assert highest_so_far(paris, utc("2026-10-25T02:00")) == wall("2026-10-25T03:00")
