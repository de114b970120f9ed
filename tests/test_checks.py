"""Checks of vaults: what is queued and when, what their end changes, and what a suspect vault stops."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

import cyborglib as cy
from cyborglib.errors import JobError
from cyborglib.executor import Outcome
from cyborglib.testing import FakeExecutor, FixedClock
from tests.engine.conftest import opened
from tests.engine.fleet import Fleet

__all__ = ["opened"]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


def parts(jobs: list[cy.Job]) -> list[tuple[int | None, str]]:
    return [(job.vault, job.options["part"]) for job in jobs]


def test_months_by_schedule(opened, clock):
    it = Fleet(opened(executor=FakeExecutor(), clock=clock), 3).ready()
    it.set(check_repository_days=30, check_archives_days=60, check_data_days=0)
    seen: list[tuple[int | None, str, datetime]] = []
    end = clock.now + timedelta(days=125)
    while clock.forward(days=2) < end:
        it.cyborg.tick()
        new = [job for job in it.kind("check") if not job.finished]
        seen += [(job.vault, job.options["part"], clock.now) for job in new]
        it.cyborg.finish(new)
    for vault in it.cyborg.vaults:
        for part, days in (("repository", 30), ("archives", 60)):
            moments = [at for number, what, at in seen if (number, what) == (vault.id, part)]
            assert abs(len(moments) - 125 / days) <= 1
            assert all(abs((b - a) - timedelta(days=days)) <= timedelta(days=2) for a, b in pairwise(moments))
        assert vault.repository_checked_at
        assert vault.archives_checked_at
        assert vault.data_checked_at is None
    # Not all at once: three vaults, three days.
    first = {number: at.date() for number, what, at in reversed(seen) if what == "repository"}
    assert len(set(first.values())) == 3
    assert all(job.launched_by == "schedule" and job.options["seconds"] in (0, 3600) for job in it.kind("check"))


def test_one_that_goes_on_the_next_day(opened, clock):
    slices = iter([False, False, True])
    answer = lambda job: Outcome(facts={"whole": next(slices)})  # noqa: E731
    it = Fleet(opened(executor=FakeExecutor(answer), clock=clock)).ready()
    it.set(check_archives_days=0, check_data_days=0, check_repository_days=20)
    days = []
    for day in range(23):
        it.cyborg.tick()
        for job in it.cyborg.finish([job for job in it.kind("check") if not job.finished]):
            assert (job.status, job.options["seconds"], job.timeout) == ("successful", 3600, 7200)
            days.append(day)
        clock.forward(days=1)
    assert days == [days[0], days[0] + 1, days[0] + 2]
    [vault] = it.cyborg.vaults
    assert vault.repository_checked_at is not None


def test_damage_makes_the_vault_suspect_and_stops_what_writes(opened, clock):
    def answer(job: cy.Job) -> Outcome:
        if job.kind == "check":
            return Outcome(error=JobError("vault_damaged", "`borg check` found it damaged: segment 2"))
        return Outcome()

    it = Fleet(opened(executor=FakeExecutor(answer), clock=clock)).ready()
    jobs = it.cyborg.check(it.repository)
    assert parts(jobs) == [(1, "repository"), (1, "archives")]
    assert it.cyborg.check("vault", "archives") == [jobs[1]], "what waits is not queued twice"
    first, second = it.cyborg.finish(jobs)
    assert (first.status, first.attempt, str(first.error.code)) == ("failed", 1, "vault_damaged")
    assert second.status == "failed"
    [vault] = it.cyborg.vaults
    assert "segment 2" in vault.suspect
    assert vault.repository_checked_at is None
    assert [event.vault for event in it.told if isinstance(event, cy.VaultSuspected)] == [1, 1]
    [backup] = it.cyborg.run(it.policy)
    assert (backup.status, str(backup.error.code)) == ("failed", "vault_damaged")
    # Nothing more by schedule; but whoever looks into it may check again.
    clock.forward(days=200)
    it.cyborg.tick()
    assert [job for job in it.kind("check") if not job.finished] == []
    [again] = it.cyborg.relaunch(first)
    assert parts([again]) == [(1, "repository")]
    it.cyborg.cancel(again)


@pytest.mark.parametrize("facts", [{"scope": "data"}, {"whole": "yes"}, {"whole": None}])
def test_a_check_that_does_not_say_what_it_saw_counts_for_nothing(opened, facts):
    it = Fleet(opened(executor=FakeExecutor(lambda job: Outcome(facts=facts)))).ready()
    [job] = it.cyborg.finish(it.cyborg.check(it.repository, "repository"))
    assert (job.status, str(job.error.code)) == ("failed", "unparsable")
    assert [vault.repository_checked_at for vault in it.cyborg.vaults] == [None]


def test_a_check_of_data_is_one_of_archives_too(opened, clock):
    it = Fleet(opened(executor=FakeExecutor(), clock=clock)).ready()
    [job] = it.cyborg.finish(it.cyborg.check(it.repository, ["data"]))
    assert job.status == "successful"
    [vault] = it.cyborg.vaults
    assert (vault.repository_checked_at, vault.archives_checked_at, vault.data_checked_at) == (
        None, clock.now, clock.now,
    )  # fmt: skip


def test_what_cannot_be_checked(opened):
    it = Fleet(opened(executor=FakeExecutor()))
    with pytest.raises(cy.Invalid, match="no vault of the repository vault was made yet"):
        it.cyborg.check(it.repository)
    it.ready()
    with pytest.raises(cy.NotFound):
        it.cyborg.check("elsewhere")
    off = it.cyborg.repositories.replace(cy.Repository(**{"name": "vault"} | _fields(it)))
    with pytest.raises(cy.Disabled):
        it.cyborg.check(off)
    it.cyborg.tick()
    assert it.kind("check") == []


def _fields(it: Fleet) -> dict[str, object]:
    return {"path": it.repository.path, "enabled": False, "id": it.repository.id, "revision": it.repository.revision}
