"""What a retention keeps, and that it is what Borg itself would keep."""

from __future__ import annotations

import json
import random
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cyborglib import Archive, Retention
from cyborglib.retention import PERIODS, Verdict, doubted, series, verdicts

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
LETTERS = "abcdefgh"


def archive(number: int, at: datetime, **fields: object) -> Archive:
    made = Archive(
        name=f"a-{number}", borg_id=f"{number:064x}", vault=1, policy=1, client=1, recorded_at=at, confirmed_at=at
    )
    return evolve(made, id=number, **fields)


def daily(count: int, **fields: object) -> list[Archive]:
    """One a day, the newest today; ids grow with time."""
    return [archive(number, NOW - timedelta(days=count - number), **fields) for number in range(1, count + 1)]


def going(found: list[Verdict]) -> list[int | None]:
    return sorted(verdict.archive.id or 0 for verdict in found if not verdict.keep)


# Against Borg


class Oracle:
    """Archives at generated times, each in some of the histories that letters in its name stand for."""

    def __init__(self, folder: Path) -> None:
        chance = random.Random(20261127)
        now = datetime.now(UTC).replace(microsecond=0)
        # Half an hour off the hours at which `within` ends, so that the seconds of the test do not matter.
        hours = {*range(0, 60, 5), *range(60, 24 * 40, 23), *range(24 * 40, 24 * 400, 24 * 9)}
        hours |= {24 * 365 * years + chance.randrange(4000) for years in range(1, 6)}
        self.now = now
        self.archives = {
            f"{''.join(letter for letter in LETTERS if chance.random() < chance.choice((0.1, 0.5, 0.9)))}-{hour}": now
            - timedelta(hours=hour, minutes=30)
            for hour in sorted(hours)
        }
        self._process = subprocess.Popen(
            ["/usr/bin/python3", str(Path(__file__).with_name("borg_prune.py")), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        self._say(json.dumps([(name, at.timestamp()) for name, at in self.archives.items()]))
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def history(self, letter: str) -> list[Archive]:
        ordered = sorted(self.archives.items(), key=lambda pair: pair[1])
        return [
            evolve(archive(number, at), name=name) for number, (name, at) in enumerate(ordered, 1) if letter in name
        ]

    def kept(self, letter: str, retention: Retention, zone: str) -> dict[str, str]:
        """The rule by which Borg keeps each archive of a history, "" for those that it would prune."""
        options = [f"--keep-{rule}={getattr(retention, rule)}" for rule in PERIODS]
        options += [f"--keep-within={retention.within}"] if retention.within else []
        self._say(json.dumps({"glob": f"*{letter}*", "options": options, "zone": zone}))
        assert self._process.stdout is not None
        answer = json.loads(self._process.stdout.readline())
        assert answer["rc"] == 0
        found = {}
        for line in answer["lines"]:
            name = next(word for word in line.split() if word in self.archives)
            rule = re.search(r"\(rule: (.*?)\):", line)
            found[name] = rule[1] if rule else ""
        return found

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oracle]:
    made = Oracle(tmp_path_factory.mktemp("oracle"))
    yield made
    made.close()


COUNTS = st.one_of(st.just(0), st.integers(0, 12), st.integers(0, 100))
RETENTIONS = st.builds(
    Retention, hourly=COUNTS, daily=COUNTS, weekly=COUNTS, monthly=COUNTS, yearly=COUNTS,
    within=st.sampled_from(["", "", "7H", "2d", "3w", "1m", "2y"]),
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    letter=st.sampled_from(LETTERS),
    retention=RETENTIONS,
    zone=st.sampled_from(["UTC", "Europe/Paris", "Pacific/Auckland", "America/St_Johns"]),
)
def test_it_keeps_what_borg_prune_would_keep_and_for_the_same_reason(
    oracle: Oracle, letter: str, retention: Retention, zone: str
) -> None:
    assume(retention != Retention())  # Borg refuses that; ours keeps all.
    history = oracle.history(letter)
    found = verdicts(history, retention, now=oracle.now, timezone=zone, share=1)
    ours = {verdict.archive.name: verdict.rule for verdict in found}
    theirs = oracle.kept(letter, retention, zone)
    newest = history[-1].name
    if not theirs[newest]:
        theirs[newest] = "newest"  # Which Borg would prune, and we never do.
    assert ours == theirs


# What is more than Borg's rules


def test_a_retention_that_says_nothing_keeps_everything() -> None:
    for retention in (None, Retention()):
        found = verdicts(daily(30), retention, now=NOW)
        assert not going(found)
        assert {verdict.rule for verdict in found} == {"no retention"}


def test_what_does_not_count_neither_stays_by_a_rule_nor_goes() -> None:
    odd: list[tuple[dict[str, object], str]] = [
        ({"confirmed_at": None}, "not confirmed"),
        ({"missing_at": NOW}, "missing"),
        ({"doubtful": "it has no file"}, "doubtful: it has no file"),
        ({"foreign": True, "policy": None}, "foreign"),
    ]
    for fields, rule in odd:
        # Six good ones, and six odd ones that are newer: those that a client forged, or never made.
        good = daily(12)[:6]
        made = good + [evolve(one, **fields) for one in daily(12)[6:]]
        found = verdicts(made, Retention(daily=6), now=NOW, share=1)
        assert not going(found)
        assert [verdict.rule[: len(rule)] for verdict in found[:6]] == [rule] * 6
        assert [verdict.rule for verdict in found[6:]] == [f"daily #{number}" for number in range(1, 7)]


def test_the_time_that_counts_is_the_controllers() -> None:
    # What the client wrote into its archives lies years ahead; it is nowhere asked.
    made = [evolve(one, created_at=NOW + timedelta(days=3650)) for one in daily(10)]
    assert going(verdicts(made, Retention(daily=3), now=NOW, share=1)) == going(
        verdicts(daily(10), Retention(daily=3), now=NOW, share=1)
    )


def test_the_newest_and_the_newest_proved_stay_whatever_the_retention_says() -> None:
    made = daily(10)
    made[1] = evolve(made[1], proved_at=NOW)
    made[3] = evolve(made[3], proved_at=NOW - timedelta(days=5))
    # Nothing is within the last hour, so Borg would prune all.
    found = verdicts(made, Retention(within="1H"), now=NOW + timedelta(days=90), share=1)
    assert [(verdict.archive.id, verdict.rule) for verdict in found if verdict.keep] == [
        (10, "newest"), (4, "newest proved"),
    ]  # fmt: skip


def test_no_more_than_a_share_goes_at_once_and_the_oldest_first() -> None:
    made = daily(11)
    found = verdicts(made, Retention(daily=1), now=NOW, share=0.5)
    assert going(found) == [1, 2, 3, 4, 5]
    assert [verdict.rule for verdict in found if verdict.archive.id == 6] == ["max_prune_share: not so many in one go"]
    assert going(verdicts(made[:1], Retention(daily=1), now=NOW, share=0.5)) == []
    assert going(verdicts(made[:2], Retention(weekly=0, daily=1), now=NOW, share=0.5)) == [1]


def test_a_hold_keeps_all_but_what_was_to_go_before() -> None:
    made = daily(10)
    made[0] = evolve(made[0], pruned_at=NOW)
    found = verdicts(made, Retention(daily=1), now=NOW, hold="the newest look wrong")
    assert going(found) == [1]
    assert found[-2].rule == "held: the newest look wrong"


def test_series_are_policy_client_and_part() -> None:
    made = [archive(1, NOW), archive(2, NOW, part="shop"), archive(3, NOW, client=2), archive(4, NOW, policy=2)]
    assert sorted(series(made), key=str) == [
        (1, 1, 1, ""), (1, 1, 1, "shop"), (1, 1, 2, ""), (1, 2, 1, ""),
    ]  # fmt: skip
    odd = [archive(5, NOW, doubtful="odd"), archive(6, NOW, doubtful="odd", pruned_at=NOW)]
    assert [one.id for one in doubted([*made, *odd])] == [5]


@given(
    ages=st.lists(st.integers(0, 24 * 800), min_size=1, max_size=60, unique=True),
    retention=RETENTIONS,
    share=st.floats(0.01, 1),
    proved=st.sets(st.integers(1, 60)),
    unconfirmed=st.sets(st.integers(1, 60)),
)
def test_what_never_happens(
    ages: list[int], retention: Retention, share: float, proved: set[int], unconfirmed: set[int]
) -> None:
    made = [
        archive(
            number, NOW - timedelta(hours=age), proved_at=NOW if number in proved else None,
            **({"confirmed_at": None} if number in unconfirmed else {}),
        )
        for number, age in enumerate(ages, 1)
    ]  # fmt: skip
    found = verdicts(made, retention, now=NOW, share=share)
    assert {verdict.archive.id for verdict in found} == {one.id for one in made}
    assert all(verdict.keep is bool(verdict.rule) for verdict in found)
    gone = set(going(found))
    sure = [one for one in sorted(made, key=by_age, reverse=True) if one.id not in unconfirmed]
    assert gone <= {one.id for one in sure}
    assert len(gone) <= len(sure) * share + 1e-9
    assert not gone & {one.id for one in sure[:1]}
    assert not gone & {one.id for one in [one for one in sure if one.proved_at][:1]}


by_age: Callable[[Archive], datetime] = lambda one: one.recorded_at or NOW  # noqa: E731
