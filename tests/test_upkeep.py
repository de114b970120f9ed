"""What goes, when, and what keeps it from going: on an executor that touches nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from attrs import evolve

import cyborglib as cy
from cyborglib.executor import ArchiveMade, Outcome
from cyborglib.model import Baseline
from cyborglib.testing import FakeExecutor, FixedClock
from cyborglib.upkeep import moment_of
from tests.engine.conftest import KEY, opened
from tests.engine.fleet import ByHand, Fleet, sql

__all__ = ["opened"]

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(BEGIN)


class Kept(Fleet):
    """A fleet with a retention, some days of backups, and the executor's own view of the vaults."""

    executor: FakeExecutor

    def days(self, clock: FixedClock, count: int) -> Kept:
        for _ in range(count):
            clock.forward(days=1)
            self.cyborg.run(self.policy)
        return self

    def finished(self, jobs: list[cy.Job]) -> list[cy.Job]:
        return self.cyborg.finish(jobs)

    def heard(self, kind: type[cy.Event]) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]

    @property
    def there(self) -> list[int | None]:
        """Ids of the archives that are neither gone nor to go."""
        return [archive.id for archive in self.cyborg.archives if archive.pruned_at is None]


@pytest.fixture
def kept(opened, clock):
    def make(answer: Any = lambda job: Outcome(), *, days: int = 0, clients: int = 1, **more: Any) -> Kept:
        executor = FakeExecutor(answer)
        it = Kept(
            opened(executor=executor, clock=clock), clients, **{"retention": cy.Retention(daily=3), **more}
        ).ready()
        it.executor = executor
        # Only what a test asks for, until it says otherwise.
        it.set(prune_every=366, max_prune_share=1.0)
        return it.days(clock, days)

    return make


def test_a_prune_deletes_what_the_plan_says_and_nothing_else(kept, clock):
    it = kept(days=6)
    plan = it.cyborg.prune_plan("etc")
    assert [(verdict.archive.id, verdict.rule) for verdict in plan] == [
        (6, "daily #1"), (5, "daily #2"), (4, "daily #3"), (3, ""), (2, ""), (1, ""),
    ]  # fmt: skip
    assert it.there == [1, 2, 3, 4, 5, 6], "a plan does nothing"
    [job] = it.finished(it.cyborg.prune(it.policy))
    assert (job.kind, job.status) == ("prune", "successful"), job.error
    assert it.there == [4, 5, 6]
    gone = [archive for archive in it.cyborg.archives if archive.pruned_at]
    assert [archive.missing_at for archive in gone] == [clock.now] * 3
    [told] = it.heard(cy.ArchivesPruned)
    assert sorted(told.archives) == sorted(archive.name for archive in gone)
    assert len(it.executor.vaults[1]) == 3
    # What went on purpose is no alarm, is not listed in a plan, and is not asked for again.
    [looked] = it.finished(it.cyborg.catalog("vault"))
    assert (looked.status, looked.warnings) == ("successful", ())
    assert it.cyborg.vaults.get(1).suspect == ""
    assert [verdict.archive.id for verdict in it.cyborg.prune_plan("etc")] == [6, 5, 4]
    for again in (*it.finished(it.cyborg.prune(it.policy)), *it.finished(it.cyborg.relaunch(job))):
        assert (again.status, again.reason) == ("skipped", "the retention keeps all that is there")


def test_the_verbs_refuse_what_makes_no_sense(kept):
    it = kept(days=1, retention=None)
    with pytest.raises(cy.Invalid, match="no retention"):
        it.cyborg.prune(it.policy)
    assert {verdict.rule for verdict in it.cyborg.prune_plan(it.policy)} == {"no retention"}
    it.cyborg.repositories.replace(evolve(it.cyborg.repositories.get("vault"), enabled=False))
    with pytest.raises(cy.Disabled):
        it.cyborg.compact("vault")


@pytest.mark.parametrize("share", [0.5, 1.0])
def test_never_more_than_a_share_in_one_go(kept, share):
    it = kept(days=9)
    it.set(max_prune_share=share)
    it.finished(it.cyborg.prune(it.policy))
    assert it.there == ([5, 6, 7, 8, 9] if share == 0.5 else [7, 8, 9])


def test_a_doubtful_archive_holds_its_series_until_a_person_releases_it(kept, clock):
    it = kept(days=6)
    it.cyborg._store.archives.observe(6, doubtful="it has no file")
    assert all(verdict.keep for verdict in it.cyborg.prune_plan(it.policy))
    [job] = it.finished(it.cyborg.prune(it.policy))
    assert job.status == "skipped"
    assert "release(archive)" in job.reason
    [held] = it.heard(cy.PruneHeld)
    assert (held.vault, held.policy, held.client, held.reason) == (1, it.policy.id, 1, job.reason)
    assert it.there == [1, 2, 3, 4, 5, 6]
    assert it.cyborg.release(6).doubtful == ""
    it.finished(it.cyborg.prune(it.policy))
    assert it.there == [4, 5, 6]


def test_in_a_suspect_vault_nothing_goes(kept):
    it = kept(days=6)
    [name, *_] = it.executor.vaults[1]
    # A client with its key took one away.
    del it.executor.vaults[1][name]
    [job] = it.finished(it.cyborg.prune(it.policy))
    assert job.status == "skipped", "the listing before it failed"
    assert it.heard(cy.VaultSuspected)
    jobs = sql(it.cyborg, "SELECT COUNT(*) FROM cyborg_archives WHERE pruned_at IS NOT NULL")
    assert jobs == [(0,)]
    # Also where the alarm came while the job was queued.
    [compacted] = it.finished(it.cyborg.compact("vault"))
    assert compacted.status == "skipped"


@pytest.mark.parametrize(
    ("code", "suspect"),
    [("vault_tampered", True), ("vault_damaged", True), ("unreachable", False), ("borg_failed", False)],
)
def test_a_prune_that_is_refused_in_the_run_deletes_nothing(kept, code, suspect):
    def answer(job: cy.Job) -> Outcome:
        return Outcome(error=cy.JobError(code, "Somebody did something.")) if job.kind == "prune" else Outcome()

    it = kept(answer, days=6)
    [job] = it.finished(it.cyborg.prune(it.policy))
    assert (job.status, job.error.code) == ("failed", code)
    assert it.there == [1, 2, 3, 4, 5, 6], "it was never decided"
    vault = it.cyborg.vaults.get(1)
    assert bool(vault.suspect) is suspect
    assert bool(it.heard(cy.VaultSuspected)) is suspect
    if suspect:
        assert "docs/append-only.md" in vault.suspect
        # Nor is anything else written to it.
        [backup] = it.cyborg.run(it.policy)
        assert backup.error.code == "vault_damaged"


def test_what_is_deleted_is_on_record_before_it_is_sent_and_a_kill_leaves_no_alarm(opened, clock):
    """The run breaks off after the deletion was decided; half of it was done."""
    executor = ByHand()
    it = Fleet(opened(executor=executor, clock=clock), retention=cy.Retention(daily=2)).ready()
    it.set(prune_every=366, max_prune_share=1.0)
    store, names = it.cyborg._store, {}
    for number in range(1, 6):
        clock.forward(days=1)
        made = cy.Archive(
            name=f"a{number}", borg_id=f"{number:064x}", vault=1, policy=it.policy.id, client=1,
            recorded_at=clock.now, confirmed_at=clock.now,
        )  # fmt: skip
        store.archives.add(made)
        names[made.name] = made.borg_id
    [prune] = it.cyborg.prune(it.policy)

    def listing() -> list[dict[str, str]]:
        return [{"name": name, "id": borg_id} for name, borg_id in names.items()]

    worker = Worker(it.cyborg, prune)
    first = executor.next().start()
    first.control.ended(first.host.job, Outcome(facts={"archives": listing()}))
    first.leave()
    second = executor.next().start()
    assert sorted(second.host.variables["upkeep_archives"]) == ["a1", "a2", "a3"]
    assert second.control.deciding(second.host.job)
    decided = [archive.id for archive in it.cyborg.archives if archive.pruned_at]
    assert decided == [1, 2, 3]
    assert it.cyborg.vaults.get(1).unsettled_at == clock.now
    del names["a1"]
    second.leave(RuntimeError("killed"))
    # The same job again: what is still there goes, and all of the data is verified, as nobody counted what went.
    third = executor.next().start()
    variables = third.host.variables
    assert sorted(variables["upkeep_archives"]) == ["a1", "a2", "a3"]
    assert sorted(variables["upkeep_known"]) == ["a4", "a5"]
    assert (variables["upkeep_check"], variables["upkeep_verify"]) == (True, True)
    assert third.control.deciding(third.host.job)
    del names["a2"], names["a3"]
    facts = {"archives": listing(), "deleted": ["a1", "a2", "a3"]}
    looked = {"freeable_bytes": 7, "stored_bytes": 9, "transaction": 4, "log_bytes": 5}
    third.control.ended(third.host.job, Outcome(facts=facts | {"looked": looked}))
    third.leave()
    job = worker.join()
    assert job.status == "successful", job.error
    vault = it.cyborg.vaults.get(1)
    assert (vault.suspect, vault.unsettled_at) == ("", None)
    assert vault.baseline == Baseline(**looked, at=int(clock.now.timestamp()))
    assert (vault.deleted_at, vault.compact_at) == (clock.now, clock.now + timedelta(days=7))
    assert not [event for event in it.told if isinstance(event, cy.VaultSuspected)]


class Worker:
    """Finishes a job in a thread."""

    def __init__(self, cyborg: cy.Cyborg, job: cy.Job) -> None:
        import threading

        self._found: list[cy.Job] = []
        self._thread = threading.Thread(target=lambda: self._found.extend(cyborg.finish([job], timeout=30)))
        self._thread.start()

    def join(self) -> cy.Job:
        self._thread.join(30)
        [job] = self._found
        return job


def test_an_archive_that_goes_beside_those_that_were_to_go_is_an_alarm(kept):
    it = kept(days=6)
    innocent = it.cyborg.archives.get(5).name
    wrapped = it.executor._completed

    def completed(job: cy.Job, variables: Any, outcome: Outcome) -> Outcome:
        if job.kind == "prune":
            it.executor.vaults[1].pop(innocent)
        return wrapped(job, variables, outcome)

    it.executor._completed = completed
    [job] = it.finished(it.cyborg.prune(it.policy))
    assert (job.status, job.error.code) == ("failed", "archives_vanished")
    assert innocent in it.cyborg.vaults.get(1).suspect


# Compact


def test_a_compact_waits_until_deletions_are_old_enough(kept, clock):
    it = kept(days=6)
    it.finished(it.cyborg.prune(it.policy))
    clock.forward(days=6, hours=23)
    [job] = it.finished(it.cyborg.compact("vault"))
    assert job.status == "skipped"
    assert "compact_after" in job.reason
    clock.forward(hours=2)
    [job] = it.finished(it.cyborg.compact("vault"))
    assert job.status == "successful", job.error
    vault = it.cyborg.vaults.get(1)
    assert (vault.deleted_at, vault.compact_at, vault.unsettled_at) == (None, None, None)


def test_prune_and_compact_come_by_themselves_and_never_together(kept, clock):
    it = kept(clients=2)
    it.set(prune_every=3, compact_after=2)
    worked: list[tuple[str, int | None, datetime]] = []
    for _ in range(17):
        clock.forward(days=1)
        it.cyborg.launch(it.policy)
        it.cyborg.tick()
        it.cyborg.work()
        done = [job for job in it.cyborg.jobs if job.kind in ("prune", "compact") and job.ended_at == clock.now]
        assert all(job.status == "successful" for job in done), done
        worked += [(job.kind, job.vault, clock.now) for job in done]
    for vault in (1, 2):
        mine = [(kind, at) for kind, number, at in worked if number == vault]
        # Each prune is made final two days later, and the next one comes after that.
        assert [kind for kind, _ in mine] == (["prune", "compact"] * len(mine))[: len(mine)]
        assert len(mine) >= 7
        assert {after - before for (_, before), (_, after) in pairwise(mine)} == {timedelta(days=2), timedelta(days=1)}
        # 3 by the retention, and what came since the last prune.
        assert len(it.executor.vaults[vault]) <= 8
    firsts = {next(at for _, number, at in worked if number == vault) for vault in (1, 2)}
    assert len(firsts) > 1, "they are spread"


def test_the_vaults_of_a_fleet_are_spread_over_the_span():
    moments = sorted(moment_of(cy.Vault(1, 1, "/x", id=n), cy.Settings(), BEGIN) - BEGIN for n in range(1, 169))
    assert timedelta(0) <= moments[0] < moments[-1] < timedelta(days=7)
    # 168 vaults in 168 hours: never more than two within one.
    assert all(after - before > timedelta(minutes=20) for before, after in pairwise(moments))


def test_run_alone_keeps_house_too(kept, clock):
    """Who calls `run` from a crontab, and never `tick`."""
    it = kept()
    it.set(prune_every=2)
    it.days(clock, 12)
    kinds = {job.kind for job in it.cyborg.jobs if job.status == "successful"}
    assert {"prune", "compact"} <= kinds
    assert not [job for job in it.cyborg.jobs if not job.finished]


def test_by_the_settings_nothing_goes(kept, clock):
    it = kept()
    it.set(prune_every=1, prune=False)
    it.days(clock, 5)
    assert not it.kind("prune")
    it.set(prune=True, compact=False)
    it.days(clock, 9)
    assert it.kind("prune")
    assert not it.kind("compact")


def test_a_held_prune_is_told_when_it_would_have_come(kept, clock):
    it = kept(days=6)
    it.cyborg._store.archives.observe(6, doubtful="it has no file")
    it.cyborg._store.vaults.observe(1, prune_at=clock.now)
    it.cyborg.tick()
    assert [event.vault for event in it.heard(cy.PruneHeld)] == [1]
    it.cyborg.tick()
    assert len(it.heard(cy.PruneHeld)) == 1
    assert not it.kind("prune")


# The clock


class Clocks:
    """A controller's clock that a test sets wrong, and what it is compared with."""

    def __init__(self) -> None:
        self.wrong = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.wrong


@pytest.mark.parametrize("wrong", [timedelta(days=3650), timedelta(days=-1), timedelta(hours=1)])
def test_a_clock_that_is_wrong_deletes_nothing_and_doubles_nothing(opened, wrong):
    """By ten years, by a day, or the database's by an hour: the same for the engine, which sees both."""
    clock, executor = Clocks(), FakeExecutor()
    it = Fleet(opened(executor=executor, clock=clock), retention=cy.Retention(within="1d")).ready()
    schedule = it.cyborg.schedules.add(cy.Schedule("often", "* * * * *"))
    it.policy = it.cyborg.policies.replace(evolve(it.policy, schedule=schedule))
    for _ in range(3):
        it.cyborg.run(it.policy)
    it.cyborg._store.vaults.observe(1, prune_at=datetime.now(UTC) - timedelta(days=1))
    archives = len(it.cyborg.archives)
    clock.wrong = wrong
    # By a clock ten years on the next moment of the policy has come long ago; by the database's it has not.
    it.cyborg._store.policies.observe(it.policy.id, next_run=datetime.now(UTC) + timedelta(hours=30))
    assert it.cyborg.tick() == []
    assert it.cyborg.tick() == []
    [told] = [event for event in it.told if isinstance(event, cy.ClockDoubtful)]
    assert "the database's" in told.reason
    jobs = it.cyborg.finish(it.cyborg.prune(it.policy)) + it.cyborg.finish(it.cyborg.compact("vault"))
    assert {job.status for job in jobs} == {"skipped"}
    assert all("clock" in job.reason for job in jobs)
    assert [event for event in it.told if isinstance(event, cy.PruneHeld)]
    assert len(executor.vaults[1]) == archives
    assert [archive.pruned_at for archive in it.cyborg.archives] == [None] * archives
    clock.wrong = timedelta(0)
    assert it.cyborg._watch.doubt() == "" or wrong > timedelta(0), "what was written meanwhile lies ahead"


def test_a_jump_is_noticed_where_the_database_jumped_with_it(opened):
    clock = Clocks()
    it = Fleet(opened(executor=FakeExecutor(), clock=clock), retention=cy.Retention(daily=1)).ready()
    it.cyborg._store.database_time = clock
    assert it.cyborg._watch.doubt() == ""
    clock.wrong = timedelta(hours=2)
    assert "jumped" in it.cyborg._watch.doubt()
    it.cyborg.trust_clock()
    assert it.cyborg._watch.doubt() == ""
    # Back again: what the store holds by now is later.
    it.cyborg.run(it.policy)
    clock.wrong = timedelta(0)
    assert it.cyborg._watch.doubt()
    it.cyborg.close()


def test_an_engine_that_begins_with_a_clock_behind_the_store_notices(tmp_path):
    url, clock = f"sqlite:///{tmp_path}/cyborg.db", Clocks()
    with cy.Cyborg(url, key=KEY, executor=FakeExecutor(), clock=clock) as first:
        it = Fleet(first).ready()
        first.run(it.policy)
    clock.wrong = timedelta(days=-1)
    with cy.Cyborg(url, key=KEY, executor=FakeExecutor(), clock=clock) as second:
        second._store.database_time = clock
        assert "behind of what was written before" in second._watch.doubt()
        assert second.tick() == []
        second.trust_clock()
        assert second._watch.doubt() == ""


# Sanity


def test_a_backup_with_far_less_than_before_is_successful_and_doubtful_and_holds_the_prune(kept, clock):
    files = {"now": 1000}

    def answer(job: cy.Job) -> Outcome:
        if job.kind != "backup":
            return Outcome()
        stats = cy.Stats(files=files["now"], original_bytes=10**9)
        name = f"{job.policy_name}+{job.client_name}+{job.created_at:%Y%m%dT%H%M%SZ}+{job.id}.{job.attempt}"
        made = ArchiveMade(name=name, borg_id=f"{job.id:064x}", stats=stats)
        return Outcome(archives=(made,), stats=stats)

    it = kept(answer, days=5)
    files["now"] = 10
    clock.forward(days=1)
    [job] = it.cyborg.run(it.policy)
    assert job.status == "successful"
    [warning] = [warning for warning in job.warnings if "release(archive)" in warning]
    assert "99% less than the backup before" in warning
    [archive] = [it.cyborg.archives.get(one) for one in job.archives]
    [told] = it.heard(cy.ArchiveDoubtful)
    assert (told.archive, told.reason, told.job.id) == (archive.name, archive.doubtful, job.id)
    assert archive.confirmed_at
    [prune] = it.finished(it.cyborg.prune(it.policy))
    assert (prune.status, archive.name in prune.reason) == ("skipped", True)
    # A good one after it changes nothing; a person does.
    files["now"] = 1000
    it.days(clock, 1)
    assert len(it.heard(cy.ArchiveDoubtful)) == 1
    [prune] = it.finished(it.cyborg.prune(it.policy))
    assert prune.status == "skipped"
    it.cyborg.release(archive)
    [prune] = it.finished(it.cyborg.prune(it.policy))
    assert prune.status == "successful"
