"""The facade and the engine together, on a database in memory and an executor that touches nothing."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

import cyborglib as cy
from cyborglib.sealing import Sealer
from cyborglib.testing import FakeExecutor, FixedClock

Answer = Callable[[cy.Job], cy.Outcome | Exception]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


@pytest.fixture
def fleet(clock: FixedClock) -> Iterator[Callable[..., Fleet]]:
    """A maker of fleets: `fleet(answer, clients=2)`."""
    made: list[cy.Cyborg] = []

    def make(answer: Answer | None = None, *, clients: int = 1, seconds: float = 0.0, **policy: object) -> Fleet:
        executor = FakeExecutor(answer, seconds=seconds) if answer else FakeExecutor(seconds=seconds)
        cyborg = cy.Cyborg("sqlite://", executor=executor, clock=clock)
        made.append(cyborg)
        return Fleet(cyborg, executor, clients, policy)

    yield make
    for cyborg in made:
        cyborg.close()


class Fleet:
    """Some clients, a repository and a policy, and everything that was told."""

    def __init__(self, cyborg: cy.Cyborg, executor: FakeExecutor, clients: int, policy: dict[str, object]) -> None:
        self.cyborg, self.executor = cyborg, executor
        self.clients = [cyborg.clients.add(cy.Client(f"web{n}")) for n in range(1, clients + 1)]
        self.repository = cyborg.repositories.add(cy.Repository("vault", "borg@nas:/srv/borg/{client}"))
        values = {"type": "config", "repository": self.repository, "clients": self.clients} | policy
        self.policy = cyborg.policies.add(cy.Policy("etc", **values))
        self.told: list[cy.Event] = []
        cyborg.on(cy.Event)(self.told.append)

    def kinds(self) -> list[str]:
        return [job.kind.value for job in self.cyborg.jobs]

    def of(self, kind: type[cy.JobEvent]) -> list[str]:
        return [event.job.kind.value for event in self.told if type(event) is kind]


def failing(kind: str, code: str = "internal", times: int = 99) -> Answer:
    """An answer that lets a kind of job fail so many times."""
    left = [times]

    def answer(job: cy.Job) -> cy.Outcome:
        if job.kind == kind and left[0] > 0:
            left[0] -= 1
            return cy.Outcome(error=cy.JobError(code, f"{kind} went wrong"))
        return cy.Outcome()

    return answer


def test_a_run_prepares_backs_up_and_confirms(fleet):
    it = fleet(clients=2)
    jobs = it.cyborg.run(it.policy)
    assert [job.status for job in jobs] == ["successful", "successful"]
    assert sorted(it.kinds()) == sorted(["prepare_client", "prepare_repository", "backup", "catalog"] * 2)
    assert all(it.cyborg.archives.get(job.archives[0]).confirmed_at for job in jobs)
    assert [vault.location for vault in it.cyborg.vaults] == [
        "ssh://borg@nas/srv/borg/web1-1",
        "ssh://borg@nas/srv/borg/web2-2",
    ]
    assert all(client.ready and client.access for client in it.cyborg.clients)
    second = it.cyborg.run(it.policy)
    assert len(it.cyborg.jobs) == 12, "the second run prepares nothing"
    assert {job.status for job in second} == {"successful"}


def test_jobs_of_one_kind_are_worked_in_one_run(fleet):
    it = fleet(clients=5)
    it.cyborg.run(it.policy)
    assert [(run.playbook, len(run.hosts)) for run in it.executor.runs[:1]] == [("prepare_client", 5)]
    assert len(it.executor.runs) <= 8


def test_events_come_in_order_and_after_commit(fleet):
    it = fleet()
    seen: list[str] = []
    it.cyborg.on(cy.JobSucceeded)(lambda event: seen.append(it.cyborg.jobs.get(event.job.id).status))
    it.cyborg.run(it.policy)
    assert set(seen) == {"successful"}
    assert it.of(cy.JobStarted) == ["prepare_client", "prepare_repository", "backup", "catalog"]
    assert it.of(cy.JobSucceeded) == it.of(cy.JobStarted)


def test_a_failed_preparation_skips_what_waits_for_it(fleet):
    it = fleet(failing("prepare_client", "auth_failed"))
    [job] = it.cyborg.run(it.policy)
    assert job.status == "skipped"
    assert "prepare_client went wrong" in job.reason or "prepare client" in job.reason
    assert it.of(cy.JobFailed) == ["prepare_client"]
    assert sorted(it.of(cy.JobSkipped)) == ["backup", "catalog", "prepare_repository"]


def test_a_failed_backup_says_why_and_is_not_listed(fleet):
    it = fleet(failing("backup", "source_missing"))
    [job] = it.cyborg.run(it.policy)
    assert (job.status, job.error.code, str(job.error)) == ("failed", "source_missing", "backup went wrong")
    assert it.of(cy.JobSkipped) == ["catalog"]
    assert len(it.cyborg.archives) == 0


def test_what_may_pass_is_tried_again_as_the_same_job(fleet, clock):
    it = fleet(failing("backup", "lock_held", times=2))
    it.cyborg.settings = attrs.evolve(it.cyborg.settings, retry_delays=(0,))
    [job] = it.cyborg.run(it.policy)
    assert (job.status, job.attempt) == ("successful", 3)
    assert it.of(cy.JobRetried) == ["backup", "backup"]
    assert it.of(cy.JobFailed) == []
    names = [run.hosts[0].variables["borg_archive"] for run in it.executor.runs if run.playbook == "backup"]
    assert len(set(names)) == 3, "each attempt has an archive name of its own"


def test_an_executor_that_breaks_loses_no_job(fleet):
    it = fleet(lambda job: RuntimeError("ansible is not there") if job.kind == "backup" else cy.Outcome(), retries=0)
    [job] = it.cyborg.run(it.policy)
    assert (job.status, job.error.code) == ("failed", "lost")
    assert "ansible is not there" in str(job.error)


def test_an_archive_the_controller_does_not_find_is_not_confirmed(fleet):
    def answer(job: cy.Job) -> cy.Outcome:
        return cy.Outcome(facts={"archives": []}) if job.kind == "catalog" else cy.Outcome()

    it = fleet(answer)
    [job] = it.cyborg.run(it.policy)
    assert it.cyborg.archives.get(job.archives[0]).confirmed_at is None
    [failed] = [event for event in it.told if isinstance(event, cy.JobFailed)]
    assert failed.error.code == "not_confirmed"
    [vault] = it.cyborg.vaults
    assert vault.suspect
    [again] = it.cyborg.run(it.policy)
    assert again.status == "failed", "nothing is written to a suspect vault"


def test_an_archive_that_vanishes_stops_everything_into_its_vault(fleet):
    it = fleet()
    it.cyborg.run(it.policy)
    it.executor.vaults[1].clear()
    [job] = it.cyborg.finish(it.cyborg.catalog(it.repository))
    assert job.error.code == "archives_vanished"
    assert [type(event) for event in it.told].count(cy.VaultSuspected) == 1
    [again] = it.cyborg.run(it.policy)
    assert (again.status, again.error.code) == ("failed", "vault_damaged")
    it.cyborg.set_ready(it.cyborg.vaults.get(1))
    assert not it.cyborg.vaults.get(1).suspect


def catalog(it):
    [job] = it.cyborg.finish(it.cyborg.catalog(it.repository))
    return job


def test_a_loss_that_was_accepted_is_told_again_but_stops_nothing(fleet):
    it = fleet()
    it.cyborg.run(it.policy)
    [lost] = it.cyborg.archives
    taken = it.executor.vaults[1].copy()
    it.executor.vaults[1].clear()
    assert catalog(it).error.code == "archives_vanished"
    assert it.cyborg.archives.get(lost.id).missing_at is not None
    assert catalog(it).error.code == "archives_vanished", "until a person says so, every listing says it"
    it.cyborg.set_ready(it.cyborg.vaults.get(1))
    listed = catalog(it)
    assert listed.status == "successful"
    assert lost.name in listed.warnings[0]
    it.cyborg.run(it.policy)
    [_, kept] = it.cyborg.archives
    assert kept.confirmed_at
    assert not it.cyborg.vaults.get(1).suspect
    # Another loss is another alarm; and what is brought back is found.
    taken |= it.executor.vaults[1]
    it.executor.vaults[1].clear()
    failed = catalog(it)
    assert failed.error.code == "archives_vanished"
    assert kept.name in str(failed.error)
    assert lost.name not in str(failed.error), "what is known is not told as new"
    it.executor.vaults[1].update(taken)
    assert catalog(it).status == "successful"
    assert [archive.missing_at for archive in it.cyborg.archives] == [None, None]
    assert it.cyborg.vaults.get(1).suspect, "that all is there again does not say that nobody is at work there"
    it.cyborg.set_ready(it.cyborg.vaults.get(1))
    assert it.cyborg.run(it.policy)[0].status == "successful"


def test_an_archive_that_never_was_is_accepted_as_lost_too(fleet):
    def answer(job: cy.Job) -> cy.Outcome:
        return cy.Outcome(facts={"archives": []}) if job.kind == "catalog" else cy.Outcome()

    it = fleet(answer)
    it.cyborg.run(it.policy)
    assert catalog(it).error.code == "not_confirmed"
    it.cyborg.set_ready(it.cyborg.vaults.get(1))
    assert catalog(it).status == "successful"
    [archive] = it.cyborg.archives
    assert (archive.confirmed_at, archive.missing_at is None) == (None, False)


def test_a_launch_of_a_policy_at_work_gives_the_same_job(fleet):
    it = fleet(clients=2)
    first = it.cyborg.launch(it.policy)
    assert it.cyborg.launch(it.policy) == first
    assert len(it.cyborg.jobs) == 8


@pytest.mark.parametrize("what", ["policy", "repository", "schedule", "client"])
def test_what_is_disabled_is_not_launched(fleet, what):
    it = fleet()
    cyborg = it.cyborg
    if what == "policy":
        cyborg.policies.replace(attrs.evolve(it.policy, enabled=False))
    elif what == "repository":
        cyborg.repositories.replace(attrs.evolve(it.repository, enabled=False))
    elif what == "client":
        cyborg.clients.replace(attrs.evolve(it.clients[0], enabled=False))
    else:
        night = cyborg.schedules.add(cy.Schedule("night", "0 2 * * *", enabled=False))
        cyborg.policies.replace(attrs.evolve(it.policy, schedule=night))
    with pytest.raises(cy.Disabled, match=r"[Ee]nable"):
        cyborg.launch(it.policy)
    assert len(cyborg.jobs) == 0


def test_without_preparation_a_backup_of_something_unready_is_skipped(fleet):
    it = fleet()
    it.cyborg.settings = attrs.evolve(it.cyborg.settings, prepare=False)
    [job] = it.cyborg.run(it.policy)
    assert job.status == "skipped"
    assert "not ready" in job.reason


def test_a_pending_job_is_canceled_at_once_and_one_at_work_soon(fleet):
    it = fleet(seconds=20)
    jobs = it.cyborg.launch(it.policy)
    assert it.cyborg.cancel(jobs[0]).status == "canceled"
    assert it.of(cy.JobCanceled) == ["backup"]
    [prepare] = it.cyborg.prepare(it.clients[0])
    it.cyborg.on(cy.JobStarted)(lambda event: it.cyborg.cancel(event.job))
    [ended] = it.cyborg.finish([prepare])
    assert ended.status == "canceled"
    with pytest.raises(cy.InvalidTransition):
        it.cyborg.cancel(ended)


def test_run_leaves_the_jobs_of_others_alone(fleet):
    it = fleet()
    other = it.cyborg.policies.add(cy.Policy("mail", type="mail", repository=it.repository, clients=it.clients))
    [waiting] = it.cyborg.launch(other)
    it.cyborg.run(it.policy)
    assert not it.cyborg.jobs.get(waiting.id).finished
    it.cyborg.work()
    assert it.cyborg.jobs.get(waiting.id).status == "successful"


def test_two_policies_never_work_on_one_client_together(fleet):
    it = fleet(seconds=0.05)
    busy: list[int] = []
    most = []
    it.cyborg.policies.add(cy.Policy("mail", type="mail", repository=it.repository, clients=it.clients))
    it.cyborg.on(cy.JobStarted)(
        lambda event: (busy.append(event.job.id), most.append(len(busy))) if event.job.kind == "backup" else None
    )
    it.cyborg.on(cy.JobSucceeded)(lambda event: busy.remove(event.job.id) if event.job.kind == "backup" else None)
    for policy in it.cyborg.policies:
        it.cyborg.launch(policy)
    it.cyborg.work()
    assert max(most) == 1
    assert {job.status for job in it.cyborg.jobs} == {"successful"}


def test_a_path_without_client_is_refused_for_a_second_one(fleet):
    it = fleet(clients=2)
    one = it.cyborg.repositories.add(cy.Repository("one", "borg@nas:/srv/one"))
    with pytest.raises(cy.Invalid, match="shared=True"):
        it.cyborg.policies.add(cy.Policy("both", type="config", repository=one, clients=it.clients))
    it.cyborg.policies.add(cy.Policy("first", type="config", repository=one, clients=it.clients[:1]))
    with pytest.raises(cy.Invalid, match="shared=True"):
        it.cyborg.policies.add(cy.Policy("second", type="config", repository=one, clients=it.clients[1:]))


def test_a_shared_vault_is_made_once_and_serialises_its_clients(fleet):
    it = fleet(clients=3, seconds=0.05)
    one = it.cyborg.repositories.add(cy.Repository("one", "borg@nas:/srv/one", shared=True))
    policy = it.cyborg.policies.add(cy.Policy("all", type="config", repository=one, clients=it.clients))
    jobs = it.cyborg.run(policy)
    assert {job.status for job in jobs} == {"successful"}
    assert len(it.cyborg.vaults) == 1
    assert all(any("shared" in warning for warning in job.warnings) for job in jobs)
    spans = sorted((job.started_at, job.ended_at) for job in jobs)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


def test_what_is_due_is_queued_once(fleet, clock):
    it = fleet()
    night = it.cyborg.schedules.add(cy.Schedule("nightly", "0 2 * * *", timezone="Europe/Paris"))
    it.cyborg.policies.replace(attrs.evolve(it.policy, schedule=night))
    assert it.cyborg.tick() == []
    assert it.cyborg.policies.get("etc").next_run == datetime(2026, 3, 2, 1, tzinfo=UTC)
    clock.forward(hours=13)
    [job] = it.cyborg.tick()
    assert (job.launched_by, job.due) == ("schedule", datetime(2026, 3, 2, 1, tzinfo=UTC))
    assert it.cyborg.tick() == []
    it.cyborg.work()
    clock.forward(days=5)
    assert len(it.cyborg.tick()) == 1, "what was missed comes once"
    it.cyborg.work()
    it.cyborg.schedules.replace(attrs.evolve(it.cyborg.schedules.get("nightly"), crontab="0 18 * * *"))
    clock.forward(hours=6)
    assert it.cyborg.tick() == [], "it is 19:00 there at the change, so 18:00 has not come yet"
    clock.forward(hours=24)
    assert len(it.cyborg.tick()) == 1


def test_serve_queues_and_works_until_it_is_stopped(fleet, clock):
    it = fleet()
    often = it.cyborg.schedules.add(cy.Schedule("often", "* * * * *"))
    it.cyborg.policies.replace(attrs.evolve(it.policy, schedule=often))
    clock.forward(minutes=2)
    it.cyborg.on(cy.ArchiveConfirmed)(lambda event: it.cyborg.stop())
    it.cyborg.serve()
    assert [archive.confirmed_at is not None for archive in it.cyborg.archives] == [True]


def test_run_gives_up_waiting_and_the_jobs_stay(fleet):
    it = fleet(seconds=30)
    with pytest.raises(cy.TimedOut, match="go on"):
        it.cyborg.run(it.policy, timeout=0.2)


def test_extra_vars_of_a_launch_go_over_the_policy_s(fleet):
    it = fleet(extra_vars={"exclude": ["/etc/a"], "max_unreadable": 3})
    [job] = it.cyborg.launch(it.policy, extra_vars={"exclude": ["/etc/b"]})
    assert job.extra_vars.plain()["exclude"] == ["/etc/b"]
    assert job.extra_vars["max_unreadable"] == 3
    with pytest.raises(cy.Invalid, match="exclude"):
        it.cyborg.launch(it.policy, extra_vars={"exlude": []})
    with pytest.raises(cy.Invalid, match="ansible_connection"):
        it.cyborg.launch(it.policy, extra_vars={"ansible_connection": "local"})


def test_relaunch_is_a_new_job_and_the_old_one_stays(fleet):
    it = fleet(failing("backup", "source_missing", times=1))
    [job] = it.cyborg.run(it.policy)
    [again] = it.cyborg.relaunch(job)
    assert (job.relaunch_of, again.relaunch_of) == (None, job.id)
    it.cyborg.finish([again])
    assert it.cyborg.jobs.get(job.id) == job
    assert it.cyborg.jobs.get(again.id).status == "successful"


def test_a_client_installed_anew_gets_a_new_key_for_its_vault(fleet):
    it = fleet()
    it.cyborg.run(it.policy)
    it.executor._keys.clear()
    it.cyborg.finish(it.cyborg.prepare(it.clients[0]))
    assert it.cyborg.clients.get(1).access == ()
    it.cyborg.run(it.policy)
    assert it.cyborg.clients.get(1).access == (1,)


def test_a_token_makes_ready_once(fleet, clock):
    it = fleet()
    invitation = it.cyborg.invite(it.clients[0])
    assert "***" in repr(invitation)
    assert it.cyborg.confirm(invitation.token).ready
    with pytest.raises(cy.Invalid, match="invite"):
        it.cyborg.confirm(invitation.token)
    late = it.cyborg.invite(it.clients[0])
    clock.forward(hours=2)
    with pytest.raises(cy.Invalid):
        it.cyborg.confirm(late.token)


def test_a_kit_is_asked_for_until_it_is_written(fleet, tmp_path, clock):
    it = fleet()
    it.cyborg.run(it.policy)
    it.cyborg.run(it.policy)
    assert any(isinstance(event, cy.KitOutdated) for event in it.told)
    clock.forward(minutes=1)
    path = it.cyborg.recovery_kit(tmp_path / "kit")
    assert path.stat().st_mode & 0o777 == 0o600
    [vault] = it.cyborg.vaults
    text = path.read_text()
    assert all(part in text for part in (vault.location, vault.borg_id, vault.passphrase.reveal(), "BORG_KEY"))
    it.told.clear()
    it.cyborg.run(it.policy)
    assert not any(isinstance(event, cy.KitOutdated) for event in it.told)


def test_no_secret_is_in_what_an_executor_is_handed(fleet):
    it = fleet()
    it.cyborg.run(it.policy)
    [vault] = it.cyborg.vaults
    handed = repr(it.executor.runs) + repr([attrs.asdict(run) for run in it.executor.runs])
    assert vault.passphrase.reveal() not in handed
    assert "PRIVATE KEY" not in handed


def test_the_key_is_changed_while_jobs_are_at_work(tmp_path: Path) -> None:
    database, key = f"sqlite:///{tmp_path}/cyborg.db", tmp_path / "seal.key"
    key.touch(mode=0o600)
    key.write_text(old := Sealer.generate_key())
    with cy.Cyborg(database, key=key, executor=FakeExecutor(seconds=0.2)) as cyborg:
        it = Fleet(cyborg, FakeExecutor(), 2, {"extra_vars": {"exclude": ["/etc/x"]}})

        @cyborg.on(cy.JobStarted)
        def change(_event: cy.JobStarted) -> None:
            assert cyborg.rotate_key() == key

        jobs = cyborg.run(it.policy)
        assert [job.status for job in jobs] == ["successful"] * 2
        assert len(it.of(cy.JobStarted)) == 8, "as often the key was another one"
        vaults = list(cyborg.vaults)
    with pytest.raises(cy.WrongKey):
        cy.Cyborg(database, key=old)
    with cy.Cyborg(database, key=key, executor=FakeExecutor()) as again:
        assert list(again.vaults) == vaults
        assert all(vault.passphrase and vault.key_export and vault.controller_key for vault in again.vaults)
        assert [job.extra_vars for job in again.jobs if job.kind == "backup"] == [{"exclude": ["/etc/x"]}] * 2


def test_a_vault_that_is_lent_has_its_next_passphrase_in_the_store_first(fleet: Callable[..., Fleet]) -> None:
    between: list[cy.Vault] = []

    def answer(job: cy.Job) -> cy.Outcome:
        if job.kind == "restore":
            between.append(it.cyborg.vaults.get(job.vault))
        return cy.Outcome()

    it = fleet(answer, clients=2)
    [first, _other] = it.cyborg.run(it.policy)
    [before, _] = it.cyborg.vaults
    [job] = it.cyborg.finish([it.cyborg.restore(first.archives[0], to=it.clients[1])])
    assert (job.status, job.warnings) == ("successful", ())
    [lent] = between
    assert lent.passphrase == before.passphrase
    assert lent.next_passphrase not in (None, before.passphrase)
    after = it.cyborg.vaults.get(before.id)
    assert (after.passphrase, after.next_passphrase) == (lent.next_passphrase, None)
    assert after.key_export not in (None, before.key_export)
    assert [event.vault for event in it.told if isinstance(event, cy.VaultRekeyed)] == [before.id]
    # Whoever asks for one that is there already gets that one.
    promised = it.cyborg._store.vaults.promise(before.id)
    assert it.cyborg._store.vaults.promise(before.id) == promised
    # The next look of the controller settles it.
    it.cyborg.finish(it.cyborg.catalog(it.repository))
    assert it.cyborg.vaults.get(before.id).passphrase == promised.next_passphrase


def test_an_empty_passphrase_never_makes_a_kit_of_plain_text(fleet, tmp_path):
    it = fleet()
    it.cyborg.run(it.policy)
    for passphrase in ("", "two\nlines", "\ud800", "x" * 1024):
        with pytest.raises(cy.Invalid, match="passphrase"):
            it.cyborg.recovery_kit(tmp_path / "kit", passphrase)
    assert list(tmp_path.iterdir()) == []


def test_a_vault_that_was_said_not_to_be_ready_is_in_the_kit(fleet, tmp_path):
    it = fleet()
    it.cyborg.run(it.policy)
    vault = it.cyborg.set_ready(it.cyborg.vaults.get(1), False)
    assert vault.borg_id in it.cyborg.recovery_kit(tmp_path / "kit").read_text()


@pytest.mark.parametrize(
    "verb", ["launch", "run", "prepare", "catalog", "relaunch", "cancel", "set_ready", "trust", "invite", "output"]
)
def test_an_object_of_another_class_never_acts_on_what_has_its_id(fleet, verb):
    it = fleet()
    it.cyborg.run(it.policy)
    key = f"ssh-ed25519 {'A' * 68}"
    it.cyborg.trust(it.repository, key)
    all_of_them = [it.cyborg.clients, it.cyborg.repositories, it.cyborg.policies, it.cyborg.archives, it.cyborg.vaults]
    objects = [shelf.get(1) for shelf in [*all_of_them, it.cyborg.jobs]]
    takes = {
        "launch": cy.Policy, "run": cy.Policy, "prepare": cy.Client | cy.Repository, "catalog": cy.Repository,
        "relaunch": cy.Job, "cancel": cy.Job, "set_ready": cy.Client | cy.Repository | cy.Vault,
        "trust": cy.Client | cy.Repository, "invite": cy.Client | cy.Repository, "output": cy.Job,
    }[verb]  # fmt: skip
    before = list(it.cyborg.jobs)
    for wrong in [one for one in objects if not isinstance(one, takes)] + [None, True, 1.5, [], object()]:
        with pytest.raises(cy.Invalid):
            getattr(it.cyborg, verb)(wrong)
    assert list(it.cyborg.jobs) == before
    assert it.cyborg.repositories.get(1).host_key == key


def test_values_of_a_wrong_type_are_refused_in_words(fleet):
    it = fleet()
    it.cyborg.run(it.policy)
    web1 = it.clients[0]
    for call in (
        lambda: it.cyborg.set_ready(web1, "yes"), lambda: it.cyborg.prepare(web1, update="yes"),
        lambda: it.cyborg.trust(web1, 3), lambda: it.cyborg.trust(web1, ""), lambda: it.cyborg.confirm(None),
        lambda: it.cyborg.launch(it.policy, 1.5), lambda: it.cyborg.restore(1, options=["force"]),
        lambda: it.cyborg.finish(None), lambda: it.cyborg.wait(["x"]), lambda: it.cyborg.clients.find(id="x"),
    ):  # fmt: skip
        with pytest.raises(cy.Invalid):
            call()
    with pytest.raises(cy.NotFound):
        it.cyborg.clients.get("half a \ud800")
    with pytest.raises(TypeError):
        it.cyborg.on(cy.JobFailed)("nothing to call")


def test_finish_and_wait_take_one_job_as_well(fleet):
    it = fleet()
    (job,) = it.cyborg.launch(it.policy)
    assert [one.status for one in it.cyborg.finish(job)] == ["successful"]
    assert [one.status for one in it.cyborg.wait(job.id)] == ["successful"]


@pytest.mark.parametrize("shelf", ["jobs", "archives", "vaults"])
def test_what_jobs_alone_write_cannot_be_changed_or_removed(fleet, shelf):
    it = fleet()
    it.cyborg.run(it.policy)
    kept = getattr(it.cyborg, shelf)
    for verb in ("add", "replace", "remove", "observe"):
        assert not hasattr(kept, verb)
    assert list(kept) == kept.find() == kept.many(range(1, len(kept) + 1))
    assert 1 in kept
    assert kept.get(1).id == 1


def test_one_folder_of_roles_is_not_taken_for_its_letters(tmp_path):
    specs = tmp_path / "policy_mine" / "meta" / "argument_specs.yml"
    specs.parent.mkdir(parents=True)
    specs.write_text("argument_specs:\n  main:\n    short_description: Mine\n    options: {}\n")
    with cy.Cyborg("sqlite://", executor=FakeExecutor(), roles_path=str(tmp_path)) as cyborg:
        repository = cyborg.repositories.add(cy.Repository("vault", "/srv/borg"))
        assert cyborg.policies.add(cy.Policy("mine", "mine", repository)).type == "mine"


class Reading(threading.Thread):
    """Uses a Cyborg until that raises."""

    def __init__(self, cyborg: cy.Cyborg) -> None:
        super().__init__()
        self._cyborg = cyborg
        self.said: Exception | None = None

    def run(self) -> None:
        try:
            while True:
                self._cyborg.tick()
                list(self._cyborg.jobs)
        except Exception as problem:
            self.said = problem


def test_what_is_closed_says_so_and_harms_no_thread_that_still_uses_it() -> None:
    """SQLite ends the whole process where a connection is closed that another thread is using."""
    for _ in range(20):
        cyborg = cy.Cyborg("sqlite://", key=Sealer.generate_key(), executor=FakeExecutor())
        threads = [Reading(cyborg), Reading(cyborg)]
        for thread in threads:
            thread.start()
        time.sleep(0.02)
        cyborg.close()
        for thread in threads:
            thread.join(20)
            assert isinstance(thread.said, cy.StoreError)
            assert "closed" in str(thread.said)
    with pytest.raises(cy.StoreError, match="open another Cyborg"):
        cyborg.launch("etc")
