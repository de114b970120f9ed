"""What is due is queued once, by whichever engine looks first: time zones, changes of the clocks, clocks that jump."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import attrs
import pytest
from sqlalchemy import create_engine, event

import cyborglib as cy
from cyborglib.testing import FakeExecutor, FixedClock
from tests.engine.conftest import KEY, opened
from tests.engine.fleet import Fleet

__all__ = ["opened"]

PARIS = "Europe/Paris"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(at("2026-03-01T12:00"))


@pytest.fixture
def scheduled(opened, clock):
    """A ready fleet with a policy on a schedule: `scheduled("0 2 * * *", timezone=…)`."""

    def make(crontab: str, *, timezone: str = "UTC", clients: int = 1, bind: object = "sqlite://") -> Fleet:
        it = Fleet(opened(bind, executor=FakeExecutor(), clock=clock), clients).ready()
        it.set(catalog=False)
        it.schedule = it.cyborg.schedules.add(cy.Schedule("night", crontab, timezone=timezone))
        it.policy = it.cyborg.policies.replace(attrs.evolve(it.policy, schedule=it.schedule))
        return it

    return make


def night(it: Fleet, clock: FixedClock, begin: str, end: str, *, minutes: int = 10) -> list[datetime]:
    """When backups were launched and done between two moments, the clock ticking every few minutes."""
    clock.now = at(begin)
    it.cyborg.schedules.replace(attrs.evolve(it.cyborg.schedules.get("night"), enabled=False))
    it.cyborg.schedules.replace(attrs.evolve(it.cyborg.schedules.get("night"), enabled=True))
    it.cyborg.tick()
    found = []
    while clock.forward(minutes=minutes) <= at(end):
        for job in it.cyborg.tick():
            assert job.launched_by == "schedule"
            found.append(job.due)
            it.cyborg.finish([job])
    return found


@pytest.mark.parametrize(
    ("crontab", "begin", "end", "due"),
    [
        # 02:30 does not come in the night in which clocks go forward: it comes when they do.
        ("30 2 * * *", "2026-03-28T23:00", "2026-03-29T06:00", ["2026-03-29T01:00"]),
        # In the night in which they go back it comes twice: only the first counts.
        ("30 2 * * *", "2026-10-24T22:00", "2026-10-25T06:00", ["2026-10-25T00:30"]),
        # By elapsed time: each half hour, whatever the clocks show.
        ("*/30 2 * * *", "2026-10-24T22:00", "2026-10-25T06:00",
         ["2026-10-25T00:00", "2026-10-25T00:30", "2026-10-25T01:00", "2026-10-25T01:30"]),
        ("0 * * * *", "2026-03-28T23:30", "2026-03-29T03:30",
         ["2026-03-29T00:00", "2026-03-29T01:00", "2026-03-29T02:00", "2026-03-29T03:00"]),
        ("0 2 * * *", "2026-06-01T12:00", "2026-06-03T12:00", ["2026-06-02T00:00", "2026-06-03T00:00"]),
    ],
)  # fmt: skip
def test_a_night_in_paris(scheduled, clock, crontab, begin, end, due):
    it = scheduled(crontab, timezone=PARIS)
    assert night(it, clock, begin, end) == [at(moment) for moment in due]


def test_what_was_missed_comes_once_and_late(scheduled, clock):
    it = scheduled("0 2 * * *")
    it.cyborg.tick()
    clock.now = at("2026-03-31T12:00")
    [job] = it.cyborg.tick()
    assert job.due == at("2026-03-31T02:00")
    it.cyborg.work()
    assert it.cyborg.tick() == []
    assert it.cyborg.policies.get("etc").next_run == at("2026-04-01T02:00")


def test_a_policy_still_at_work_is_not_launched_again_and_its_moment_is_answered(scheduled, clock):
    it = scheduled("0 * * * *", clients=2)
    clock.forward(hours=1)
    first, second = it.cyborg.tick()
    it.cyborg.finish([first])
    clock.forward(hours=1)
    [again] = it.cyborg.tick()
    assert again.client == first.client, "the other one still waits"
    it.cyborg.work()
    assert it.cyborg.tick() == []
    assert it.cyborg.jobs.get(second.id).status == "successful"


def test_tick_tells_of_what_it_queued(scheduled, clock):
    it = scheduled("0 2 * * *")
    clock.forward(days=1)
    [job] = it.cyborg.tick()
    assert it.of(job) == ["JobQueued"]
    assert it.cyborg.tick(now=clock() + timedelta(days=1)) == []
    it.cyborg.work()
    assert len(it.cyborg.tick(now=clock() + timedelta(days=2))) == 1
    with pytest.raises(cy.Invalid):
        it.cyborg.tick(now=datetime(2026, 5, 1))  # noqa: DTZ001


def test_a_new_or_changed_schedule_counts_from_then(scheduled, clock):
    it = scheduled("0 13 * * *")
    assert it.cyborg.tick() == []
    it.cyborg.schedules.replace(attrs.evolve(it.schedule, crontab="0 11 * * *"))
    assert it.cyborg.tick() == [], "11 o'clock has passed today"
    clock.now = at("2026-03-02T11:00")
    assert len(it.cyborg.tick()) == 1


@pytest.mark.parametrize("what", ["policy", "schedule", "repository", "clients"])
def test_what_is_disabled_is_not_due_and_not_made_up_for(scheduled, clock, what):
    it = scheduled("0 2 * * *")
    cyborg = it.cyborg
    shelf, name = {
        "policy": (cyborg.policies, "etc"),
        "schedule": (cyborg.schedules, "night"),
        "repository": (cyborg.repositories, "vault"),
        "clients": (cyborg.clients, "web1"),
    }[what]
    shelf.replace(attrs.evolve(shelf.get(name), enabled=False))
    clock.now = at("2026-03-05T12:00")
    assert cyborg.tick() == []
    shelf.replace(attrs.evolve(shelf.get(name), enabled=True))
    assert cyborg.tick() == []
    clock.now = at("2026-03-06T02:00")
    assert len(cyborg.tick()) == 1


def test_a_schedule_that_is_broken_stops_no_other(scheduled, clock, caplog, monkeypatch):
    it = scheduled("0 2 * * *")
    bad = it.cyborg.schedules.add(cy.Schedule("bad", "0 2 * * *", timezone="Asia/Tokyo"))
    it.add_policy("broken", schedule=bad, type="folders", extra_vars={"folders": ["/srv"]})
    it.add_policy("zzz", schedule=it.schedule, type="mail")
    with it.cyborg._store.transaction() as connection:
        connection.exec_driver_sql("UPDATE cyborg_schedules SET crontab = '0 2 31 2 *' WHERE name = 'bad'")
    clock.forward(days=1)
    assert [job.policy_name for job in it.cyborg.tick()] == ["etc", "zzz"]
    assert "broken" in caplog.text
    said = len(caplog.records)
    for _ in range(50):
        clock.forward(seconds=1)
        assert it.cyborg.tick() == []
    assert len([r for r in caplog.records[said:] if "could not be launched" in r.getMessage()]) == 0
    with it.cyborg._store.transaction() as connection:
        connection.exec_driver_sql("UPDATE cyborg_schedules SET crontab = '0 2 * * *' WHERE name = 'bad'")
    clock.forward(seconds=30)
    assert [job.policy_name for job in it.cyborg.tick()] == ["broken"], "it was not forgotten"


# Clocks


def test_a_clock_that_goes_back_repeats_nothing(scheduled, clock):
    it = scheduled("*/5 * * * *")
    done = []
    for step in (5, 5, -60, 5, 10, 20, 20, 10, 5, 5):
        clock.forward(minutes=step)
        for job in it.cyborg.tick():
            done.append(job.due)
            it.cyborg.finish([job])
    assert len(done) == len(set(done))
    assert done[:2] == [at("2026-03-01T12:05"), at("2026-03-01T12:10")]
    assert done[-1] == at("2026-03-01T12:25")


def test_a_clock_that_was_years_ahead_does_not_put_anything_off_for_years(scheduled, clock, monkeypatch):
    monkeypatch.setattr("cyborglib.timetable.RECOUNT", 0.0)
    it = scheduled("0 2 * * *")
    clock.now = at("2036-03-01T12:00")
    [job] = it.cyborg.tick()
    it.cyborg.finish([job])
    assert it.cyborg.policies.get("etc").next_run > at("2036-03-01T12:00")
    clock.now = at("2026-03-01T12:10")
    assert it.cyborg.tick() == []
    assert it.cyborg.policies.get("etc").next_run == at("2026-03-02T02:00")
    clock.now = at("2026-03-02T02:00")
    assert [job.due for job in it.cyborg.tick()] == [at("2026-03-02T02:00")]


def test_a_policy_that_was_added_while_the_clock_was_ahead_comes_in_its_time(scheduled, clock, monkeypatch):
    monkeypatch.setattr("cyborglib.timetable.RECOUNT", 0.0)
    clock.now = at("2036-03-01T12:00")
    it = scheduled("0 2 * * *")
    clock.now = at("2026-03-01T12:00")
    it.cyborg.tick()
    clock.now = at("2026-03-02T02:05")
    assert [job.due for job in it.cyborg.tick()] == [at("2026-03-02T02:00")]


# Several engines, many policies


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cyborg.db"
    return request.getfixturevalue("postgresql_url")


def test_two_engines_queue_one_job_a_moment(scheduled, opened, url, clock):
    it = scheduled("0 * * * *", clients=2, bind=url)
    for n in range(2):
        it.add_policy(f"p{n}", schedule=it.schedule)
    engines = [it.cyborg, *(opened(url, executor=FakeExecutor(), clock=clock) for _ in range(2))]
    new: list[cy.Job] = []
    for _ in range(3):
        clock.forward(hours=1)
        line = threading.Barrier(len(engines))

        def race(cyborg, line=line):
            line.wait()
            new.extend(cyborg.tick())

        threads = [threading.Thread(target=race, args=(cyborg,)) for cyborg in engines]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        it.cyborg.work()
    found = [(job.policy, job.client, job.due) for job in it.kind("backup")]
    assert len(found) == len(set(found)) == 3 * 2 * 3
    assert sorted(job.id for job in new) == [job.id for job in it.kind("backup")], "each is new for one engine"


def test_an_engine_that_is_behind_does_not_repeat_what_another_did(scheduled, opened, tmp_path, clock):
    """It found the policy waiting, then was held up; meanwhile another engine did this moment and the next."""
    url = f"sqlite:///{tmp_path}/cyborg.db"
    it = scheduled("0 * * * *", bind=url)
    slow = opened(url, executor=FakeExecutor(), clock=clock)
    clock.forward(hours=1)
    then = clock()
    [stale] = slow._timetable.waiting(then)
    for _ in range(2):
        assert len(it.cyborg.tick()) == 1
        it.cyborg.work()
        clock.forward(hours=1)
    assert slow._timetable.launch(stale, then).new == []
    assert len(it.kind("backup")) == 2


def test_a_tick_costs_by_what_is_due(tmp_path, clock):
    """Three thousand policies, of which four are due."""
    engine = create_engine(f"sqlite:///{tmp_path}/cyborg.db")
    statements = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    with cy.Cyborg(engine, executor=FakeExecutor(), clock=clock, key=KEY) as cyborg:
        it = Fleet(cyborg).ready()
        night = cyborg.schedules.add(cy.Schedule("night", "0 2 * * *"))
        noon = cyborg.schedules.add(cy.Schedule("noon", "0 14 * * *"))
        first = it.add_policy("p0", schedule=night)
        with cyborg._store.transaction() as connection:
            columns = ", ".join(column for column in _columns(connection) if column not in ("id", "name"))
            connection.exec_driver_sql(
                "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
                f"INSERT INTO cyborg_policies (name, {columns}) "
                f"SELECT 'p' || i, {columns} FROM n, cyborg_policies WHERE cyborg_policies.id = {first.id}"
            )
            connection.exec_driver_sql("UPDATE cyborg_policies SET extra_vars = NULL")
        for n in range(4):
            it.add_policy(f"noon{n}", schedule=noon)
        cyborg.tick()
        statements.clear()
        assert cyborg.tick() == []
        assert len(statements) <= 4
        clock.forward(hours=2)
        statements.clear()
        assert len(cyborg.tick()) == 4
        assert len(statements) < 4 * 50
    engine.dispose()


def _columns(connection):
    return [row[1] for row in connection.exec_driver_sql("PRAGMA table_info(cyborg_policies)")]
