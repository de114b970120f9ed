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


def made(number: int, **fields: object) -> cy.Archive:
    values: dict[str, object] = {"files": 3, "recorded_at": NOON + number * DAY} | fields
    return cy.Archive(name=f"a{number}", borg_id=f"{number:064x}", vault=5, policy=9, client=3, id=number, **values)  # type: ignore[arg-type]


parts_of = st.sampled_from(["", "shop", "wiki"])
histories = st.lists(
    st.builds(
        lambda part, proved, doubtful, gone, files: {
            "part": part,
            "proved_at": NOON + (40 + proved) * DAY if proved else None,
            "doubtful": "a drop" if doubtful else "",
            **({gone: NOON} if gone.endswith("_at") else {"foreign": gone == "foreign"}),
            "files": files,
        },
        parts_of,
        st.integers(0, 9),
        st.booleans(),
        st.sampled_from(["", "", "", "pruned_at", "missing_at", "foreign"]),
        st.sampled_from([0, 3, 3, 3]),
    ),
    max_size=12,
)


@given(histories)
def test_a_drill_takes_what_is_most_at_risk(history):
    archives = [made(number, **fields) for number, fields in enumerate(history, 1)]
    found = proving.choose(archives)
    usable = [one for one in archives if one.files and not (one.pruned_at or one.missing_at or one.foreign)]
    assert set(found) <= set(usable)
    doubtful = [one for one in usable if one.doubtful and not one.proved_at]
    assert [one for one in found if one.doubtful] == doubtful[-1:]
    sound = [one for one in usable if not one.doubtful]
    regular = [one for one in found if not one.doubtful]
    assert len(regular) == min(1, len(sound))
    for one in regular:
        proofs = [(a.part, a.proved_at) for a in usable if a.proved_at]
        last = {part: max((at for of, at in proofs if of == part), default=None) for part in PARTS}
        # No other part with a sound archive waits longer for its proof.
        for other in {a.part for a in sound} - {one.part}:
            assert last[one.part] is None or (last[other] is not None and last[other] >= last[one.part])
        same = [a for a in sound if a.part == one.part]
        if any(a.proved_at is None for a in same):
            assert one == max((a for a in same if a.proved_at is None), key=lambda a: a.recorded_at)
        else:
            assert one.proved_at == min(a.proved_at for a in same)
    assert proving.choose(reversed(archives)) == found


PARTS = ("", "shop", "wiki")


def test_in_the_end_every_database_is_proved():
    """Five databases, a backup a day, a drill a week: each comes once in five weeks."""
    archives, proved = [], []
    for day in range(70):
        archives += [made(day * 5 + n, part=f"db{n}", recorded_at=NOON + day * DAY) for n in range(1, 6)]
        if day % 7 == 6:
            [one] = proving.choose(archives)
            assert one.recorded_at == NOON + day * DAY, "the newest"
            archives[archives.index(one)] = evolve(one, proved_at=NOON + day * DAY + timedelta(hours=1))
            proved.append(one.part)
    assert sorted(proved[:5]) == sorted(proved[5:]) == ["db1", "db2", "db3", "db4", "db5"]


@given(st.integers(1, 10**4), st.integers(1, 60), st.sets(st.integers(1, 10**5), min_size=1, max_size=20), moments)
def test_each_client_is_drilled_once_in_its_days(number, days, clients, begin):
    policy = cy.Policy("etc", "config", repository=1, clients=sorted(clients), id=number, drill={"days": days})
    since, now, seen = begin, begin, Counter()
    while now < begin + 3 * days * DAY:
        now = proving.next_drill(policy, now)
        seen.update(proving.drilled(policy, since, now))
        since = now
    assert set(seen) == clients
    assert set(seen.values()) <= {3, 4}
    # A long outage brings each of them once.
    assert sorted(proving.drilled(policy, begin, begin + 1000 * DAY)) == sorted(clients)
    off = evolve(policy, drill={"days": 0})
    assert proving.drilled(off, begin, now) == []
    assert proving.next_drill(off, begin) == begin + DAY
