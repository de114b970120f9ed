"""Whose turn it is, and when: pure, over made-up fleets and calendars."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import cyborglib as cy
from cyborglib import proving
from cyborglib.proving import DAY

BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
moments = st.integers(0, 40 * 366 * 86400).map(lambda seconds: BEGIN + timedelta(seconds=seconds))
numbers = st.integers(0, 10**6)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
VAULT = cy.Vault(1, 3, "ssh://borg@nas/srv/web1", id=5, ready=True, prepared_at=NOON)


@given(numbers, st.integers(1, 400), moments)
def test_a_turn_comes_once_in_its_days(number, days, after):
    found = proving.turn(number, days, after)
    assert timedelta() < found - after <= timedelta(days=days)
    following = proving.turn(number, days, found)
    assert abs((following - found) - timedelta(days=days)) < timedelta(milliseconds=1)
    # Whoever asks meanwhile hears the same.
    assert abs(proving.turn(number, days, found - timedelta(seconds=1)) - found) < timedelta(milliseconds=1)


@given(numbers, st.sampled_from([7, 30, 180]), st.integers(20, 300))
def test_a_fleet_is_spread_over_all_days(first, days, fleet):
    turns = [proving.turn(number, days, NOON) for number in range(first, first + fleet)]
    each = Counter((moment - NOON) // DAY for moment in turns)
    # No day has more than its share, and two for the rounding.
    assert max(each.values()) <= fleet / days + 2


@given(st.integers(1, 10**4), st.integers(0, 40), st.integers(0, 40), st.integers(0, 200), moments)
def test_each_part_comes_once_in_its_days_and_is_tried_daily_until_it_did(number, repository, archives, data, begin):
    """A year of a vault, looked at when it says; all checks take an hour and succeed but for those of one week."""
    settings = cy.Settings(check_repository_days=repository, check_archives_days=archives, check_data_days=data)
    vault = evolve(VAULT, id=number, prepared_at=begin)
    now, done = begin, {part: [begin] for part in proving.PARTS}
    while now < begin + 365 * DAY:
        failing = 100 * DAY < now - begin < 107 * DAY
        for part in proving.due_parts(vault, settings, now):
            if not failing:
                vault = evolve(vault, **{f"{part}_checked_at": now + timedelta(hours=1)})
                done[part].append(now)
        following = proving.look_again(vault, settings, now)
        assert timedelta() < following - now <= DAY
        now = following
    for part, days in (("repository", repository), ("archives", archives), ("data", data)):
        gaps = [after - before for before, after in zip(done[part], done[part][1:], strict=False)]
        if not days:
            assert not gaps
        else:
            assert all(gap <= timedelta(days=days + 9) for gap in gaps)
            assert len(gaps) >= 365 // days - 9


@given(moments)
def test_a_clock_that_was_wrong_keeps_no_vault_from_its_check(now):
    vault = evolve(VAULT, prepared_at=now - 400 * DAY, repository_checked_at=now + 9000 * DAY)
    assert proving.look_again(vault, cy.Settings(), now) <= now + DAY
    due = [day for day in range(40) if "repository" in proving.due_parts(vault, cy.Settings(), now + day * DAY)]
    # As from a check made just now: within its days.
    assert due == [] or due[0] <= 31


def test_what_was_never_checked_waits_for_its_turn_from_when_it_was_made():
    settings = cy.Settings(check_repository_days=30, check_archives_days=0, check_data_days=0)
    assert proving.due_parts(VAULT, settings, NOON) == []
    assert proving.due_parts(VAULT, settings, NOON + 30 * DAY) == ["repository"]
    checked = evolve(VAULT, repository_checked_at=NOON + 30 * DAY)
    assert proving.due_parts(checked, settings, NOON + 30 * DAY) == []


@pytest.mark.parametrize("parts", ["all", [], ["data", "everything"], ""])
def test_other_parts_are_refused(parts):
    with pytest.raises(cy.Invalid, match="name some of repository, archives, data"):
        proving.as_parts(parts)


@given(st.integers(0, 10**15), st.integers(0, 10**12), st.integers(1, 10**7))
def test_a_check_has_time_for_what_lies_there(stored, files, most):
    settings = cy.Settings(check_timeout=most)

    def seconds(part, **asked):
        return proving.timeout(part, settings, **{"seconds": 0, "files": files, "stored": stored} | asked)

    assert seconds("repository", seconds=3600) == min(7200, most)
    assert min(3600, most) <= seconds("archives") <= seconds("data") <= most
    assert seconds("repository") == min(3600 + stored // 5_000_000, most)
