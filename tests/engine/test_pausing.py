"""What is full pauses those who write there; they wait, cost nothing, and go on when there is room."""

from __future__ import annotations

import attrs
import pytest

import cyborglib as cy
from cyborglib.engine import engine
from cyborglib.executor import ArchiveMade
from cyborglib.planning import Key, NewJob
from tests.engine.fleet import Fleet, assert_settled

FULL = cy.JobError("vault_full", "The file system is full.")
QUOTA = cy.JobError("quota_reached", "The quota is reached.")
CLIENT = cy.JobError("client_full", "A disk of the client is full.")
TOTAL = 100 * 10**9


class Disk:
    """What a fleet's executor answers: by what is full, and how much room hosts say there is."""

    def __init__(self) -> None:
        self.errors: dict[str, cy.JobError] = {}
        self.free = 0
        self.known = True
        self.tried: list[str] = []

    def __call__(self, job: cy.Job) -> cy.Outcome:
        facts = {"filesystem": "fe01", "free": self.free, "total": TOTAL}
        if job.kind == "measure":
            return cy.Outcome(facts=facts) if self.known else cy.Outcome(error=cy.JobError("auth_failed", "no"))
        if job.kind == "backup":
            self.tried.append(job.client_name)
            if error := self.errors.get(job.client_name):
                return cy.Outcome(error=error)
        return cy.Outcome()


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    monkeypatch.setattr(engine, "POLL", 0.05)
    return Disk()


def on_one_disk(it: Fleet) -> Fleet:
    """As if all had been prepared, on one file system."""
    it.ready().set(catalog=False)
    for vault in it.cyborg.vaults:
        it.cyborg._store.vaults.observe(vault.id, filesystem="fe01")
    return it


def named(it: Fleet, *kinds: type[cy.Event]) -> list[str]:
    return [type(event).__name__ for event in it.told if isinstance(event, kinds)]


def queue(it: Fleet, kind: str, n: int = 0) -> cy.Job:
    """A job of a kind that has no verb, for the n-th client and its vault."""
    client = it.clients[n]
    [vault] = it.cyborg.vaults.find(client=client.id)
    job = cy.Job(kind=kind, vault=vault.id, repository=it.repository.id, client_name=client.hostname)
    [queued] = it.cyborg._store.jobs.queue([NewJob(job, (Key(f"vault:{vault.id}"),))])
    return queued


def test_a_full_file_system_pauses_all_its_vaults_and_they_go_on_when_its_host_says_there_is_room(fleet, disk, clock):
    it = on_one_disk(fleet(disk, clients=3))
    disk.errors = {"web1": FULL}
    [failed] = it.cyborg.run(it.policy, clients=["web1"])
    assert (failed.status, failed.error) == ("failed", FULL), "who comes upon it is told so at once"
    assert [(p.vault, p.code, p.since) for p in it.cyborg.pauses] == [(n, "vault_full", clock()) for n in (1, 2, 3)]
    assert named(it, cy.VaultPaused) == ["VaultPaused"] * 3
    began = len(disk.tried)
    waiting = it.cyborg.run(it.policy)
    assert [job.status for job in waiting] == ["pending"] * 3, "run does not wait for somebody to make room"
    assert [job.attempt for job in waiting] == [0] * 3
    assert len(disk.tried) == began
    assert len(it.kind("measure")) == 1, "one vault stands for its file system"
    for job in waiting:
        assert "is paused since 2026-03-01 12:00 UTC: The file system is full." in job.reason
        assert "resume(vault)" in job.reason
    disk.errors, disk.free = {}, 2 * 10**9
    it.cyborg.work()
    assert it.statuses()["pending"] == 3, "that is not beyond the reserve"
    disk.free = 20 * 10**9
    it.cyborg.work()
    assert {job.status for job in it.cyborg.jobs.many([job.id for job in waiting])} == {"successful"}
    assert it.cyborg.pauses == []
    assert named(it, cy.VaultResumed) == ["VaultResumed"] * 3
    assert [vault.free_bytes for vault in it.cyborg.vaults.find(id=1)] == [20 * 10**9]
    assert_settled(it.cyborg)


def test_a_host_is_asked_less_and_less_often(fleet, disk, clock):
    it = on_one_disk(fleet(disk))
    disk.errors = {"web1": FULL}
    it.cyborg.run(it.policy)
    it.cyborg.launch(it.policy)
    waits = []
    for _ in range(9):
        [pause] = it.cyborg.pauses
        waits.append((pause.look_at - clock()).total_seconds())
        clock.now = pause.look_at
        it.cyborg.work()
    assert waits == [60, 120, 240, 480, 960, 1800, 1800, 1800, 1800]
    assert len(it.kind("measure")) == 9


@pytest.mark.parametrize("kind", ["prune", "compact", "measure", "restore"])
def test_what_makes_room_is_not_held_back(fleet, disk, kind):
    it = on_one_disk(fleet(disk))
    disk.errors = {"web1": FULL}
    it.cyborg.run(it.policy)
    held = queue(it, "check")
    job = queue(it, kind)
    claims = it.cyborg._store.jobs.claim("me", limit=9, now=it.cyborg._clock(), lease=60)
    assert [claim.job.id for claim in claims] == [job.id]
    assert "paused" in it.cyborg.jobs.get(held.id).reason


def test_a_quota_pauses_its_own_vault_for_writing_only_and_a_new_quota_ends_it(fleet, disk, clock):
    it = on_one_disk(fleet(disk, clients=2))
    disk.errors = {"web1": QUOTA}
    it.cyborg.run(it.policy)
    assert [(pause.vault, pause.code) for pause in it.cyborg.pauses] == [(1, "quota_reached")]
    [other, _] = sorted(it.cyborg.run(it.policy), key=lambda job: job.status == "pending")
    assert (other.client_name, other.status) == ("web2", "successful")
    [listing, _] = it.cyborg.finish(it.cyborg.catalog(it.repository))
    assert listing.status == "successful", "what is there can be read"
    disk.errors = {}
    it.cyborg.finish(it.cyborg.prepare(it.repository))
    it.cyborg.work()
    assert it.cyborg.pauses == []
    assert_settled(it.cyborg)


def test_where_nobody_can_ask_one_job_tries_and_waits_on(fleet, disk, clock):
    """A client's disk, here: it costs the job none of its tries, and the next time another one may."""
    it = on_one_disk(fleet(disk, retries=0))
    policies = [it.policy, it.add_policy("www", retries=0), it.add_policy("db", retries=0)]
    disk.errors = {"web1": CLIENT}
    it.cyborg.run(it.policy)
    [pause] = it.cyborg.pauses
    assert (pause.client, pause.vault, pause.code) == (1, None, "client_full")
    assert named(it, cy.ClientPaused) == ["ClientPaused"]
    jobs = [it.cyborg.launch(policy)[0] for policy in policies]
    trials = []
    for tries in range(1, 5):
        clock.forward(hours=7)
        it.cyborg.work()
        [pause] = it.cyborg.pauses
        assert (pause.tries, pause.trial, pause.since < clock()) == (tries, None, True)
        trials.append([job.attempt for job in it.cyborg.jobs.many([job.id for job in jobs])])
    assert trials == [[1, 0, 0], [1, 1, 0], [1, 1, 1], [2, 1, 1]]
    assert all("the client web1 is paused" in it.cyborg.jobs.get(job.id).reason for job in jobs)
    assert {event.job.status for event in it.told if isinstance(event, cy.JobFailed)} == {"failed"}
    assert len(named(it, cy.JobFailed)) == 1, "a trial is not a failure"
    disk.errors = {}
    it.cyborg.work()
    ended = it.cyborg.jobs.many([job.id for job in jobs])
    assert [job.status for job in ended] == ["successful"] * 3
    assert named(it, cy.ClientResumed) == ["ClientResumed"]
    assert_settled(it.cyborg)


def test_a_trial_that_ends_otherwise_says_nothing_about_the_room(fleet, disk, clock):
    it = on_one_disk(fleet(disk, retries=0))
    other = it.add_policy("www", retries=0)
    disk.errors = {"web1": CLIENT}
    it.cyborg.run(it.policy)
    [first], [second] = it.cyborg.launch(it.policy), it.cyborg.launch(other)
    disk.errors = {"web1": cy.JobError("source_missing", "gone")}
    it.cyborg.work()
    assert it.cyborg.jobs.get(first.id).status == "failed"
    assert it.cyborg.jobs.get(second.id).status == "pending"
    [pause] = it.cyborg.pauses
    assert (pause.tries, pause.trial) == (0, None)
    it.cyborg.cancel(second)
    disk.errors = {}
    clock.forward(hours=1)
    [job] = it.cyborg.run(it.policy)
    assert job.status == "successful", "nobody waited, so the next that comes may try"
    assert it.cyborg.pauses == []


def test_a_person_says_that_there_is_room(fleet, disk, clock):
    it = on_one_disk(fleet(disk, clients=2))
    disk.known = False
    disk.errors = {"web1": FULL, "web2": FULL}
    it.cyborg.run(it.policy, clients=["web1"])
    jobs = it.cyborg.run(it.policy)
    assert [job.status for job in jobs] == ["pending"] * 2, "a host that does not answer says nothing"
    disk.errors = {}
    it.cyborg.resume(it.cyborg.vaults.get(2))
    assert it.cyborg.pauses == []
    assert named(it, cy.VaultResumed) == ["VaultResumed"] * 2
    assert [job.status for job in it.cyborg.finish(jobs)] == ["successful"] * 2
    it.cyborg.resume(it.cyborg.vaults.get(2))
    for wrong in (it.repository, 2, "vault"):
        with pytest.raises(cy.Invalid, match="is not a vault or a client"):
            it.cyborg.resume(wrong)


def test_an_unmanaged_repository_pauses_one_vault_and_a_restores_target_pauses_nobody(fleet, disk, clock):
    it = on_one_disk(fleet(disk, clients=2))
    it.cyborg.repositories.replace(attrs.evolve(it.repository, managed=False))
    it.cyborg._store.vaults.observe(1, filesystem="")
    disk.errors = {"web1": FULL}
    it.cyborg.run(it.policy)
    assert [pause.vault for pause in it.cyborg.pauses] == [1]
    it.cyborg.run(it.policy)
    assert it.kind("measure") == [], "nobody can ask there"
    disk.errors = {}
    [job, _] = it.cyborg.run(it.policy)
    assert job.status == "successful"
    executor = it.cyborg._given
    executor._answer = lambda job: cy.Outcome(error=CLIENT if job.kind == "restore" else None)
    restored = it.cyborg.finish([it.cyborg.restore(job.archives[0], to=it.clients[0])])
    assert [job.status for job in restored] == ["failed"]
    assert it.cyborg.pauses == []


def test_low_space_is_told_before_the_end(fleet, disk, clock):
    it = on_one_disk(fleet(disk))
    disk.free = 9 * 10**9
    it.cyborg.finish([queue(it, "measure")])
    [event] = [event for event in it.told if isinstance(event, cy.SpaceLow)]
    assert (event.vault, event.free, event.total) == (1, 9 * 10**9, TOTAL)
    it.told.clear()
    it.set(min_free=5)
    it.cyborg.finish([queue(it, "measure")])
    assert named(it, cy.SpaceLow) == []


def test_a_daily_look_at_each_file_system(fleet, disk, clock):
    it = on_one_disk(fleet(disk, clients=3))
    disk.free = 50 * 10**9
    it.cyborg.tick()
    assert len(it.kind("measure")) == 1
    it.cyborg.work()
    it.cyborg._measuring._looked = float("-inf")
    it.cyborg.tick()
    assert len(it.kind("measure")) == 1
    clock.forward(hours=25)
    it.cyborg._measuring._looked = float("-inf")
    it.cyborg.tick()
    assert len(it.kind("measure")) == 2
    it.cyborg.work()
    it.set(min_free=0)
    clock.forward(hours=25)
    it.cyborg._measuring._looked = float("-inf")
    it.cyborg.tick()
    assert len(it.kind("measure")) == 2, "nobody wants to hear of it"


def test_a_trial_that_made_some_of_its_archives_fails_with_them(fleet, disk, clock):
    """Of several databases some fitted: put back, they would be taken for somebody else's under our name."""
    it = on_one_disk(fleet(disk, retries=0))
    disk.errors = {"web1": CLIENT}
    it.cyborg.run(it.policy)
    [job] = it.cyborg.launch(it.policy)
    name = f"etc+web1+20260301T120000Z+{job.id}.1+first"
    made = ArchiveMade(name=name, borg_id="a" * 64, stats=cy.Stats(files=1), part="first")
    it.cyborg._given._answer = lambda job: cy.Outcome(error=CLIENT, archives=(made,))
    clock.forward(hours=1)
    it.cyborg.work()
    ended = it.cyborg.jobs.get(job.id)
    assert (ended.status, ended.error) == ("failed", CLIENT)
    assert [archive.name for archive in it.cyborg.archives] == [name]
    [pause] = it.cyborg.pauses
    assert (pause.tries, pause.trial) == (1, None)


def test_a_trial_that_comes_upon_something_else_that_is_full_fails_like_any_other(fleet, disk, clock):
    it = on_one_disk(fleet(disk, retries=0))
    disk.errors = {"web1": CLIENT}
    it.cyborg.run(it.policy)
    disk.errors = {"web1": FULL}
    [job] = it.cyborg.run(it.policy)
    assert (job.status, job.error) == ("failed", FULL)
    assert [(pause.key, pause.code, pause.tries, pause.trial) for pause in it.cyborg.pauses] == [
        ("client:1", "client_full", 0, None),
        ("vault:1", "vault_full", 0, None),
    ]


def test_who_waits_for_one_has_the_others_left_alone(fleet, disk, clock):
    it = on_one_disk(fleet(disk, clients=2, retries=0))
    disk.errors = {"web1": QUOTA, "web2": QUOTA}
    it.cyborg.run(it.policy)
    jobs = it.cyborg.launch(it.policy)
    it.cyborg.finish(jobs[:1])
    assert [job.attempt for job in it.cyborg.jobs.many([job.id for job in jobs])] == [1, 0]


def test_each_repository_is_asked_for_where_it_is_not_known_that_they_lie_on_one_host(fleet, disk, clock):
    """Hosts number their file systems alike, and an address is no proof: an answer counts for its own repository."""
    it = on_one_disk(fleet(disk))
    other = it.cyborg.repositories.add(cy.Repository("other", "borg@nas:/srv/other/{client}"))
    policy = it.add_policy("more", repository=other)
    it.ready()
    it.cyborg.run(policy)
    [second] = it.cyborg.vaults.find(repository=other.id)
    it.cyborg._store.vaults.observe(second.id, filesystem="fe01")
    disk.errors = {"web1": FULL}
    it.cyborg.run(it.policy)
    it.cyborg.run(policy)
    assert [pause.vault for pause in it.cyborg.pauses] == [1, second.id]
    waiting = [*it.cyborg.launch(it.policy), *it.cyborg.launch(policy)]
    disk.errors, disk.free = {}, 20 * 10**9
    it.cyborg.work()
    assert {job.status for job in it.cyborg.jobs.many([job.id for job in waiting])} == {"successful"}
    assert it.cyborg.pauses == []
