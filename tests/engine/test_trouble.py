"""A database that is away for a while: nothing that was done is lost, and nothing is said that is not so."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import IntegrityError, OperationalError

import cyborglib as cy
from cyborglib.engine.trouble import Trouble
from cyborglib.testing import FakeExecutor
from tests.engine.fleet import Fleet, Meanwhile, assert_settled, made, until


class Away:
    """A database in a file that says at once that it is locked, while `now()` holds it."""

    def __init__(self, path) -> None:
        self.path = path
        self.engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": 0.05})

    @contextmanager
    def now(self) -> Iterator[None]:
        holder = sqlite3.connect(self.path, isolation_level=None)
        try:
            holder.execute("PRAGMA busy_timeout = 60000")
            holder.execute("BEGIN EXCLUSIVE")
            yield
        finally:
            holder.close()


@pytest.fixture
def away(tmp_path) -> Iterator[Away]:
    found = Away(tmp_path / "cyborg.db")
    yield found
    found.engine.dispose()


def test_an_end_that_cannot_be_written_is_kept_and_written_later(in_hand, away):
    it = in_hand(bind=away.engine)
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        with away.now():
            given.control.output(job.id, "one")
            given.control.output(job.id, "two")
            given.control.progress(job.id, cy.Progress(files=1))
            assert given.control.ended(job.id, made(given.host)) is False, "who has the result must keep it"
            assert given.control.ended(job.id, cy.Outcome(error=cy.JobError("lost", "late"))) is False
            given.leave()
    assert it.cyborg.jobs.get(job.id).status == "successful"
    assert it.cyborg.output(job) == ["one", "two"]
    assert len(it.cyborg.archives) == 1
    names = it.of(job)
    assert (names[:2], names[-1]) == (["JobQueued", "JobStarted"], "JobSucceeded")
    assert_settled(it.cyborg)


def test_a_start_that_cannot_be_written_is_said_with_the_end(in_hand, away):
    it = in_hand(bind=away.engine)
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next()
        with away.now():
            given.control.started(job.id)
        given.succeed().leave()
    assert it.of(job) == ["JobQueued", "JobStarted", "JobSucceeded"]
    assert it.cyborg.jobs.get(job.id).started_at is not None


def test_who_works_waits_for_the_database(fleet, opened, away, clock):
    it = Fleet(opened(away.engine, executor=FakeExecutor(), clock=clock))
    with Meanwhile(it.cyborg.serve) as serving:
        until(lambda: it.cyborg._engine._workers)
        with away.now():
            threading.Event().wait(1.5)  # longer than until the next look
            assert not serving.over
        [job] = it.cyborg.launch(it.policy)
        it.cyborg.wait([job])
        it.cyborg.stop()
    assert it.cyborg.jobs.get(job.id).status == "successful"


def test_a_mistake_is_not_taken_for_a_database_that_is_away(fleet):
    it = fleet()
    it.cyborg._engine._hands.take = lambda only: 1 / 0
    it.cyborg.launch(it.policy)
    with pytest.raises(ZeroDivisionError):
        it.cyborg.work()


def test_trouble_is_said_once_a_minute(caplog, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("cyborglib.engine.trouble.time.monotonic", lambda: now[0])
    trouble = Trouble()
    error = OperationalError("SELECT 1", {}, Exception("server closed the connection"))
    for _ in range(130):
        assert trouble.passes(error, "it is asked again")
        now[0] += 1
    assert len(caplog.records) == 3
    assert "server closed the connection" in caplog.text
    assert not trouble.passes(ValueError("no"), "")
    assert not trouble.passes(IntegrityError("", {}, Exception()), "")


def test_connections_that_are_cut_do_not_cut_a_night(opened, postgresql_url, clock):
    """Somebody ends all sessions of the server, again and again, while jobs are at work."""
    it = Fleet(opened(postgresql_url, executor=FakeExecutor(seconds=0.05), clock=clock), clients=3)
    it.set(catalog=False)
    for n in range(2):
        it.add_policy(f"p{n}")
    for policy in it.cyborg.policies:
        it.cyborg.launch(policy)
    url = make_url(postgresql_url)
    admin = create_engine(url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    cut = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name")
    with Meanwhile(it.cyborg.work) as working, admin.connect() as connection:
        for _ in range(8):
            connection.execute(cut, {"name": url.database})
            threading.Event().wait(0.1)
        working.join()
    admin.dispose()
    backups = it.kind("backup")
    assert {job.status for job in backups} == {"successful"}, [(job.status, str(job.error)) for job in backups]
    assert len(it.cyborg.archives) == len(backups) == 9
    assert_settled(it.cyborg)
