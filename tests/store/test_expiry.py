"""What ended jobs left is taken away when it is old, in steps that cost by what goes; what lasts stays."""

from __future__ import annotations

from datetime import timedelta

import attrs
import pytest
from sqlalchemy import event

from cyborglib.errors import JobError
from cyborglib.expiring import STEPS, Expiring
from cyborglib.model import Settings
from cyborglib.planning import NewJob
from cyborglib.store import Store, expiry
from cyborglib.testing import FixedClock
from tests.store.fleet import Fleet


def backup(fleet: Fleet, *, archive: str = "", failed: bool = False) -> int:
    """A backup that ended now, after it said a line."""
    [job] = fleet.store.jobs.queue([NewJob(fleet.job("backup"))])
    [claim] = fleet.claim()
    assert claim.job.id == job.id
    store = fleet.store
    store.jobs.output(job.id, ["a line"], claim.fence)
    if failed:
        store.jobs.fail(job.id, claim.fence, JobError("unreachable", "no route"))
    else:
        store.jobs.succeed(job.id, claim.fence, archives=[fleet.archive(name=archive)] if archive else [])
    return job.id


def expire(store: Store, clock: FixedClock) -> None:
    Expiring(store).step(clock())


def test_output_goes_first_and_jobs_later_but_not_those_of_archives(fleet: Fleet, clock: FixedClock) -> None:
    store = fleet.store
    kept, gone, failed = backup(fleet, archive="kept"), backup(fleet), backup(fleet, failed=True)
    clock.forward(days=89)
    expire(store, clock)
    assert [store.jobs.output_of(job) for job in (kept, gone, failed)] == [["a line"]] * 3
    young = backup(fleet)
    clock.forward(days=2)
    expire(store, clock)
    assert [store.jobs.output_of(job) for job in (kept, gone, failed, young)] == [[], [], [], ["a line"]]
    clock.forward(days=280)
    expire(store, clock)
    assert [job.id for job in store.jobs] == [kept, young]
    assert [archive.job for archive in store.archives] == [kept]
    clock.forward(days=3000)
    expire(store, clock)
    assert [job.id for job in store.jobs] == [kept]
    assert store.jobs.get(kept).archives == (1,)


def test_what_has_not_ended_stays_and_so_does_what_it_needed(fleet: Fleet, clock: FixedClock) -> None:
    """However old: and what ended after that is looked at again when it has ended."""
    store = fleet.store
    chain = store.jobs.queue(fleet.chain())
    [first] = fleet.claim()
    store.jobs.output(first.job.id, ["prepared"], first.fence)
    store.jobs.succeed(first.job.id, first.fence)
    clock.forward(days=4000)
    expire(store, clock)
    assert [job.status for job in store.jobs] == ["successful", "pending", "waiting", "waiting"]
    assert store.jobs.get(chain[2].id).after == (chain[0].id, chain[1].id)
    store.jobs.cancel(chain[1].id)
    clock.forward(days=366)
    expire(store, clock)
    assert list(store.jobs) == []


def test_a_doubtful_clock_takes_nothing_away(fleet: Fleet, clock: FixedClock, caplog: pytest.LogCaptureFixture) -> None:
    job = backup(fleet)
    clock.forward(days=4000)
    Expiring(fleet.store, lambda now: "the clock jumped").step(clock())
    assert fleet.store.jobs.output_of(job) == ["a line"]
    assert "the clock jumped" in caplog.text


def test_a_step_costs_by_what_goes(fleet: Fleet, clock: FixedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """And many go in short transactions, not all in one call."""
    monkeypatch.setattr(expiry, "JOBS", 2)
    for n in range(2 * STEPS + 4):
        backup(fleet, archive=f"a{n}")
        clock.forward(seconds=1)
    store = fleet.store
    clock.forward(days=91)
    expiring = Expiring(store)
    expiring.step(clock())
    said = [bool(store.jobs.output_of(job.id)) for job in store.jobs]
    assert said == [False] * 2 * STEPS + [True] * 4
    expiring.step(clock())
    assert not any(store.jobs.output_of(job.id) for job in store.jobs)
    statements: list[str] = []
    event.listen(store._database._engine, "before_cursor_execute", lambda *more: statements.append(more[2]))
    expiring.step(clock())
    assert statements == [], "it has looked a moment ago"
    Expiring(store).step(clock())
    assert not [one for one in statements if one.startswith("DELETE")]
    monkeypatch.setattr(expiry, "LINES", 1)
    again = backup(fleet), backup(fleet)
    clock.forward(days=91)
    assert store.expiry.output(clock())
    assert [store.jobs.output_of(job) for job in again] == [[], ["a line"]], "no more lines at a time than is said"


def test_of_a_job_that_says_much_the_first_and_the_last_lines_are_kept(fleet: Fleet) -> None:
    store = fleet.store
    store.settings = attrs.evolve(Settings(), output_lines=100)
    [job] = store.jobs.queue([NewJob(fleet.job("backup"))])
    store.jobs.output(job.id, [f"{n}" for n in range(1, 100)])
    assert len(store.jobs.output_of(job.id)) == 99
    for n in range(100, 1000, 7):
        store.jobs.output(job.id, [f"{line}" for line in range(n, n + 7)])
    said = store.jobs.output_of(job.id)
    assert said[:50] == [f"{n}" for n in range(1, 51)]
    assert said[51:] == [f"{n}" for n in range(953, 1003)]
    assert said[50].startswith("… 902 lines are left out")


def test_what_was_kept_longer_is_not_looked_for_again(fleet: Fleet, clock: FixedClock) -> None:
    """Settings that change hold from then on."""
    store = fleet.store
    job = backup(fleet)
    clock.forward(days=2)
    store.settings = attrs.evolve(Settings(), keep_output=1)
    expire(store, clock)
    assert store.jobs.output_of(job) == []
    store.settings = attrs.evolve(Settings(), keep_output=10)
    job = backup(fleet)
    clock.forward(days=9)
    expire(store, clock)
    assert store.jobs.output_of(job) == ["a line"]
    clock.forward(seconds=timedelta(days=2).total_seconds())
    expire(store, clock)
    assert store.jobs.output_of(job) == []
