"""The executor and the clock that hosts use in their own tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import attrs
import pytest

import cyborglib as cy
from cyborglib.executor import ArchiveMade
from cyborglib.testing import FakeExecutor, FixedClock
from tests.engine.conftest import opened
from tests.engine.fleet import LONG, Fleet, Meanwhile, assert_settled, until

__all__ = ["opened"]


@pytest.fixture
def with_executor(opened):
    def make(executor: FakeExecutor, **more: object) -> Fleet:
        return Fleet(opened(executor=executor, clock=FixedClock()), **more)

    return make


def test_as_a_host_writes_its_test():
    """What docs show: no database file, no Ansible, no waiting."""
    down = FakeExecutor(lambda job: cy.Outcome(error=cy.JobError("auth_failed", "no key")))
    with cy.Cyborg("sqlite://", executor=down, clock=FixedClock()) as cyborg:
        web1 = cyborg.clients.add(cy.Client("web1"))
        vault = cyborg.repositories.add(cy.Repository("vault", "borg@nas:/srv/{client}"))
        etc = cyborg.policies.add(cy.Policy("etc", type="config", repository=vault, clients=[web1]))
        alarms = []
        cyborg.on(cy.JobFailed)(lambda event: alarms.append((event.job.client_name, str(event.error))))
        [job] = cyborg.run(etc)
        assert (job.status, alarms) == ("skipped", [("web1", "no key")])


def test_all_goes_well_unless_told_otherwise(with_executor):
    it = with_executor(FakeExecutor(), clients=2)
    jobs = it.cyborg.run(it.policy)
    assert it.statuses() == {"successful": 8}
    assert all(job.stats.original_bytes > 0 for job in jobs)
    assert all(archive.confirmed_at for archive in it.cyborg.archives)
    assert all(client.ready and client.public_key and client.borg_version for client in it.cyborg.clients)
    assert all(vault.ready and vault.borg_id and vault.key_export for vault in it.cyborg.vaults)


def test_answer_is_given_the_job_as_it_stands(with_executor):
    seen = []

    def answer(job: cy.Job) -> cy.Outcome:
        seen.append((job.kind.value, job.client_name, job.policy_name, job.status.value, job.attempt))
        return cy.Outcome()

    it = with_executor(FakeExecutor(answer))
    it.cyborg.run(it.policy)
    assert seen == [
        ("prepare_client", "web1", "", "running", 1),
        ("prepare_repository", "web1", "", "running", 1),
        ("backup", "web1", "etc", "running", 1),
        ("catalog", "web1", "etc", "running", 1),
    ]


def test_what_an_outcome_says_is_kept(with_executor):
    stats = cy.Stats(files=7, original_bytes=70, compressed_bytes=30, deduplicated_bytes=10, seconds=2.5)

    def answer(job: cy.Job) -> cy.Outcome:
        if job.kind == "backup":
            return cy.Outcome(stats=stats, warnings=("a file changed while it was read",))
        if job.kind == "prepare_client":
            return cy.Outcome(facts={"borg_version": "1.4.0", "ip": "2001:db8::7"})
        return cy.Outcome()

    it = with_executor(FakeExecutor(answer))
    [job] = it.cyborg.run(it.policy)
    assert (job.stats, job.warnings) == (stats, ("a file changed while it was read",))
    archive = it.cyborg.archives.get(job.archives[0])
    assert (archive.files, archive.original_bytes, archive.deduplicated_bytes) == (7, 70, 10)
    client = it.cyborg.clients.get("web1")
    assert (client.borg_version, client.ip) == ("1.4.0", "2001:db8::7")


def test_an_archive_of_the_answer_s_own(with_executor):
    def answer(job: cy.Job) -> cy.Outcome:
        if job.kind != "backup":
            return cy.Outcome()
        name = executor.runs[-1].hosts[0].variables["borg_archive"]
        return cy.Outcome(archives=(ArchiveMade(name=name, borg_id="a" * 64, stats=cy.Stats(files=2)),))

    executor = FakeExecutor(answer)
    it = with_executor(executor)
    [job] = it.cyborg.run(it.policy)
    archive = it.cyborg.archives.get(job.archives[0])
    assert (archive.borg_id, archive.files) == ("a" * 64, 2)
    assert archive.confirmed_at, "a listing finds it"


def test_an_archive_can_vanish(with_executor):
    executor = FakeExecutor()
    it = with_executor(executor)
    [job] = it.cyborg.run(it.policy)
    name = it.cyborg.archives.get(job.archives[0]).name
    assert executor.vaults[1] == {name: it.cyborg.archives.get(job.archives[0]).borg_id}
    del executor.vaults[1][name]
    [listing] = it.cyborg.finish(it.cyborg.catalog(it.repository))
    assert listing.error.code == "archives_vanished"


def test_an_exception_breaks_the_whole_run(with_executor):
    it = with_executor(FakeExecutor(lambda job: OSError("disk full") if job.client == 2 else cy.Outcome()), clients=3)
    jobs = it.cyborg.finish([job for client in it.clients for job in it.cyborg.prepare(client)])
    assert "disk full" in str(jobs[1].error)
    assert jobs[1].attempt == 3
    assert (jobs[0].status, jobs[0].attempt) == ("successful", 1), "it had ended before"
    assert_settled(it.cyborg)


@pytest.mark.parametrize("wrong", [None, True, "ok"])
def test_an_answer_that_is_none_is_said(with_executor, wrong):
    it = with_executor(FakeExecutor(lambda job: wrong))
    [job] = it.cyborg.finish(it.cyborg.prepare(it.clients[0]))
    assert "must give an Outcome or an exception" in str(job.error)


def test_what_a_job_says(with_executor):
    def says(job: cy.Job) -> list[str | cy.Progress]:
        return ["looking", cy.Progress(files=3, path="/etc/hosts"), "done"] if job.kind == "backup" else []

    it = with_executor(FakeExecutor(says=says))
    [job] = it.cyborg.run(it.policy)
    assert it.cyborg.output(job) == ["looking", "done"]
    [told] = [event for event in it.told if isinstance(event, cy.JobProgressed)]
    assert (told.progress.files, told.progress.path) == (3, "/etc/hosts")


def test_a_job_that_takes_its_time_can_be_canceled(with_executor):
    it = with_executor(FakeExecutor(seconds=LONG * 100))
    it.cyborg.on(cy.JobStarted)(lambda event: it.cyborg.cancel(event.job))
    [job] = it.cyborg.finish(it.cyborg.prepare(it.clients[0]))
    assert job.status == "canceled"


def test_runs_tell_what_was_handed_over(with_executor):
    executor = FakeExecutor()
    it = with_executor(executor, clients=2, compression="lz4")
    it.cyborg.run(it.policy)
    [run] = [run for run in executor.runs if run.playbook == "backup"]
    assert [host.variables["borg_compression"] for host in run.hosts] == ["lz4", "lz4"]
    assert {host.host.title for host in run.hosts} == {"web1", "web2"}


def test_close_leaves_what_is_at_work_and_it_can_be_used_again(with_executor):
    executor = FakeExecutor(seconds=LONG * 100)
    it = with_executor(executor)
    [job] = it.cyborg.prepare(it.clients[0])
    with Meanwhile(it.cyborg.work) as working:
        until(lambda: it.cyborg.jobs.get(job.id).status == "running")
        it.cyborg.close()
        working.join()
    with cy.Cyborg("sqlite://", executor=executor) as other:
        executor._seconds = 0
        [job] = other.finish(other.prepare(other.clients.add(cy.Client("web1"))))
        assert job.status == "successful"


def test_a_client_keeps_its_key(with_executor):
    it = with_executor(FakeExecutor())
    keys = set()
    for _ in range(2):
        it.cyborg.finish(it.cyborg.prepare(it.clients[0]))
        keys.add(it.cyborg.clients.get("web1").public_key)
    assert len(keys) == 1


def test_no_secret_is_in_a_run(with_executor):
    executor = FakeExecutor()
    it = with_executor(executor)
    it.cyborg.run(it.policy)
    [vault] = it.cyborg.vaults
    text = repr([attrs.asdict(run) for run in executor.runs])
    assert vault.passphrase.reveal() not in text
    assert "PRIVATE KEY" not in text


# The clock


def test_a_fixed_clock_stands_until_it_is_moved():
    clock = FixedClock()
    assert clock() == clock() == datetime(2026, 1, 1, tzinfo=UTC)
    assert clock.forward(hours=2, minutes=30) == clock() == datetime(2026, 1, 1, 2, 30, tzinfo=UTC)
    assert clock.forward(days=-1) == datetime(2025, 12, 31, 2, 30, tzinfo=UTC)


def test_a_fixed_clock_is_in_utc():
    clock = FixedClock(datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))))
    assert clock().isoformat() == "2026-01-01T00:00:00+00:00"
    with pytest.raises(cy.Invalid, match="time zone"):
        FixedClock(datetime(2026, 1, 1))  # noqa: DTZ001
