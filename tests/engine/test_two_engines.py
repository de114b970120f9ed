"""Two engines on one database, in threads and in processes: every job is worked, and none twice."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import attrs
import pytest
from sqlalchemy import create_engine, event

import cyborglib as cy
from cyborglib.testing import FakeExecutor
from tests.engine.conftest import KEY
from tests.engine.fleet import Fleet, Meanwhile, assert_settled, let_leases_pass, until
from tests.engine.other_process import Noting

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cyborg.db"
    return request.getfixturevalue("postgresql_url")


def many(cyborg: cy.Cyborg, *, clients: int = 5, policies: int = 3) -> Fleet:
    """A fleet with much to do, all of it queued; the listings are left out, as each engine has vaults of its own."""
    it = Fleet(cyborg, clients)
    it.set(catalog=False, parallel=3)
    for n in range(policies - 1):
        it.add_policy(f"p{n}")
    for policy in cyborg.policies:
        cyborg.launch(policy)
    return it


def assert_worked_once(it: Fleet, worked: list[tuple[int, int]]) -> None:
    assert set(Counter(worked).values()) == {1}
    assert {job for job, _ in worked} == {job.id for job in it.cyborg.jobs}
    assert it.statuses() == {"successful": len(it.cyborg.jobs)}
    assert len(it.cyborg.archives) == len(it.kind("backup"))
    assert_settled(it.cyborg)


def process(url: str, log: Path, verb: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.engine.other_process", url, str(log), verb],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={"CYBORG_KEY": KEY, "PATH": ""},
    )  # fmt: skip


def test_in_two_threads(opened, url):
    one, two = FakeExecutor(seconds=0.02), FakeExecutor(seconds=0.02)
    it = many(opened(url, executor=one))
    second = opened(url, executor=two)
    with Meanwhile(it.cyborg.work), Meanwhile(second.work):
        pass
    worked = [(host.job, host.attempt) for executor in (one, two) for run in executor.runs for host in run.hosts]
    assert_worked_once(it, worked)
    assert one.runs
    assert two.runs


def test_in_two_processes(opened, url, tmp_path):
    log = tmp_path / "log"
    it = many(opened(url, executor=Noting(str(log), seconds=0.02)))
    other = process(url, log, "work")
    watcher = process(url, log, "wait")
    it.cyborg.work()
    said, _ = watcher.communicate(timeout=60)
    assert other.wait(timeout=60) == watcher.returncode == 0
    other.communicate()
    assert Counter(said.split()) == it.statuses()
    worked = [tuple(map(int, line.split()[:2])) for line in log.read_text().splitlines()]
    assert_worked_once(it, worked)


def test_a_run_watches_what_another_engine_has_at_work(opened, url):
    it = many(opened(url, executor=FakeExecutor(seconds=0.3)), clients=1, policies=1)
    second = opened(url, executor=FakeExecutor())
    with Meanwhile(it.cyborg.work):
        [job] = it.kind("backup")
        until(lambda: it.cyborg.jobs.get(job.id).status == "running")
        [ended] = second.run("etc")
    assert (ended.id, ended.status) == (job.id, "successful")
    assert second._given.runs == []


def test_an_engine_that_is_killed_is_followed(opened, tmp_path):
    """Killed in the middle of a backup, like by a power cut: its lease runs out, and its Borg is asked for."""
    url, log = f"sqlite:///{tmp_path}/cyborg.db", tmp_path / "log"
    it = Fleet(opened(url, executor=FakeExecutor())).ready()
    it.set(catalog=False)
    [job] = it.cyborg.launch(it.policy)
    other = process(url, log, "hang")
    assert other.stdout is not None
    assert other.stdout.readline() == f"started {job.id}\n"
    other.kill()
    other.communicate()
    assert it.cyborg.jobs.get(job.id).status == "running"
    with pytest.raises(cy.TimedOut):
        it.cyborg.finish([job], timeout=0.05)
    let_leases_pass(it.cyborg)
    [job] = it.cyborg.finish([job])
    assert (job.status, job.attempt) == ("successful", 1)
    assert it.cyborg._given.runs[-1].hosts[0].recover
    assert_settled(it.cyborg)


def test_the_database_of_a_host_application(opened, tmp_path):
    """Its Engine, its tables, its transactions: neither waits for the other's, nor undoes them."""
    host = create_engine(f"sqlite:///{tmp_path}/app.db", connect_args={"timeout": 60})
    event.listen(host, "connect", lambda driver, _: driver.execute("PRAGMA journal_mode = WAL"))
    with host.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE orders (id INTEGER PRIMARY KEY, note TEXT)")
    cyborg = opened(host, executor=FakeExecutor())
    it = Fleet(cyborg, 2)

    @cyborg.on(cy.JobSucceeded)
    def note(event):
        with host.begin() as connection:
            connection.exec_driver_sql("INSERT INTO orders (note) VALUES (?)", (event.job.title,))

    reader = host.connect()
    assert reader.exec_driver_sql("SELECT count(*) FROM orders").scalar() == 0
    cyborg.run(it.policy)
    reader.close()
    with pytest.raises(RuntimeError), host.begin() as connection:  # noqa: PT012
        connection.exec_driver_sql("DELETE FROM orders")
        raise RuntimeError("the application changed its mind")
    with host.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM orders").scalar() == 8
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 0, "as the application has it"
    cyborg.close()
    with host.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM cyborg_jobs").scalar() == 8
    host.dispose()


def test_settings_that_change_hold_from_the_next_look(opened, url):
    it = Fleet(opened(url, executor=FakeExecutor()), 3)
    second = opened(url, executor=FakeExecutor())
    second.settings = attrs.evolve(second.settings, parallel=1, catalog=False)
    it.cyborg.run(it.policy)
    assert {len(run.hosts) for run in it.cyborg._given.runs} == {1}
    assert it.kind("catalog") == []
