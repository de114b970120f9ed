"""Listeners that call verbs, are slow, or should not do what they do; and verbs from many threads."""

from __future__ import annotations

import threading
from contextlib import suppress

import pytest

import cyborglib as cy
from tests.engine.fleet import LONG, Meanwhile, assert_settled, until

ORDERS = (
    ["JobQueued", "JobStarted", "JobSucceeded"],
    ["JobQueued", "JobCanceled"],
    ["JobQueued", "JobStarted", "JobCanceled"],
    ["JobQueued", "JobSkipped"],
)


def test_a_listener_may_launch_and_the_jobs_are_worked_next(fleet):
    it = fleet()
    mail = it.add_policy("mail", type="mail")

    @it.cyborg.on(cy.JobSucceeded)
    def then(event):
        if event.job.policy == it.policy.id and event.job.kind == "backup":
            it.cyborg.launch(mail)

    it.cyborg.launch(it.policy)
    it.cyborg.work()
    assert [job.policy_name for job in it.kind("backup")] == ["etc", "mail"]
    assert it.statuses() == {"successful": 6}
    assert_settled(it.cyborg)


def test_a_listener_may_relaunch_what_failed(fleet):
    left = [3]

    def answer(job):
        if job.kind == "backup" and left[0]:
            left[0] -= 1
            return cy.Outcome(error=cy.JobError("source_missing", "not there yet"))
        return cy.Outcome()

    it = fleet(answer)
    it.cyborg.on(cy.JobFailed)(lambda event: it.cyborg.relaunch(event.job))
    it.cyborg.launch(it.policy)
    it.cyborg.work()
    assert [job.status for job in it.kind("backup")] == ["failed", "failed", "failed", "successful"]
    assert [job.launched_by for job in it.kind("backup")] == ["call", "relaunch", "relaunch", "relaunch"]
    assert_settled(it.cyborg)


def test_a_listener_may_cancel_what_it_hears_of(fleet):
    it = fleet(clients=3, seconds=20)
    it.cyborg.on(cy.JobStarted)(lambda event: it.cyborg.cancel(event.job))
    it.cyborg.launch(it.policy)
    it.cyborg.work()
    assert it.statuses() == {"canceled": 3, "skipped": 9}
    assert_settled(it.cyborg)


@pytest.mark.parametrize("verb", ["run", "work", "serve", "finish", "wait"])
def test_a_listener_cannot_wait_for_itself(fleet, verb):
    it = fleet()
    problems = []

    @it.cyborg.on(cy.JobStarted)
    def listener(event):
        call = {
            "run": lambda: it.cyborg.run(it.policy),
            "work": it.cyborg.work,
            "serve": it.cyborg.serve,
            "finish": lambda: it.cyborg.finish([event.job]),
            "wait": lambda: it.cyborg.wait([event.job]),
        }[verb]
        with pytest.raises(cy.CyborgError, match="listener") as caught:
            call()
        problems.append(str(caught.value))

    it.cyborg.run(it.policy)
    assert len(problems) == 4
    assert "call launch" in problems[0]
    assert len(it.cyborg.jobs) == 4, "a run that is refused queues nothing"


def test_a_listener_may_look_at_anything(fleet):
    it = fleet()
    seen = []

    @it.cyborg.on(cy.JobEvent)
    def listener(event):
        job = it.cyborg.jobs.get(event.job.id)
        seen.append((type(event).__name__, job.status.value))
        assert it.cyborg.clients.get("web1").hostname == "web1"

    it.cyborg.run(it.policy)
    assert {status for name, status in seen if name == "JobSucceeded"} == {"successful"}
    assert len(seen) == 13, "four jobs, and one confirmation"


def test_a_slow_listener_hears_the_latest_and_holds_up_no_job(in_hand):
    """While it sleeps over the first progress, a hundred more come, and another job is taken from the queue."""
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    heard, on = [], threading.Event()

    @it.cyborg.on(cy.JobProgressed)
    def slow(event):
        heard.append(event.progress.files)
        assert on.wait(LONG)

    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        given.control.progress(job.id, cy.Progress(files=1))
        until(lambda: heard)
        for n in range(2, 101):
            given.control.progress(job.id, cy.Progress(files=n))
        given.succeed().leave()
        assert it.cyborg.jobs.get(job.id).status == "successful"
        on.set()
    assert heard == [1, 100]
    assert it.of(job) == ["JobQueued", "JobStarted", "JobProgressed", "JobProgressed", "JobSucceeded"]


def test_verbs_from_many_threads_while_others_serve(fleet):
    """Launches and cancels from six threads, two that serve: every job ends, and is told of in its order."""
    it = fleet(clients=4)
    policies = [it.add_policy(f"p{n}") for n in range(6)]
    told_by = set()
    it.cyborg.on(cy.Event)(lambda event: told_by.add(threading.current_thread().name))

    def verbs(policy):
        for n in range(6):
            jobs = it.cyborg.launch(policy)
            if n % 3 == 2:
                with suppress(cy.InvalidTransition):  # It has ended by now.
                    it.cyborg.cancel(jobs[n % 4])

    with Meanwhile(it.cyborg.serve) as one, Meanwhile(it.cyborg.serve) as two:
        until(lambda: len(it.cyborg._engine._workers) == 2)
        threads = [threading.Thread(target=verbs, args=(policy,), name="verbs") for policy in policies]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        it.cyborg.wait(it.cyborg.jobs)
        it.cyborg.stop()
        one.join()
        two.join()
    assert "verbs" not in told_by, "where there is a thread that works, that one tells"
    for job in it.cyborg.jobs:
        assert [name for name in it.of(job) if name != "ArchiveConfirmed"] in ORDERS, job
    assert_settled(it.cyborg)


def test_without_anybody_at_work_the_verb_tells(fleet):
    it = fleet()
    told_by = []
    it.cyborg.on(cy.Event)(lambda event: told_by.append(threading.get_ident()))
    [job] = it.cyborg.launch(it.policy)
    it.cyborg.cancel(job)
    assert it.of(job) == ["JobQueued", "JobCanceled"]
    assert set(told_by) == {threading.get_ident()}
