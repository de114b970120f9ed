"""When a backup is doubted, and when not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import cyborglib as cy
from cyborglib.executor import ArchiveMade
from cyborglib.sanity import FEW_BYTES, FEW_FILES, doubt

NOW = datetime(2026, 11, 27, tzinfo=UTC)
SETTINGS = cy.Settings()


def before(files: int, size: int = 0, **fields: object) -> cy.Archive:
    made = cy.Archive(name="a", borg_id="0" * 64, vault=1, files=files, original_bytes=size or files * 100_000)
    return evolve(made, **fields)


def now(files: int, size: int = 0, **fields: object) -> ArchiveMade:
    stats = cy.Stats(files=files, original_bytes=size or files * 100_000)
    return ArchiveMade(**{"name": "b", "borg_id": "1" * 64, "stats": stats, **fields})


def judged(made: ArchiveMade, history: list[cy.Archive], **settings: object) -> str:
    return doubt(made, history, evolve(SETTINGS, **settings))


@pytest.mark.parametrize(
    ("history", "files", "doubted"),
    [
        ([1000, 1000, 1000], 990, False),
        ([1000, 1000, 1000], 501, False),
        ([1000, 1000, 1000], 499, True),
        ([1000, 1000, 1000], 0, True),
        # Half as much as the last one, which was a spike: it is as usual.
        ([5000, 1000, 1000], 1000, False),
        # Slowly, never by half in one night: what was usual is looked at as well.
        ([600, 1000, 1000, 1000], 380, True),
        # The lower level was released by a person, or came in small steps over weeks.
        ([400, 1000, 1000, 1000], 400, False),
        ([400, 1000, 1000, 1000], 370, False),
        # Nothing to compare with, or too little of it.
        ([], 1, False),
        ([1000], 1, False),
        ([FEW_FILES - 1] * 3, 1, False),
    ],
)
def test_files_and_bytes_are_compared_with_the_series_own_history(
    history: list[int], files: int, doubted: bool
) -> None:
    for found in (
        judged(now(files, 10**9), [before(one, 10**9) for one in history]),
        judged(now(10**6, files * FEW_BYTES), [before(10**6, one * FEW_BYTES) for one in history], max_fewer_bytes=0.5)
        if files and history != [FEW_FILES - 1] * 3
        else None,
    ):
        if found is not None:
            assert bool(found) is doubted


def test_the_tolerance_is_a_setting() -> None:
    history = [before(1000, 10**9)] * 3
    assert judged(now(700, 10**9), history) == ""
    assert "30% less" in judged(now(700, 10**9), history, max_fewer_files=0.2)
    assert judged(now(0, 10**9), history, max_fewer_files=1.0) == ""


def test_small_archives_come_and_go() -> None:
    assert judged(now(1, 10), [before(1, FEW_BYTES - 1)] * 5) == ""
    assert "bytes" in judged(now(1, 10), [before(1, FEW_BYTES)] * 5)


def test_only_good_archives_of_the_same_part_are_compared_with() -> None:
    good = [before(1000, part="shop")] * 3
    assert judged(now(100, part="shop"), good)
    assert judged(now(100, part="other"), good) == ""
    for odd in ({"doubtful": "it is odd"}, {"foreign": True}, {"missing_at": NOW}):
        assert judged(now(100, part="shop"), [evolve(one, **odd) for one in good]) == ""


def test_a_root_that_the_last_one_had_is_missed() -> None:
    history = [before(100, roots=[("/etc", "ext4:1"), ("/srv", "ext4:2")]), before(100, roots=[("/opt", "ext4:1")])]
    assert judged(now(100, roots=(("/etc", "x"), ("/srv", "y"), ("/new", "z"))), history) == ""
    assert "nothing of /srv" in judged(now(100, roots=(("/etc", "x"),)), history)


@given(history=st.lists(st.integers(0, 10**9), max_size=20), found=st.integers(0, 10**9))
def test_what_is_not_less_than_the_least_before_is_never_doubted(history: list[int], found: int) -> None:
    said = judged(now(found, 10**12), [before(one, 10**12) for one in history])
    assert not (said and found >= min(history))
    assert not said or ("less than" in said and "-" not in said)
