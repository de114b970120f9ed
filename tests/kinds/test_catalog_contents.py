"""What a look into a vault is given to read of contents, and what it means that something could not be read."""

from __future__ import annotations

import pytest
from attrs import evolve

import cyborglib as cy
from cyborglib.executor import Outcome
from cyborglib.kinds import KINDS
from cyborglib.kinds.catalog import MOST
from tests.kinds.scene import ARCHIVE, work

CATALOG = KINDS[cy.JobKind.CATALOG]
UNREAD = {"code": "borg_failed", "message": "What is in the archive x could not be read: Borg failed."}


def listed(*archives: cy.Archive, **more: object) -> Outcome:
    return Outcome(facts={"archives": [{"name": one.name, "id": one.borg_id} for one in archives], **more})


def test_it_is_given_so_many_archives_in_the_order_in_which_they_are_wanted() -> None:
    wanted = tuple(evolve(ARCHIVE, id=n, name=f"a{n}") for n in range(MOST + 5, 0, -1))
    given = CATALOG.assign(work("catalog", uncataloged=wanted)).host_run.variables["borg_contents"]
    assert len(given) == MOST
    assert given[0] == {"archive": MOST + 5, "name": f"a{MOST + 5}", "id": ARCHIVE.borg_id}
    assert CATALOG.assign(work("catalog")).host_run.variables["borg_contents"] == []


def test_what_could_not_be_read_fails_the_job_and_takes_nothing_back() -> None:
    settlement = CATALOG.settle(work("catalog", recorded=(ARCHIVE,)), listed(ARCHIVE, contents_error=UNREAD), {})
    assert settlement.confirmed == (ARCHIVE.id,)
    assert settlement.error is not None
    assert (settlement.error.code, settlement.error.permanent) == ("borg_failed", False)
    assert "archive x" in settlement.error.message
    assert settlement.vault == {}, "that is no sign of damage: the vault is not suspect"


def test_what_is_missing_weighs_more() -> None:
    gone = evolve(ARCHIVE, confirmed_at=work("catalog").now)
    settlement = CATALOG.settle(work("catalog", recorded=(gone,)), listed(contents_error=UNREAD), {})
    assert settlement.error is not None
    assert settlement.error.code == "archives_vanished"


@pytest.mark.parametrize(
    "hostile", ["text", {}, {"code": "no such", "message": 7}, {"code": [], "message": None}, 5, []]
)
def test_an_error_that_is_none_is_one_nevertheless(hostile: object) -> None:
    settlement = CATALOG.settle(work("catalog", recorded=(ARCHIVE,)), listed(ARCHIVE, contents_error=hostile), {})
    assert settlement.error is not None
    assert settlement.error.code == "internal"
    assert settlement.confirmed == (ARCHIVE.id,)
