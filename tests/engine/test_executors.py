"""Executors that do not keep to their word: every job ends, once, and what it held is free."""

from __future__ import annotations

import threading

import attrs
import pytest

import cyborglib as cy
from tests.engine.fleet import Meanwhile, assert_settled, let_leases_pass, made, sql, until

CANCELED = cy.Outcome(error=cy.JobError("canceled", "canceled"))


def test_what_is_asked_for_may_have_gone_well(in_hand):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        it.executor.next().start().leave(RuntimeError("ansible-playbook was killed"))
        it.executor.next().start().succeed().leave()
    assert it.cyborg.jobs.get(job.id).status == "successful"
    assert it.of(job) == ["JobQueued", "JobStarted", "JobSucceeded"]
    assert len(it.cyborg.archives) == 1
    assert_settled(it.cyborg)


def test_a_run_that_breaks_before_anything_began_is_tried_again(in_hand):
    it = in_hand(retries=2)
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        for _ in range(3):
            given = it.executor.next()
            assert not given.host.recover
            given.leave(RuntimeError("no ansible"))
    job = it.cyborg.jobs.get(job.id)
    assert (job.status, job.error.code, job.attempt) == ("failed", "internal", 3)
    assert it.of(job) == ["JobQueued", "JobRetried", "JobRetried", "JobFailed"]
    assert_settled(it.cyborg)


@pytest.mark.parametrize("problem", [SystemExit(3), KeyboardInterrupt(), GeneratorExit()])
def test_whatever_an_executor_raises_its_jobs_end(in_hand, problem):
    it = in_hand(clients=2, retries=0)
    jobs = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next()
        given.control.started(given.jobs[0])
        given.leave(problem)
        asked = it.executor.next()
        assert asked.jobs == given.jobs[:1]
        asked.leave(problem)
        again = it.executor.next()
        assert (again.jobs, again.host.recover) == (given.jobs[:1], True)
        again.control.ended(again.host.job, cy.Outcome(error=cy.JobError("internal", "gone"), gone=True))
        again.leave()
    assert {job.error.code for job in it.cyborg.jobs.many(job.id for job in jobs)} == {"internal"}
    assert_settled(it.cyborg)


def test_only_the_first_report_counts(in_hand):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start().succeed()
        for late in (made(given.host, "f" * 64), cy.Outcome(error=cy.JobError("timeout", "late")), CANCELED):
            assert given.control.ended(given.host.job, late) is False
        given.control.started(given.host.job)
        given.control.progress(given.host.job, cy.Progress(files=1))
        given.control.output(given.host.job, "a last word")
        given.leave()
    assert it.of(job) == ["JobQueued", "JobStarted", "JobSucceeded"]
    assert [archive.borg_id for archive in it.cyborg.archives] == [f"{job.id:064x}"]
    assert it.cyborg.output(job) == []
    assert_settled(it.cyborg)


def test_a_success_without_a_start_is_a_start_and_a_success(in_hand):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        it.executor.next().succeed().leave()
    job = it.cyborg.jobs.get(job.id)
    assert job.started_at is not None
    assert it.of(job) == ["JobQueued", "JobStarted", "JobSucceeded"]
    assert [archive.created_at for archive in it.cyborg.archives] == [job.started_at]


def test_a_job_of_another_run_is_not_taken_from_this_one(in_hand):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        for call in (given.control.started, given.control.job, given.control.canceled):
            with pytest.raises(cy.NotFound, match="not of this run"):
                call(job.id + 1)
        given.succeed().leave()
    assert it.cyborg.jobs.get(job.id).status == "successful"


@pytest.mark.parametrize(
    ("outcome", "status"),
    [(CANCELED, "canceled"), (cy.Outcome(error=cy.JobError("unreachable", "gone")), "canceled"), (None, "successful")],
)
def test_a_job_asked_to_cancel_ends_as_it_ended(in_hand, outcome, status):
    """Canceled, or about to be tried again: then it is not. But what was done in spite of it is done."""
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        it.cyborg.cancel(job)
        assert given.control.canceled(job.id), "in the same process it is known at once"
        given.control.ended(job.id, outcome or made(given.host))
        given.leave()
    assert it.cyborg.jobs.get(job.id).status == status
    assert_settled(it.cyborg)


def test_a_cancel_from_elsewhere_is_heard(in_hand):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        it.cyborg._store.jobs.cancel(job.id)  # as another process does it
        until(lambda: given.control.canceled(job.id))
        given.control.ended(job.id, CANCELED)
        given.leave()
    assert it.of(job)[-1] == "JobCanceled"


def test_who_lost_a_job_says_nothing_more_of_it(in_hand):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        let_leases_pass(it.cyborg)
        claim = it.cyborg._store.jobs.adopt(job.id, "another engine", 60)
        assert claim is not None
        given.control.output(job.id, "not for the record")
        given.control.progress(job.id, cy.Progress(files=99))
        assert given.control.ended(job.id, made(given.host)) is False
        with pytest.raises(cy.NotFound):
            given.control.secret(job.id, "borg_passphrase")
        assert it.cyborg.jobs.get(job.id).status == "running"
        assert it.cyborg._engine.busy == 0
        it.cyborg._store.jobs.succeed(job.id, claim.fence)
        given.leave()
    assert len(it.cyborg.archives) == 0
    assert it.cyborg.output(job) == []
    assert it.cyborg.jobs.get(job.id).progress is None
    assert_settled(it.cyborg)


def test_an_engine_that_slept_takes_its_own_jobs_up_again(in_hand, monkeypatch):
    monkeypatch.setattr("cyborglib.engine.heart.PER_LEASE", 1e9)  # renew with every beat
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        let_leases_pass(it.cyborg)
        until(lambda: not it.cyborg._store.jobs.expired())
        assert sql(it.cyborg, f"SELECT fence FROM cyborg_jobs WHERE id = {job.id}") == [(2,)]
        assert it.executor.idle, "no second run beside the first"
        given.succeed().leave()
    assert it.cyborg.jobs.get(job.id).status == "successful"
    assert_settled(it.cyborg)


def test_an_archive_that_another_job_made_is_not_taken_for_this_one_s(in_hand):
    it = in_hand()
    for _ in range(2):
        [job] = it.cyborg.launch(it.policy)
        with Meanwhile(it.cyborg.work):
            given = it.executor.next().start()
            given.control.ended(job.id, made(given.host, "a" * 64))
            given.leave()
    job = it.cyborg.jobs.get(job.id)
    assert (job.status, job.error.code) == ("failed", "hostile_answer")
    assert len(it.cyborg.archives) == 1
    assert_settled(it.cyborg)


@pytest.mark.parametrize(
    "outcome",
    [
        cy.Outcome(warnings=None),
        cy.Outcome(archives=7),
        cy.Outcome(archives=("x",)),
        cy.Outcome(error="wrong"),
    ],
)
def test_an_outcome_that_is_none_fails_the_job_and_nothing_else(in_hand, outcome):
    it = in_hand(retries=0)
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        given.control.ended(job.id, outcome)
        given.leave()
    job = it.cyborg.jobs.get(job.id)
    assert (job.status, job.error.code) == ("failed", "internal")
    assert_settled(it.cyborg)


def test_lines_are_kept_in_order_and_written_in_few_goes(in_hand, monkeypatch):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    writes = []
    write = it.cyborg._store.jobs.output
    monkeypatch.setattr(it.cyborg._store.jobs, "output", lambda *a, **b: (writes.append(a), write(*a, **b)))
    lines = [f"line {n}" for n in range(2000)]
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        for line in lines:
            given.control.output(job.id, line)
        given.succeed().leave()
    assert it.cyborg.output(job) == lines
    assert len(writes) < 200
    told = [event.line for event in it.told if isinstance(event, cy.JobOutput)]
    assert told == lines
    assert it.of(job)[-1] == "JobSucceeded"


def test_lines_of_a_job_that_goes_on_are_written_soon(in_hand):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        for n in range(5):
            given.control.output(job.id, f"line {n}")
        until(lambda: len(it.cyborg.output(job)) == 5)
        given.succeed().leave()


def test_many_threads_may_tell_of_one_run(in_hand):
    it = in_hand(clients=8)
    jobs = it.cyborg.launch(it.policy)

    def tell(given, host):
        for n in range(20):
            given.control.progress(host.job, cy.Progress(files=n))
            given.control.output(host.job, f"{host.job}: {n}")
        given.control.ended(host.job, made(host))

    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        threads = [threading.Thread(target=tell, args=(given, host)) for host in given.run.hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        given.leave()
    for job in it.cyborg.jobs.many(job.id for job in jobs):
        assert job.status == "successful"
        assert it.cyborg.output(job) == [f"{job.id}: {n}" for n in range(20)]
        assert (it.of(job)[:2], it.of(job)[-1]) == (["JobQueued", "JobStarted"], "JobSucceeded")
    assert_settled(it.cyborg)


def test_an_executor_that_cannot_be_made_fails_the_jobs(opened, clock, monkeypatch):
    cyborg = opened(executor=None, clock=clock)
    monkeypatch.setattr(cyborg._engine._runs, "_new_executor", lambda: 1 / 0)
    cyborg.settings = attrs.evolve(cyborg.settings, retry_delays=(0,))
    [job] = cyborg.prepare(cyborg.clients.add(cy.Client("web1")))
    [job] = cyborg.finish([job])
    assert (job.status, job.error.code, job.attempt) == ("failed", "internal", 3)
    assert_settled(cyborg)
