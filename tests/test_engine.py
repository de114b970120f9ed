"""The engine through the facade: what changed while jobs waited, and what the verbs that work promise."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest

import cyborglib as cy
from tests.engine.conftest import clock, fleet, in_hand, opened
from tests.engine.fleet import Meanwhile, assert_settled, until

__all__ = ["clock", "fleet", "in_hand", "opened"]


def failing(kind: str, code: str, times: int = 1) -> Callable[[cy.Job], cy.Outcome]:
    left = [times]

    def answer(job: cy.Job) -> cy.Outcome:
        if job.kind == kind and left[0] > 0:
            left[0] -= 1
            return cy.Outcome(error=cy.JobError(code, f"{kind} went wrong"))
        return cy.Outcome()

    return answer


# What changed while a job waited


@pytest.mark.parametrize("what", ["client", "repository", "policy"])
def test_what_was_disabled_meanwhile_is_left_out_with_what_waits_for_it(fleet, what):
    it = fleet(clients=2).ready()
    jobs = it.cyborg.launch(it.policy)
    shelf, value = {
        "client": (it.cyborg.clients, it.cyborg.clients.get("web1")),
        "repository": (it.cyborg.repositories, it.cyborg.repositories.get("vault")),
        "policy": (it.cyborg.policies, it.policy),
    }[what]
    shelf.replace(attrs.evolve(value, enabled=False))
    it.cyborg.work()
    ended = it.cyborg.jobs.many(job.id for job in jobs)
    skipped = ["skipped", "successful"] if what == "client" else ["skipped", "skipped"]
    assert [job.status for job in ended] == skipped
    assert "was disabled after this job was queued; enable it" in ended[0].reason
    assert {job.status for job in it.kind("catalog") if ended[0].id in job.after} == {"skipped"}
    assert_settled(it.cyborg)


def test_a_restore_for_a_client_that_is_disabled_is_done(fleet):
    it = fleet()
    [backup] = it.cyborg.run(it.policy)
    it.cyborg.clients.replace(attrs.evolve(it.cyborg.clients.get("web1"), enabled=False))
    job = it.cyborg.restore(backup.archives[0], ["/etc/hosts"], to=it.clients[0])
    assert it.cyborg.finish([job])[0].status == "successful"


def test_what_a_job_needs_cannot_be_removed(fleet):
    it = fleet()
    it.cyborg.launch(it.policy)
    for shelf in (it.cyborg.clients, it.cyborg.policies, it.cyborg.repositories):
        with pytest.raises(cy.InUse, match="unfinished job"):
            shelf.remove(1)
    it.cyborg.work()
    assert_settled(it.cyborg)


def test_a_policy_that_became_another_type_does_not_run_with_the_old_one_s_options(fleet):
    it = fleet(type="folders", extra_vars={"folders": ["/srv"]}).ready()
    [job] = it.cyborg.launch(it.policy)
    it.cyborg.policies.replace(attrs.evolve(it.policy, type="config", extra_vars={}))
    [job] = it.cyborg.finish([job])
    assert (job.status, job.error.code) == ("failed", "bad_arguments")
    assert "folders" in job.error.message
    assert_settled(it.cyborg)


def test_a_policy_that_changed_meanwhile_is_worked_as_it_is_now(fleet):
    it = fleet(compression="lz4").ready()
    it.cyborg.launch(it.policy)
    it.cyborg.policies.replace(attrs.evolve(it.policy, compression="zstd,9"))
    it.cyborg.work()
    [run] = [run for run in it.cyborg._given.runs if run.playbook == "backup"]
    assert run.hosts[0].variables["borg_compression"] == "zstd,9"


def test_a_client_that_moved_meanwhile_is_reached_where_it_is(fleet):
    it = fleet().ready()
    it.cyborg.launch(it.policy)
    it.cyborg.clients.replace(attrs.evolve(it.cyborg.clients.get("web1"), address="192.0.2.7", port=2222))
    it.cyborg.work()
    host = it.cyborg._given.runs[-2].hosts[0].host
    assert (host.address, host.port) == ("192.0.2.7", 2222)


def test_what_breaks_one_job_s_hand_over_breaks_no_other(fleet, monkeypatch):
    it = fleet(clients=2, retries=0).ready()
    jobs = it.cyborg.launch(it.policy)
    latest = it.cyborg._store.archives.latest
    monkeypatch.setattr(it.cyborg._store.archives, "latest", lambda p, c: 1 / 0 if c == 1 else latest(p, c))
    ended = it.cyborg.finish(jobs)
    assert [job.status for job in ended] == ["failed", "successful"]
    assert ended[0].error.code == "internal"
    assert "division by zero" in ended[0].error.message
    assert_settled(it.cyborg)


def test_what_two_preparations_of_one_client_found_out_is_all_kept(fleet):
    """Even where jobs do not hold their clients."""
    it = fleet()
    it.set(hold_client=False)
    other = it.cyborg.repositories.add(cy.Repository("other", "borg@box:/srv/{client}"))
    it.add_policy("other", repository=other)
    it.cyborg.finish(it.cyborg.prepare(it.clients[0]))
    it.cyborg.finish([*it.cyborg.prepare(it.repository), *it.cyborg.prepare(other)])
    assert it.cyborg.clients.get(1).access == (1, 2)


# Launch, relaunch, cancel


@pytest.mark.parametrize("clients", ["web1", 1, ["web1", "WEB1", 1], [1, 1]])
def test_clients_by_name_or_id_and_each_once(fleet, clients):
    it = fleet(clients=2)
    [job] = it.cyborg.launch(it.policy, clients)
    assert job.client_name == "web1"


def test_a_launch_for_no_client_says_so(fleet):
    it = fleet()
    with pytest.raises(cy.Disabled, match="nothing was queued"):
        it.cyborg.launch(it.policy, [])
    with pytest.raises(cy.NotFound):
        it.cyborg.launch(it.policy, "web9")
    other = it.cyborg.clients.add(cy.Client("db1"))
    with pytest.raises(cy.Invalid, match="not a client of the policy"):
        it.cyborg.launch(it.policy, [other])
    with pytest.raises(cy.Invalid, match="has no id yet"):
        it.cyborg.launch(it.policy, [cy.Client("web1")])
    assert len(it.cyborg.jobs) == 0


@pytest.mark.parametrize("kind", ["prepare_client", "prepare_repository", "backup", "catalog", "restore"])
def test_every_kind_of_job_can_be_launched_again(fleet, kind):
    it = fleet(failing(kind, "source_missing"))
    [backup] = it.cyborg.run(it.policy)
    if kind == "restore":
        it.cyborg.finish([it.cyborg.restore(backup.archives[0], ["/etc/hosts"])])
    [old] = it.kind(kind)
    assert old.status == "failed"
    [again] = it.cyborg.relaunch(old)
    assert again.id != old.id
    assert again.launched_by == "relaunch"
    [again] = it.cyborg.finish([again])
    assert again.status == "successful"
    assert (again.kind, again.client, again.vault, again.archive) == (old.kind, old.client, old.vault, old.archive)
    assert again.options == old.options
    assert it.cyborg.jobs.get(old.id) == old
    assert_settled(it.cyborg)


def test_a_job_that_has_not_ended_is_not_launched_again(fleet):
    it = fleet()
    [job] = it.cyborg.launch(it.policy)
    with pytest.raises(cy.Invalid, match="has not ended yet"):
        it.cyborg.relaunch(job)
    with pytest.raises(cy.NotFound):
        it.cyborg.relaunch(999)


def test_cancelling_what_waits_skips_what_waits_for_it(fleet):
    it = fleet()
    it.cyborg.launch(it.policy)
    [prepare] = it.kind("prepare_client")
    it.cyborg.cancel(prepare)
    assert it.statuses() == {"canceled": 1, "skipped": 3}
    assert [name for event in it.told if (name := type(event).__name__) != "JobQueued"] == [
        "JobCanceled", "JobSkipped", "JobSkipped", "JobSkipped"
    ]  # fmt: skip
    for wrong in (prepare, 999, cy.Job(kind="backup")):
        with pytest.raises(cy.CyborgError):
            it.cyborg.cancel(wrong)
    assert_settled(it.cyborg)


def test_what_a_prepared_job_shares_is_queued_once(fleet):
    it = fleet()
    it.add_policy("other")
    for policy in it.cyborg.policies:
        it.cyborg.launch(policy)
    assert len(it.kind("prepare_client")) == len(it.kind("prepare_repository")) == 1
    it.cyborg.work()
    assert it.statuses() == {"successful": 6}


# run, finish, work, wait


def test_run_gives_the_backups_in_order_as_they_ended(fleet):
    it = fleet(failing("backup", "source_missing"), clients=3)
    jobs = it.cyborg.run(it.policy)
    assert [job.client_name for job in jobs] == ["web1", "web2", "web3"]
    assert sorted(job.status for job in jobs) == ["failed", "successful", "successful"]
    assert all(job.finished for job in it.cyborg.jobs)


def test_everything_was_told_when_run_returns(fleet):
    it = fleet(clients=3)
    it.cyborg.run(it.policy)
    ended = [event.job.id for event in it.told if isinstance(event, cy.JobSucceeded)]
    assert sorted(ended) == [job.id for job in it.cyborg.jobs]


def test_finish_works_only_what_is_asked_for(fleet):
    it = fleet(clients=2)
    one, two = it.cyborg.launch(it.policy)
    assert it.cyborg.finish([one])[0].status == "successful"
    assert not it.cyborg.jobs.get(two.id).finished
    assert it.cyborg.finish([]) == []
    assert it.cyborg.finish([two.id, one])[0].id == two.id


def test_two_runs_in_two_threads_of_one_application(fleet):
    """Each gives its own jobs; they share what both wait for, and the places."""
    it = fleet(clients=2, seconds=0.05)
    other = it.add_policy("other")
    with Meanwhile(lambda: it.cyborg.run(it.policy)) as one, Meanwhile(lambda: it.cyborg.run(other)) as two:
        for running, name in ((one, "etc"), (two, "other")):
            assert [(job.policy_name, job.status) for job in running.join()] == [(name, "successful")] * 2
    assert_settled(it.cyborg)


def test_a_run_beside_serve(fleet):
    it = fleet()
    with Meanwhile(it.cyborg.serve) as serving:
        until(lambda: it.cyborg._engine._workers)
        for _ in range(3):
            [job] = it.cyborg.run(it.policy)
            assert job.status == "successful"
            assert it.of(job)[-1] == "JobSucceeded", "told when run returns, by whichever thread"
        it.cyborg.stop()
        serving.join()
    assert_settled(it.cyborg)


def test_work_without_anything_to_do_returns(fleet):
    it = fleet()
    it.cyborg.work()
    assert it.cyborg.wait([]) == []


def test_the_same_host_key_is_pinned_once(in_hand):
    it = in_hand()
    key, other = (f"ssh-ed25519 {letters}" for letters in _keys())
    [job] = it.cyborg.launch(it.policy)
    with Meanwhile(it.cyborg.work):
        given = it.executor.next().start()
        assert given.control.pinned(job.id, "client-1", key, True)
        assert given.control.pinned(job.id, "client-1", key, True)
        assert given.control.pinned(job.id, "client-1", other, True) is False
        assert given.control.pinned(job.id, "repository-1", other, False)
        given.succeed()
        assert given.control.pinned(job.id, "repository-1", other, False) is False, "the job has ended"
        given.leave()
    assert it.cyborg.clients.get(1).host_key == key
    assert it.cyborg.repositories.get(1).host_key == other
    [told] = [event for event in it.told if isinstance(event, cy.HostKeyAccepted)]
    assert told.name == "web1"
    assert told.fingerprint.startswith("SHA256:")


def _keys() -> tuple[str, str]:
    from cyborglib.sealing import generate_ssh_key

    one, two = (generate_ssh_key("x")[1].split()[1] for _ in range(2))
    return one, two
