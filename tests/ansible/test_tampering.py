"""When a vault's own account of itself says that a client's key took something away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cyborg.backup.plugins.action.repository_upkeep import looked as checked
from ansible_collections.cyborg.backup.plugins.module_utils.agent.target.host_upkeep import (
    last_transaction,
    transactions,
)
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.tampering import LEAST, SLACK, tampered
from hypothesis import given
from hypothesis import strategies as st

SINCE = {"freeable_bytes": 5_000_000, "stored_bytes": 10**9, "transaction": 40, "log_bytes": 900}
#: A night's job, by the controller's clock.
JOB = [1_800_000_000.0, 1_800_000_600.0]


def looked(**changes: Any) -> dict[str, Any]:
    found: dict[str, Any] = {**SINCE, "entries": [], "ahead": 0.0}
    return found | changes


@pytest.mark.parametrize(
    ("changes", "sign"),
    [
        ({}, ""),
        ({"freeable_bytes": SINCE["freeable_bytes"] + LEAST}, ""),
        ({"freeable_bytes": SINCE["freeable_bytes"] + LEAST + 1}, "deleted or overwritten"),
        # One percent of what was stored since.
        ({"freeable_bytes": SINCE["freeable_bytes"] + 10**7, "stored_bytes": 2 * 10**9}, ""),
        ({"freeable_bytes": SINCE["freeable_bytes"] + 10**7 + 1, "stored_bytes": 2 * 10**9}, "deleted or overwritten"),
        ({"stored_bytes": SINCE["stored_bytes"] - 1}, "older than it was"),
        ({"transaction": 39}, "older than it was"),
        ({"log_bytes": 899}, "older than it was"),
        ({"entries": [[41, JOB[0]], [43, JOB[1]]]}, ""),
        ({"entries": [[41, JOB[0] - SLACK], [43, JOB[1] + SLACK]]}, ""),
        ({"entries": [[41, JOB[0]], [43, JOB[1] + SLACK + 1]]}, "its transaction 43"),
        ({"entries": [[41, JOB[0] - SLACK - 1]]}, "while no job of ours"),
        # The host's clock is some minutes ahead, which was measured.
        ({"entries": [[41, JOB[1] + 900]], "ahead": 900.0}, ""),
        ({"entries": [[41, JOB[1]]], "ahead": 600.0}, ""),
        ({"entries": [[41, JOB[1]]], "ahead": -900.0}, "its transaction 41"),
    ],
)
def test_what_is_an_attack_and_what_is_not(changes: dict[str, Any], sign: str) -> None:
    said = tampered(looked(**changes), SINCE, [JOB])
    assert (sign in said) if sign else said == ""


@pytest.mark.parametrize(
    ("changes", "sign"),
    [
        ({"freeable_bytes": 10**12}, ""),
        ({"stored_bytes": 1}, ""),
        ({"transaction": 39}, "older than it was"),
        ({"log_bytes": 899}, "older than it was"),
        ({"entries": [[41, JOB[1] + SLACK + 1]]}, "its transaction 41"),
    ],
)
def test_bytes_do_not_count_where_a_change_of_ours_was_not_seen_to_its_end(changes: dict[str, Any], sign: str) -> None:
    since = {name: SINCE[name] for name in ("transaction", "log_bytes")}
    said = tampered(looked(**changes), since, [JOB])
    assert (sign in said) if sign else said == ""


def test_of_a_vault_that_was_never_looked_at_nothing_is_concluded() -> None:
    assert tampered(looked(freeable_bytes=10**12, entries=[[1, 5]]), {}, []) == ""


@given(
    added=st.integers(0, 10**12),
    share=st.floats(0, 0.009),
    jobs=st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**5)), min_size=1, max_size=20),
    ahead=st.floats(-3000, 3000),
    data=st.data(),
)
def test_honest_backups_raise_no_alarm(added: int, share: float, jobs: list[Any], ahead: float, data: Any) -> None:
    windows = [[float(begin), float(begin + took)] for begin, took in jobs]
    entries = []
    for number, (begin, end) in enumerate(windows, 41):
        entries.append([number, int(data.draw(st.floats(begin, end)) + ahead)])
    freed = SINCE["freeable_bytes"] + int(added * share)
    found = looked(freeable_bytes=freed, stored_bytes=SINCE["stored_bytes"] + added, entries=entries, ahead=ahead)
    assert tampered(found, SINCE, windows) == ""


def reply(**changes: Any) -> dict[str, Any]:
    return {**SINCE, "entries": [[41, 5]], "now": 1_800_000_000.0} | changes


def test_a_hosts_account_is_typed_and_bounded() -> None:
    found = checked(reply(), 1_799_999_990.0)
    assert found == {**SINCE, "entries": [[41, 5]], "ahead": 10.0}
    for odd in (
        {"entries": None}, {"entries": [[41]]}, {"entries": [[41, -5]]}, {"entries": [["41", 5]]},
        {"log_bytes": None},
        {"freeable_bytes": -1}, {"stored_bytes": True}, {"transaction": 2**63}, {"now": "noon"},
        {"entries": [[1, 1]] * 10_001},
    ):  # fmt: skip
        with pytest.raises(Failure, match="never does") as caught:
            checked(reply(**odd), 1_800_000_000.0)
        assert caught.value.code == "hostile_answer"


@pytest.mark.parametrize("hours", [-2, 87_600])
def test_a_host_whose_clock_is_hours_away_stops_a_prune(hours: int) -> None:
    """Also where it is the controller's that is wrong, and its database's with it."""
    with pytest.raises(Failure) as caught:
        checked(reply(), 1_800_000_000.0 + hours * 3600)
    assert caught.value.code == "clock_doubtful"


def test_the_list_of_transactions_as_borg_writes_it(tmp_path: Path) -> None:
    assert transactions(str(tmp_path), 0) == ([], 0)
    old = "transaction 5, UTC time 2026-11-27T12:00:00.123456\n"
    new = "transaction 7, UTC time 2026-11-27T12:00:10.000000+00:00\ntransaction 9, UTC time 2026-11-27T12:00:20\n"
    (tmp_path / "transactions").write_text(old + "something else\n" + new)
    noon = 1_795_780_800
    found, length = transactions(str(tmp_path), 0)
    assert found == [[5, noon], [7, noon + 10], [9, noon + 20]]
    assert length == (tmp_path / "transactions").stat().st_size
    # After a vault was set back its numbers come again, behind those that were there.
    assert transactions(str(tmp_path), len(old)) == ([[7, noon + 10], [9, noon + 20]], length)
    assert transactions(str(tmp_path), length) == ([], length)
    assert transactions(str(tmp_path), length + 100) == ([], length)


def test_which_transaction_of_a_vault_is_the_last(tmp_path: Path) -> None:
    assert last_transaction(str(tmp_path)) == 0
    for name in ("index.7", "index.12", "index.13.tmp", "hints.12", "data"):
        (tmp_path / name).touch()
    assert last_transaction(str(tmp_path)) == 12
