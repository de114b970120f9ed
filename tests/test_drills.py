"""Drills: what is queued and when, where it is worked, what their end changes."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest

import cyborglib as cy
from cyborglib.errors import JobError
from cyborglib.executor import Outcome
from cyborglib.model import Item
from cyborglib.testing import FakeExecutor, FixedClock
from tests.engine.conftest import opened
from tests.engine.fleet import Fleet

__all__ = ["opened"]


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2026, 3, 1, 12, tzinfo=UTC))


def failing(code: str) -> FakeExecutor:
    def answer(job: cy.Job) -> Outcome:
        return Outcome(error=JobError(code, "why", permanent=True)) if job.kind == "drill" else Outcome()

    return FakeExecutor(answer)


def test_weeks_by_schedule(opened, clock):
    it = Fleet(opened(executor=FakeExecutor(), clock=clock), 3).ready()
    it.set(check_repository_days=0, check_archives_days=0, check_data_days=0)
    days: dict[str, list[int]] = {}
    for day in range(16):
        it.cyborg.run(it.policy)
        it.cyborg.tick()
        new = [job for job in it.kind("drill") if not job.finished]
        for job in new:
            days.setdefault(job.client_name, []).append(day)
            # The newest, on the controller, beside other readers.
            assert it.cyborg.archives.get(job.archive).recorded_at == clock.now
            assert (job.client, job.launched_by, job.options["stream"]) == (None, "schedule", False)
        assert {job.status for job in it.cyborg.finish(new)} <= {"successful"}
        clock.forward(days=1)
    assert days.keys() == {"web1", "web2", "web3"}
    assert all(2 <= len(seen) <= 3 and seen == list(range(seen[0], 16, 7)) for seen in days.values())
    assert len({seen[0] for seen in days.values()}) == 3, "not all on one day"
    proofs, drills = list(it.cyborg.proofs), sum(map(len, days.values()))
    assert len(proofs) == drills
    for proof in proofs:
        archive = it.cyborg.archives.get(proof.archive)
        assert archive.proved_at == proof.proved_at
        assert (proof.how, proof.policy, proof.client, proof.bytes_per_second) == (
            "sample", it.policy.id, archive.client, 2000.0,
        )  # fmt: skip
    told = [event for event in it.told if isinstance(event, cy.ArchiveProved)]
    assert [event.proof.id for event in told] == [None] * drills
    assert sum(archive.proved_at is None for archive in it.cyborg.archives) == 3 * 16 - drills


@pytest.mark.parametrize(
    ("code", "doubtful", "suspect"),
    [("not_proved", True, False), ("load_failed", True, False), ("vault_damaged", True, True),
     ("unreachable", False, False), ("client_full", False, False), ("timeout", False, False)],
)  # fmt: skip
def test_what_fails_says_only_what_it_knows(opened, code, doubtful, suspect):
    it = Fleet(opened(executor=failing(code))).ready()
    it.cyborg.run(it.policy)
    [job] = it.cyborg.finish(it.cyborg.drill(it.policy))
    assert (job.status, str(job.error.code)) == ("failed", code)
    [archive] = it.cyborg.archives
    [vault] = it.cyborg.vaults
    assert archive.proved_at is None
    assert list(it.cyborg.proofs) == []
    assert bool(archive.doubtful) == doubtful
    assert bool(vault.suspect) == suspect
    told = [event.reason for event in it.told if isinstance(event, cy.ArchiveDoubtful)]
    assert told == ([archive.doubtful] if doubtful else [])
    if doubtful:
        assert archive.doubtful.startswith("a restore drill failed: why")


def test_a_drill_that_goes_well_takes_back_its_own_doubt_only(opened):
    ends = iter([JobError("not_proved", "why", permanent=True), None, None])
    it = Fleet(
        opened(executor=FakeExecutor(lambda job: Outcome(error=next(ends)) if job.kind == "drill" else Outcome()))
    ).ready()
    it.cyborg.run(it.policy)
    [archive] = it.cyborg.archives
    it.cyborg.finish(it.cyborg.drill(archive))
    assert it.cyborg.archives.get(archive.id).doubtful
    it.cyborg.finish(it.cyborg.drill(it.cyborg.archives.get(archive.id)))
    assert it.cyborg.archives.get(archive.id).doubtful == ""
    it.cyborg._store.archives.observe(archive.id, doubtful="half of the files of yesterday")
    it.cyborg.finish(it.cyborg.drill(archive))
    assert it.cyborg.archives.get(archive.id).doubtful == "half of the files of yesterday"
    assert len(it.cyborg.proofs.find(archive=archive.id)) == 2


def test_what_the_verb_takes(opened, clock):
    it = Fleet(opened(executor=FakeExecutor(), clock=clock), 2).ready()
    with pytest.raises(cy.Invalid, match="no archive of the policy etc is there yet"):
        it.cyborg.drill(it.policy)
    it.cyborg.run(it.policy)
    one, two = it.cyborg.archives
    jobs = it.cyborg.drill("etc", ["web2"])
    assert [job.archive for job in jobs] == [two.id]
    assert it.cyborg.drill(two) == jobs, "what waits is not queued twice"
    with pytest.raises(cy.Invalid, match="leave clients out"):
        it.cyborg.drill(one, ["web1"])
    other = it.cyborg.clients.add(cy.Client("web9"))
    with pytest.raises(cy.Invalid, match="web9 is not a client of the policy"):
        it.cyborg.drill(it.policy, other)
    it.cyborg.finish(jobs)
    [again] = it.cyborg.relaunch(jobs[0])
    assert (again.archive, again.launched_by) == (two.id, "relaunch")
    it.cyborg.cancel(again)
    it.cyborg._store.archives.observe(one.id, pruned_at=clock.now)
    with pytest.raises(cy.Invalid, match="is not in its vault any more"):
        it.cyborg.drill(it.cyborg.archives.get(one.id))
    it.cyborg.policies.replace(attrs.evolve(it.cyborg.policies.get("etc"), enabled=False))
    with pytest.raises(cy.Disabled):
        it.cyborg.drill("etc")


@pytest.mark.parametrize("facts", [{"how": "magic"}, {"seconds": "1"}, {"files": -1}, {"bytes": True}])
def test_a_drill_that_does_not_say_what_it_proved_counts_for_nothing(opened, facts):
    def answer(job: cy.Job) -> Outcome:
        return Outcome(facts=facts) if job.kind == "drill" else Outcome()

    it = Fleet(opened(executor=FakeExecutor(answer))).ready()
    it.cyborg.run(it.policy)
    [job] = it.cyborg.finish(it.cyborg.drill(it.policy))
    assert (job.status, str(job.error.code)) == ("failed", "unparsable")
    assert list(it.cyborg.proofs) == []


@pytest.mark.parametrize(
    "drill",
    [{"days": -1}, {"files": 0}, {"bytes": 0}, {"whole": "yes"}, {"host": "web1"}, {"day": 3},
     {"options": {"x": object()}}, 7],
)  # fmt: skip
def test_values_that_are_none(drill):
    with pytest.raises(cy.Invalid):
        cy.Policy("etc", "config", repository=1, drill=drill)


def test_options_are_those_of_the_type(opened):
    it = Fleet(opened(executor=FakeExecutor()))
    with pytest.raises(cy.Invalid, match="takes no options"):
        it.add_policy("etc-2", drill=cy.Drill(options={"command": "true"}))
    other = it.cyborg.clients.add(cy.Client("proof1"))
    kept = it.add_policy("etc-3", drill={"days": 30, "host": other, "whole": True})
    assert kept.drill == cy.Drill(days=30, host=other.id, whole=True)
    with pytest.raises(cy.Invalid, match="the only witness"):
        it.add_policy("etc-5", drill={"host": it.clients[0]})
    with pytest.raises(cy.Invalid, match="no client with the id 99"):
        it.add_policy("etc-6", drill={"host": 99})
    disk = it.cyborg.repositories.add(cy.Repository("disk", "/srv/borg"))
    with pytest.raises(cy.Invalid, match="can be opened there only"):
        it.add_policy("etc-7", repository=disk, drill={"host": other})
    assert it.add_policy("etc-4", drill=None).drill == cy.Drill()


@pytest.mark.parametrize(
    ("path", "size", "says"),
    [("etc/hosts", 7, None), ("etc/hosts", 8, "/etc/hosts has 8 bytes, and 7 there"),
     ("etc/gone", 7, "is no file there"), ("etc", 0, "is no file there")],
)  # fmt: skip
def test_the_catalogue_is_asked_too(opened, path, size, says):
    def answer(job: cy.Job) -> Outcome:
        return Outcome(facts={"sampled": [[path, size]]}) if job.kind == "drill" else Outcome()

    it = Fleet(opened(executor=FakeExecutor(answer))).ready()
    it.set(catalog=False)
    it.cyborg.run(it.policy)
    [archive] = it.cyborg.archives
    taken = it.cyborg._store.contents.begin(archive.id)
    assert taken is not None
    taken.take([Item("etc", type="d"), Item("etc/hosts", size=7)])
    taken.finish()
    [job] = it.cyborg.finish(it.cyborg.drill(archive))
    archive = it.cyborg.archives.get(archive.id)
    if says is None:
        assert (job.status, archive.doubtful, archive.proved_at is not None) == ("successful", "", True)
    else:
        assert (job.status, str(job.error.code)) == ("failed", "not_proved")
        assert says in str(job.error)
        assert says in archive.doubtful
