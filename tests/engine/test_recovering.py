"""A backup of which nobody knows how it stands: nothing is begun beside it; what is lost is looked for, and retried."""

from __future__ import annotations

import attrs
import pytest

import cyborglib as cy
from cyborglib.testing import FakeExecutor
from tests.engine.fleet import Meanwhile, assert_settled, let_leases_pass, made, sql, until


def held(it) -> list[tuple[str]]:
    return sorted(sql(it.cyborg, "SELECT key FROM cyborg_holds"))


def test_what_cannot_be_asked_stays_at_work_with_all_it_holds(in_hand):
    it = in_hand()
    other = it.add_policy("other")
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        first = it.executor.next().start()
        first.leave()
        it.set(retry_delays=(3600,))
        [waiting] = it.cyborg.launch(other)
        second = it.executor.next()
        assert (first.host.recover, second.host.recover) == (False, True)
        assert second.host.variables["borg_archive"] == first.host.variables["borg_archive"]
        second.lose(gone=False).leave()
        until(lambda: it.cyborg._engine.busy == 0)
        found = it.cyborg.jobs.get(job.id)
        assert (found.status, found.attempt) == ("running", 1)
        assert "asked again" in found.reason
        assert "no route to it" in found.reason
        assert held(it) == [("client:1",), ("vault:1",)]
        assert it.cyborg.jobs.get(waiting.id).status == "pending"
        let_leases_pass(it.cyborg)
        third = it.executor.next()
        assert third.host.recover
        assert it.cyborg.jobs.get(job.id).reason == ""
        third.start().succeed().leave()
        it.executor.next().start().succeed().leave()
    assert it.cyborg.jobs.get(job.id).status == "successful"
    assert "no route to it" in it.cyborg.output(job)[0]
    assert it.of(job) == ["JobQueued", "JobStarted", "JobOutput", "JobSucceeded"]
    assert_settled(it.cyborg)


def test_an_archive_that_is_there_is_the_backup(in_hand):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        first = it.executor.next().start().lose(gone=True)
        look = it.executor.next()
        assert not look.host.host.key_of, "the controller looks, not the client"
        assert held(it) == [("client:1",), ("vault:1",)]
        # What the first run still says is of no account any more.
        assert not first.control.ended(job.id, made(first.host))
        first.leave()
        look.find(first.host.variables["borg_archive"]).leave()
    job = it.cyborg.jobs.get(job.id)
    assert (job.status, job.attempt, job.stats.files) == ("successful", 1, 3)
    assert "recovered" in job.warnings[0]
    [archive] = it.cyborg.archives
    assert (archive.borg_id, archive.files) == (f"{0xAA:064x}", 3)
    assert it.of(job) == ["JobQueued", "JobStarted", "JobSucceeded"]
    assert_settled(it.cyborg)


def test_one_that_is_not_there_is_made_by_a_new_attempt_under_a_new_name(in_hand):
    it = in_hand(retries=1)
    [job] = it.cyborg.launch(it.policy)
    names = []
    with Meanwhile(it.cyborg.work):
        for attempt in (1, 2):
            given = it.executor.next().start().lose(gone=True)
            assert given.host.attempt == attempt
            names.append(given.host.variables["borg_archive"])
            it.executor.next().find().leave()
            given.leave()
    assert len(set(names)) == 2
    job = it.cyborg.jobs.get(job.id)
    assert (job.status, job.error.code, job.attempt) == ("failed", "lost", 2)
    assert "not in the vault" in str(job.error)
    assert it.of(job) == ["JobQueued", "JobStarted", "JobRetried", "JobStarted", "JobFailed"]
    assert "attempt 1 of 2 failed" in it.cyborg.output(job)[0]
    assert len(it.cyborg.archives) == 0
    assert_settled(it.cyborg)


def test_parts_that_are_there_are_kept_and_the_backup_is_made_anew(in_hand):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start().lose(gone=True)
        name = given.host.variables["borg_archive"]
        it.executor.next().find(f"{name}+a@20b", f"{name}+c").leave()
        again = it.executor.next().start()
        again.succeed().leave()
        given.leave()
    assert it.cyborg.jobs.get(job.id).status == "successful"
    assert [archive.part for archive in it.cyborg.archives] == ["a b", "c", ""]
    assert_settled(it.cyborg)


def test_what_lacks_a_source_is_no_backup(in_hand):
    it = in_hand(retries=0)
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start().lose(gone=True)
        it.executor.next().find(given.host.variables["borg_archive"], missing=("/etc",)).leave()
        given.leave()
    job = it.cyborg.jobs.get(job.id)
    assert (job.status, job.error.code) == ("failed", "lost")
    assert "lacks /etc" in str(job.error)
    assert len(it.cyborg.archives) == 0


def test_a_look_that_fails_is_done_again_unless_that_cannot_help(in_hand):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        first = it.executor.next().start().lose(gone=True)
        for code in ("lock_held", "unreachable"):
            look = it.executor.next()
            look.control.ended(job.id, cy.Outcome(error=cy.JobError(code, code)))
            asked = it.executor.next()
            assert asked.host.recover
            asked.lose(gone=True)
            look.leave()
            asked.leave()
        look = it.executor.next()
        look.control.ended(job.id, cy.Outcome(error=cy.JobError("wrong_passphrase", "it does not open")))
        look.leave()
        first.leave()
    job = it.cyborg.jobs.get(job.id)
    assert (job.status, job.error.code, job.attempt) == ("failed", "lost", 1)
    assert "could not be found out" in str(job.error)
    assert_settled(it.cyborg)


@pytest.mark.parametrize("there", [False, True])
def test_after_its_time_it_is_settled_by_the_vault_alone(in_hand, clock, there):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        name = given.host.variables["borg_archive"]
        given.leave()
        clock.forward(hours=26)
        it.executor.next().lose(gone=False).leave()
        it.executor.next().find(*([name] if there else [])).leave()
    job = it.cyborg.jobs.get(job.id)
    if there:
        assert job.status == "successful"
    else:
        assert (job.status, job.error.code, job.attempt) == ("failed", "lost", 1)
        assert job.error.permanent, "who knows what is still at work there"
    assert_settled(it.cyborg)


def test_whatever_keeps_it_from_being_asked_nothing_is_settled_by_that(in_hand):
    """Its vault became suspect, its client was switched off: its Borg goes on all the same."""
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    store = it.cyborg._store
    [claim] = store.jobs.claim("dead", limit=1, now=it.cyborg._clock(), lease=60)
    store.jobs.started(job.id, claim.fence)
    store.vaults.observe(1, suspect="somebody was here")
    it.cyborg.clients.replace(attrs.evolve(it.cyborg.clients.get(1), enabled=False))
    let_leases_pass(it.cyborg)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next()
        assert given.host.recover
        given.succeed().leave()
    assert it.cyborg.jobs.get(job.id).status == "successful"
    assert_settled(it.cyborg)


def test_a_cancel_waits_for_the_host_too(in_hand):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        it.cyborg.cancel(job)
        given.lose(gone=False).leave()
        asked = it.executor.next()
        assert it.cyborg.jobs.get(job.id).status == "running"
        until(lambda: asked.control.canceled(job.id))
        asked.control.ended(job.id, cy.Outcome(error=cy.JobError("canceled", "ended there"), gone=True))
        asked.leave()
    assert it.cyborg.jobs.get(job.id).status == "canceled"
    assert_settled(it.cyborg)


def test_one_that_was_canceled_and_is_lost_is_looked_for_and_not_done_again(in_hand):
    it = in_hand()
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        it.cyborg.cancel(job)
        given.lose(gone=True)
        look = it.executor.next()
        assert not look.control.canceled(job.id)
        look.find().leave()
        given.leave()
    assert it.cyborg.jobs.get(job.id).status == "canceled"
    assert_settled(it.cyborg)


@pytest.mark.parametrize("hours", [1, -1])
def test_a_controller_s_clock_that_jumps_loses_no_lease(opened, in_hand, tmp_path, clock, hours):
    """Leases are measured by the database's clock: another engine, whose clock jumped too, takes nothing over."""
    url = f"sqlite:///{tmp_path}/cyborg.db"
    it = in_hand(bind=url)
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        clock.forward(hours=hours)
        second = opened(url, executor=FakeExecutor(), clock=clock)
        with pytest.raises(cy.TimedOut):
            second.finish([job], timeout=2)
        assert second._given.runs == []
        assert sql(it.cyborg, f"SELECT fence FROM cyborg_jobs WHERE id = {job.id}") == [(1,)]
        given.succeed().leave()
    assert it.cyborg.jobs.get(job.id).status == "successful"
    assert_settled(it.cyborg)
