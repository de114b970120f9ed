"""Archives that no job of ours recorded: what a listing makes of them, and whose a name is."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from attrs import evolve

import cyborglib as cy
from cyborglib.executor import Outcome
from cyborglib.kinds import KINDS
from cyborglib.kinds.backup import ArchiveName
from cyborglib.kinds.foreign import MOST, moment
from cyborglib.kinds.makers import jobs_named, maker, may_record
from cyborglib.parts import encoded
from tests.kinds.scene import ARCHIVE, ID, NOON, VAULT, work

QUEUED = NOON.replace(microsecond=123456)
JOB = cy.Job(
    kind="backup", id=42, attempt=2, policy=9, policy_name="etc", client=3, client_name="web1", vault=5,
    created_at=QUEUED, status="successful",
)  # fmt: skip
OURS = evolve(ARCHIVE, confirmed_at=NOON)


def named(job: cy.Job = JOB, part: str = "", **changes: object) -> str:
    fields = {"policy": job.policy_name, "client": job.client_name, "moment": job.created_at, "job": job.id or 0,
              "attempt": job.attempt, "part": encoded(part) if part else ""}  # fmt: skip
    return str(ArchiveName(**(fields | changes)))


def number(count: int) -> str:
    return f"{count:064x}"


def settle(*listed: tuple[str, str] | tuple[str, str, str], jobs=(), **changes):  # type: ignore[no-untyped-def]
    archives = [dict(zip(("name", "id", "time"), one, strict=False)) for one in listed]
    by_id = {job.id: job for job in jobs}
    given = work("catalog", **{"jobs": lambda ids: [by_id[one] for one in ids if one in by_id], **changes})
    return KINDS["catalog"].settle(given, Outcome(facts={"archives": archives, "borg_id": ID}), {})


def test_what_others_made_is_recorded_as_foreign_and_alarms_nobody():
    seen = settle(("old", OURS.borg_id), ("web1-2031", number(1), "2026-02-03T04:05:06.000007"), recorded=(OURS,))
    [found] = seen.foreign
    assert found == cy.Archive(
        name="web1-2031", borg_id=number(1), vault=5, client=3, foreign=True, recorded_at=NOON, confirmed_at=NOON,
        created_at=datetime(2026, 2, 3, 4, 5, 6, 7, tzinfo=UTC),
    )  # fmt: skip
    assert (seen.error, seen.vault, seen.events, seen.warnings) == (None, {}, (), ())
    # Known from then on; and one that is gone is just gone, until it is there again.
    known = evolve(found, id=70)
    assert settle(("web1-2031", number(1)), recorded=(known,)) == cy_nothing()
    assert settle(recorded=(known,)) == evolve(cy_nothing(), missing=(70,))
    assert settle(recorded=(evolve(known, missing_at=NOON),)) == cy_nothing()
    assert settle(("web1-2031", number(1)), recorded=(evolve(known, missing_at=NOON),)).found == (70,)


def cy_nothing():  # type: ignore[no-untyped-def]
    return KINDS["catalog"].settle(work("catalog"), Outcome(facts={"archives": []}), {})


@pytest.mark.parametrize("change", [{}, {"missing_at": NOON}, {"pruned_at": NOON}], ids=str)
def test_another_archive_under_a_name_of_ours_makes_the_vault_suspect(change):
    ours = evolve(OURS, **change)
    first = settle(("old", number(1)), recorded=(ours,))
    assert first.error.code == "archives_vanished"
    assert first.vault == {"suspect": first.error.message}
    [stranger] = first.foreign
    assert "bears the name" in stranger.doubtful
    assert ours.borg_id[:12] in stranger.doubtful
    # Told once: when a person has said that the vault is good, it is one of the known strangers.
    known = evolve(stranger, id=70)
    missed = evolve(ours, missing_at=NOON)
    assert settle(("old", number(1)), recorded=(missed, known)).error is None
    assert settle(("old", number(2)), recorded=(missed, known)).error.code == "archives_vanished"


@pytest.mark.parametrize("name", ["etc+web1+20260301T123000Z+1.1", "etc+web1+20990101T000000Z+42.1", "x", "42.1"])
def test_a_forged_name_is_nobodys(name):
    [stranger] = settle((name, number(1)), jobs=(JOB,)).foreign
    assert stranger.foreign


LOST = evolve(JOB, status="failed", error=cy.JobError("lost", "gone"))
DENIED = evolve(JOB, status="failed", error=cy.JobError("source_unreadable", "no"))


@pytest.mark.parametrize(
    ("job", "new", "said"),
    [
        (evolve(JOB, status="running"), 0, 0),
        (evolve(JOB, status="pending"), 0, 0),
        (LOST, 0, 1),
        (DENIED, 1, 0),
        (evolve(JOB, status="canceled"), 1, 0),
        (JOB, 1, 0),
        (evolve(JOB, vault=6), 1, 0),
    ],
    ids=["running", "tried again", "lost", "failed", "canceled", "successful", "of another vault"],
)
@pytest.mark.parametrize("part", ["", "my db"])
def test_what_a_job_of_ours_may_still_record_is_left_to_it(job, new, said, part):
    settlement = settle((named(part=part), number(1)), (named(part=part, attempt=1), number(2)), jobs=(job,))
    assert (len(settlement.foreign), len(settlement.warnings)) == (2 * new, said)
    assert all(("job 42" in found.doubtful) is (job.vault == 5) for found in settlement.foreign)
    assert settlement.error is None


def test_whose_a_name_is():
    assert maker(named(), [JOB], 5) == JOB
    assert maker(named(part="a/b"), [evolve(JOB, id=41), JOB], 5) == JOB
    for name, job, vault in [
        (named(attempt=3), JOB, 5),
        (named(attempt=0), JOB, 5),
        (named(client="web2"), JOB, 5),
        (named(policy="mail"), JOB, 5),
        (named(moment=QUEUED + timedelta(seconds=1)), JOB, 5),
        (named(), JOB, 6),
        (named(), evolve(JOB, kind="catalog"), 5),
        (named(), evolve(JOB, id=43), 5),
        (named() + "+", JOB, 5),
        ("", JOB, 5),
    ]:
        assert maker(name, [job], vault) is None, name
    assert jobs_named([named(), "x", named(job=evolve(JOB, id=7)), named(job=evolve(JOB, id=2**63))]) == {7, 42}
    assert [may_record(job) for job in (LOST, DENIED, JOB)] == [True, False, False]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-01T12:30:00.000000", NOON),
        ("2026-03-01T13:30:00+01:00", NOON),
        ("", None),
        ("0001-01-01T00:00:00+14:00", None),
        ("9999-12-31T23:59:59-14:00", None),
        ("9999-01-01T00:00:00", None),
        ("1970-01-01T00:00:00", None),
        ("yesterday", None),
    ],
)
def test_a_time_is_taken_in_if_it_can_be_one(text, expected):
    assert moment(text) == expected


@pytest.mark.parametrize(
    "listed",
    [[("a", number(1)), ("a", number(2))], [("a", number(1)), ("b", number(1))], [("a", "1")], [(7, number(1))]],
    ids=["a name twice", "an id twice", "no id", "no name"],
)
def test_a_listing_that_contradicts_itself_concludes_nothing(listed):
    with pytest.raises(cy.CyborgError, match="cannot be read"):
        settle(*listed, recorded=(OURS,))


def test_a_client_that_makes_very_many_is_bounded_and_told():
    flood = [(f"{named()}x{count}", number(count)) for count in range(12_000)]
    flood += [(named(job=evolve(JOB, id=count)), number(count)) for count in range(12_000, 20_000)]
    began = time.process_time()
    settlement = settle(*flood, ("old", number(10**6)), recorded=(OURS,))
    assert time.process_time() - began < 10, "it takes a second, also for five times as many"
    assert len(settlement.foreign) == MOST
    assert settlement.foreign[0].name == "old", "what bears a name of ours is not hidden behind the others"
    assert settlement.error.code == "archives_vanished"
    [warning] = settlement.warnings
    assert str(len(flood) + 1 - MOST) in warning
    full = [evolve(one, id=count) for count, one in enumerate(settlement.foreign, 100)]
    again = settle(*flood, recorded=full)
    assert again.foreign == ()
    assert len(again.missing) == 1, "the one that bore our name"


def test_a_shared_vault_says_not_whose_they_are():
    [found] = settle(("x", number(1)), vault=evolve(VAULT, client=None)).foreign
    assert found.client is None
