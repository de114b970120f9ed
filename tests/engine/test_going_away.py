"""stop, close, Ctrl-C, a time that is up, an engine that died: nothing is lost, and nothing runs twice."""

from __future__ import annotations

import os
import signal
import threading

import pytest

import cyborglib as cy
from cyborglib.testing import FakeExecutor
from tests.engine.fleet import (
    LONG,
    ByHand,
    Meanwhile,
    assert_settled,
    let_leases_pass,
    made,
    sql,
    until,
)


@pytest.fixture
def file(tmp_path):
    return f"sqlite:///{tmp_path}/cyborg.db"


# stop


def test_a_stop_before_the_work_is_not_lost(fleet):
    it = fleet()
    it.cyborg.launch(it.policy)
    it.cyborg.stop()
    it.cyborg.serve()
    assert it.statuses() == {"pending": 1, "waiting": 3}
    it.cyborg.work()
    assert it.statuses() == {"successful": 4}


def test_a_stop_lets_what_is_at_work_end_and_leaves_the_rest(in_hand):
    it = in_hand(clients=3)
    it.set(parallel=1)
    jobs = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.serve) as serving:
        given = it.executor.next().start()
        it.cyborg.stop()
        assert not serving.over
        given.succeed().leave()
        serving.join()
    assert [job.status for job in it.cyborg.jobs.many(job.id for job in jobs)] == ["successful", "pending", "pending"]
    assert it.of(jobs[0])[-1] == "JobSucceeded"


def test_a_stop_from_a_listener(fleet):
    it = fleet(clients=2)
    it.cyborg.on(cy.JobSucceeded)(lambda _: it.cyborg.stop())
    it.cyborg.launch(it.policy)
    it.cyborg.serve()
    assert it.statuses()["successful"] >= 1


def test_a_stop_from_a_signal_handler_at_any_instant(fleet):
    """The handler comes while the thread holds whatever lock it holds; so it must take none."""
    it = fleet(clients=2, says=lambda job: ["a line"] * 5)
    before = signal.signal(signal.SIGUSR1, lambda *_: it.cyborg.stop())
    done = threading.Event()

    def shower():
        while not done.wait(0.0005):
            os.kill(os.getpid(), signal.SIGUSR1)

    try:
        thread = threading.Thread(target=shower)
        thread.start()
        for _ in range(30):
            it.cyborg.launch(it.policy)
            it.cyborg.serve()
    finally:
        done.set()
        thread.join()
        signal.signal(signal.SIGUSR1, before)
    it.cyborg.stop()
    it.cyborg.work()
    it.cyborg.work()
    assert_settled(it.cyborg)


def test_a_stop_ends_a_run_and_gives_the_jobs_as_they_are(in_hand):
    it = in_hand(clients=2)
    it.set(parallel=1)
    with Meanwhile(lambda: it.cyborg.run(it.policy)) as running:
        given = it.executor.next().start()
        it.cyborg.stop()
        given.succeed().leave()
        assert [job.status for job in running.join()] == ["successful", "pending"]


# A time that is up


def test_run_is_over_in_time_and_what_is_at_work_goes_on(in_hand):
    it = in_hand()
    with pytest.raises(cy.TimedOut, match="within 0 s; they go on with the next engine"):
        it.cyborg.run(it.policy, timeout=0)
    [job] = it.kind("backup")
    assert job.status == "pending"

    with Meanwhile(lambda: it.executor.next().start()) as started, pytest.raises(cy.TimedOut):
        it.cyborg.finish([job], timeout=0.2)
    given = started.join()
    assert it.cyborg.jobs.get(job.id).status == "running"
    given.succeed().leave()
    assert it.cyborg.finish([job])[0].status == "successful"
    assert it.of(job) == ["JobQueued", "JobStarted", "JobSucceeded"]


def test_run_does_not_wait_for_what_else_this_engine_has_at_work(in_hand):
    it = in_hand(clients=2)
    other = it.add_policy("other", clients=it.clients[1:])
    [slow, _] = it.cyborg.launch(it.policy)
    with pytest.raises(cy.TimedOut):
        it.cyborg.finish([slow], timeout=0.3)
    stuck = it.executor.next().start()
    with Meanwhile(lambda: it.cyborg.run(other)) as running:
        given = it.executor.next().start()
        given.succeed().leave()
        assert [job.status for job in running.join()] == ["successful"]
    assert it.cyborg.jobs.get(slow.id).status == "running"
    stuck.succeed().leave()
    until(lambda: it.cyborg.jobs.get(slow.id).finished)


def test_wait_is_over_in_time(fleet):
    it = fleet()
    jobs = it.cyborg.launch(it.policy)
    with pytest.raises(cy.TimedOut, match="go on where they are worked"):
        it.cyborg.wait(jobs, timeout=0)
    it.cyborg.work()
    assert [job.status for job in it.cyborg.wait(jobs, timeout=0)] == ["successful"]


# close


def test_close_while_another_thread_works(opened, file, clock, in_hand):
    it = in_hand(bind=file)
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.serve) as serving:
        given = it.executor.next().start()
        it.cyborg.close()
        serving.join()
    assert it.executor.closed == 1
    assert given.control.ended(job.id, made(given.host)) is False, "it is not this engine's any more"
    second = opened(file, executor=FakeExecutor(), clock=clock)
    assert second.jobs.get(job.id).status == "running"
    [job] = second.finish([job])
    assert (job.status, job.attempt) == ("successful", 1)
    assert len(second.archives) == 1
    assert_settled(second)


def test_close_from_a_listener(fleet):
    it = fleet(clients=2, seconds=5)
    it.cyborg.on(cy.JobStarted)(lambda _: it.cyborg.close())
    it.cyborg.launch(it.policy)
    it.cyborg.serve()
    with pytest.raises(cy.CyborgError, match="closed"):
        it.cyborg.work()


def test_close_twice_and_without_any_work(opened):
    cyborg = opened(executor=FakeExecutor())
    cyborg.close()
    cyborg.close()


def test_an_executor_that_was_given_is_left_open_unless_it_is_at_work(in_hand):
    it = in_hand()
    with Meanwhile(lambda: it.cyborg.run(it.policy)):
        it.executor.next().start().succeed().leave()
    it.cyborg.close()
    assert it.executor.closed == 0


# Ctrl-C, and engines that died


@pytest.mark.parametrize("problem", [KeyboardInterrupt, SystemExit])
def test_ctrl_c_leaves_borg_at_work_and_the_next_engine_follows_it(opened, file, clock, problem):
    executor = ByHand()
    first = opened(file, executor=executor, clock=clock)
    client = first.clients.add(cy.Client("web1"))
    [job] = first.prepare(client)
    vault = first.repositories.add(cy.Repository("vault", "borg@nas:/srv/{client}"))
    policy = first.policies.add(cy.Policy("etc", type="config", repository=vault, clients=[client]))
    first.set_ready(client)
    first._store.jobs.cancel(job.id)
    [vault_job] = first.prepare(vault)
    fake = FakeExecutor()
    second = opened(file, executor=fake, clock=clock)
    second.finish([vault_job])

    @first.on(cy.JobStarted)
    def leave(_event):
        raise problem

    [job] = first.launch(policy)
    with Meanwhile(lambda: executor.next().start()), pytest.raises(problem):
        first.finish([job])
    assert executor.closed == 1
    assert first.jobs.get(job.id).status == "running"
    clock.forward(minutes=5)
    [job] = second.finish([job])
    assert (job.status, job.attempt) == ("successful", 1)
    [asked] = [host for run in fake.runs for host in run.hosts if host.job == job.id]
    assert asked.recover
    assert asked.fence == 2
    assert second.archives.get(job.archives[0]).name == asked.variables["borg_archive"]
    assert "T120000Z" in asked.variables["borg_archive"], "the name that the first engine gave"
    assert_settled(second)


def test_after_ctrl_c_the_same_object_goes_on(in_hand):
    it = in_hand()
    once = [1]

    @it.cyborg.on(cy.JobStarted)
    def leave(_event):
        if once:
            once.clear()
            raise KeyboardInterrupt

    with Meanwhile(lambda: it.executor.next().start()), pytest.raises(KeyboardInterrupt):
        it.cyborg.run(it.policy)
    [job] = it.kind("backup")
    with Meanwhile(lambda: it.cyborg.finish([job])):
        given = it.executor.next()
        assert given.host.recover
        given.start().succeed().leave()
    assert it.cyborg.jobs.get(job.id).status == "successful"
    assert_settled(it.cyborg)


def test_a_run_is_not_held_up_for_ever_by_the_job_of_an_engine_that_died(fleet):
    """Another policy's backup holds the client, and its engine is gone: nobody else would take it over."""
    it = fleet()
    other = it.add_policy("other")
    it.cyborg.run(it.policy)
    [orphan] = it.cyborg.launch(it.policy)
    [claim] = it.cyborg._store.jobs.claim("dead", limit=1, now=it.cyborg._clock(), lease=60)
    it.cyborg._store.jobs.started(orphan.id, claim.fence)
    let_leases_pass(it.cyborg)
    [job] = it.cyborg.run(other, timeout=LONG)
    assert job.status == "successful"
    assert it.cyborg.jobs.get(orphan.id).status == "successful"


def test_preparations_of_an_engine_that_died_are_done_again(fleet):
    it = fleet()
    it.cyborg.launch(it.policy)
    [claim] = it.cyborg._store.jobs.claim("dead", limit=1, now=it.cyborg._clock(), lease=60)
    let_leases_pass(it.cyborg)
    it.cyborg.work()
    job = it.cyborg.jobs.get(claim.job.id)
    assert (job.status, job.attempt) == ("successful", 2)
    assert it.of(job) == ["JobQueued", "JobRetried", "JobStarted", "JobSucceeded"]
    assert it.statuses() == {"successful": 4}
    assert_settled(it.cyborg)


def test_a_canceled_job_of_an_engine_that_died_is_not_done_again(fleet):
    it = fleet()
    it.cyborg.launch(it.policy)
    [claim] = it.cyborg._store.jobs.claim("dead", limit=1, now=it.cyborg._clock(), lease=60)
    it.cyborg.cancel(claim.job)
    let_leases_pass(it.cyborg)
    it.cyborg.work()
    assert it.statuses() == {"canceled": 1, "skipped": 3}
    assert_settled(it.cyborg)


def test_what_was_claimed_and_never_known_of_runs_out(in_hand, monkeypatch):
    """A claim that was committed and whose answer was lost: its engine must not keep it alive with its own."""
    monkeypatch.setattr("cyborglib.engine.heart.PER_LEASE", 1e9)
    it = in_hand(clients=2)
    jobs = it.cyborg.launch(it.policy)
    store, owner = it.cyborg._store, it.cyborg._engine.owner
    [lost] = store.jobs.claim(owner, limit=1, now=it.cyborg._clock(), lease=60, only=[jobs[0].id])
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        assert given.jobs == [jobs[1].id]
        let_leases_pass(it.cyborg)
        asked = it.executor.next()
        assert (asked.jobs, asked.host.recover) == ([lost.job.id], True)
        assert it.executor.idle
        asked.start().succeed().leave()
        given.succeed().leave()
    assert it.statuses()["successful"] == len(it.cyborg.jobs)
    assert sql(it.cyborg, f"SELECT fence FROM cyborg_jobs WHERE id = {jobs[0].id}") == [(2,)]
    assert_settled(it.cyborg)
