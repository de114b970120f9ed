"""How jobs end, what that means for others, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from attrs import evolve

from cyborglib.errors import AlreadyExists, ErrorCode, Invalid, InvalidTransition, JobError, NotFound
from cyborglib.model import Job, JobStatus, Progress, Stats
from cyborglib.planning import NewJob
from cyborglib.store import Claim, Store
from cyborglib.testing import FixedClock
from tests.store.fleet import Fleet, alone, free_job, ids

DOWN = JobError(ErrorCode.UNREACHABLE, "web1 does not answer; is it on?")
WRONG = JobError(ErrorCode.WRONG_PASSPHRASE, "the passphrase is wrong")


def states(store: Store) -> list[str]:
    return [job.status.value for job in store.jobs]


@pytest.fixture
def begun(fleet: Fleet) -> Claim:
    """The first job of a chain, taken and running."""
    fleet.store.jobs.queue(fleet.chain())
    claim = fleet.take()
    fleet.store.jobs.started(claim.job.id or 0, claim.fence)
    return claim


def test_a_job_that_began_is_running(begun: Claim, store: Store, clock: FixedClock) -> None:
    job = store.jobs.get(1)
    assert (job.status, job.started_at) == (JobStatus.RUNNING, clock())


def test_success_wakes_what_waited_for_it_alone(begun: Claim, fleet: Fleet, store: Store, clock: FixedClock) -> None:
    stats = Stats(files=3, seconds=1.5)
    changed = store.jobs.succeed(1, begun.fence, stats=stats, warnings=["old Borg"])
    assert ids(changed) == [1, 2, 3]
    job, vault, backup = changed
    assert (job.status, job.stats, job.warnings, job.ended_at) == (JobStatus.SUCCESSFUL, stats, ("old Borg",), clock())
    assert vault.status is JobStatus.PENDING
    assert vault.reason.startswith("waits for an engine")
    assert (backup.status, backup.reason) == (JobStatus.WAITING, f"waits for {vault.title}")


def test_two_that_end_at_once_wake_their_dependent(open_store: Callable[..., Store]) -> None:
    """Each must see the other's end, in whatever order they commit."""
    import threading

    store = open_store()
    for _ in range(6):
        first, second, last = store.jobs.queue(
            [NewJob(free_job("a")), NewJob(free_job("b")), NewJob(free_job("c"), after=(0, 1))]
        )
        fleet = Fleet.__new__(Fleet)
        fleet.store = store
        claims = fleet.claim()
        barrier = threading.Barrier(2)

        def end(claim: Claim, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            store.jobs.succeed(claim.job.id or 0, claim.fence)

        threads = [threading.Thread(target=end, args=(claim,)) for claim in claims]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.jobs.get(last.id or 0).status is JobStatus.PENDING
        (claim,) = fleet.claim()
        store.jobs.succeed(claim.job.id or 0, claim.fence)
        assert {first.id, second.id} == {c.job.id for c in claims}


def test_failure_skips_all_that_hangs_on_it_and_says_why(begun: Claim, store: Store, clock: FixedClock) -> None:
    changed = store.jobs.fail(1, begun.fence, WRONG)
    assert [(job.id, job.status) for job in changed] == [
        (1, JobStatus.FAILED),
        (2, JobStatus.SKIPPED),
        (3, JobStatus.SKIPPED),
        (4, JobStatus.SKIPPED),
    ]
    assert changed[0].error == WRONG
    assert {job.reason for job in changed[1:]} == {"prepare client of web1.example.org failed: the passphrase is wrong"}
    assert {job.ended_at for job in changed} == {clock()}
    assert store.jobs.unfinished() == 0


def test_what_failed_last_skips_nothing_before_it(fleet: Fleet, store: Store) -> None:
    """A listing that fails never turns a good backup bad."""
    store.jobs.queue([NewJob(fleet.job("backup")), NewJob(fleet.job("catalog"), after=(0,))])
    backup = fleet.take()
    store.jobs.succeed(1, backup.fence, archives=[fleet.archive()])
    catalog = fleet.take()
    store.jobs.fail(2, catalog.fence, WRONG)
    assert states(store) == ["successful", "failed"]


def test_a_retry_holds_nothing_and_keeps_its_dependents_waiting(begun: Claim, fleet: Fleet, clock: FixedClock) -> None:
    store = fleet.store
    later = clock() + timedelta(seconds=60)
    (job,) = store.jobs.fail(1, begun.fence, DOWN, retry_at=later, warnings=["slow"])
    assert (job.status, job.error, job.not_before, job.attempt) == (JobStatus.PENDING, DOWN, later, 1)
    assert states(store)[1:] == ["waiting"] * 3
    store.jobs.queue([NewJob(free_job(), alone("client:1"))])
    assert ids(fleet.claim()) == [5]


def test_a_retry_of_what_should_be_canceled_is_its_end(begun: Claim, store: Store, clock: FixedClock) -> None:
    store.jobs.cancel(1)
    changed = store.jobs.fail(1, begun.fence, DOWN, retry_at=clock() + timedelta(seconds=60))
    assert changed[0].status is JobStatus.CANCELED
    assert states(store) == ["canceled", "skipped", "skipped", "skipped"]


def test_a_job_that_waits_is_canceled_at_once(fleet: Fleet, store: Store) -> None:
    store.jobs.queue(fleet.chain())
    changed = store.jobs.cancel(3)
    assert [(job.id, job.status.value) for job in changed] == [(3, "canceled"), (4, "skipped")]
    assert changed[1].reason == "backup etc of web1.example.org was canceled"
    assert states(store)[:2] == ["pending", "waiting"]


def test_a_job_at_work_is_canceled_by_its_engine(begun: Claim, store: Store) -> None:
    (job,) = store.jobs.cancel(1)
    assert (job.status, job.cancel_requested) == (JobStatus.RUNNING, True)
    assert store.jobs.canceled([1, 2]) == {1}
    assert store.jobs.cancel(1) == [job]
    changed = store.jobs.finish_canceled(1, begun.fence)
    assert [job.status.value for job in changed] == ["canceled", "skipped", "skipped", "skipped"]
    assert changed[1].reason == "prepare client of web1.example.org was canceled"
    assert store.jobs.canceled([1]) == set()


def test_a_claimed_job_may_be_skipped(fleet: Fleet, store: Store) -> None:
    store.jobs.queue(fleet.chain())
    changed = store.jobs.skip(1, fleet.take().fence, "web1 is disabled")
    assert changed[0].reason == "web1 is disabled"
    assert changed[3].reason == "prepare client of web1.example.org was skipped: web1 is disabled"


def test_what_ended_holds_nothing(begun: Claim, fleet: Fleet, store: Store) -> None:
    store.jobs.queue([NewJob(free_job(), alone("client:1"))])
    assert fleet.claim() == []
    store.jobs.fail(1, begun.fence, WRONG)
    assert ids(fleet.claim()) == [5]


Step = Callable[[Store, int, int], object]
STEPS: dict[str, Step] = {
    "started": lambda store, job, fence: store.jobs.started(job, fence),
    "successful": lambda store, job, fence: store.jobs.succeed(job, fence),
    "failed": lambda store, job, fence: store.jobs.fail(job, fence, WRONG),
    "canceled": lambda store, job, fence: store.jobs.finish_canceled(job, fence),
    "skipped": lambda store, job, fence: store.jobs.skip(job, fence, "no"),
}


@pytest.mark.parametrize("step", STEPS)
def test_steps_that_are_not_allowed_change_nothing(begun: Claim, store: Store, step: str) -> None:
    do = STEPS[step]
    before = list(store.jobs)
    with pytest.raises(InvalidTransition, match="taken over by another engine"):
        do(store, 1, begun.fence + 1)
    with pytest.raises(InvalidTransition, match=f"job 2 is waiting, and from there it cannot become {step}"):
        do(store, 2, 0)
    with pytest.raises(NotFound, match="no job with the id 99"):
        do(store, 99, 1)
    assert list(store.jobs) == before
    store.jobs.succeed(1, begun.fence)
    before = list(store.jobs)
    with pytest.raises(InvalidTransition, match=f"job 1 is successful already, so it cannot become {step}"):
        do(store, 1, begun.fence)
    assert list(store.jobs) == before


def test_what_ended_is_not_canceled(begun: Claim, store: Store) -> None:
    store.jobs.succeed(1, begun.fence)
    with pytest.raises(InvalidTransition, match="job 1 is successful already"):
        store.jobs.cancel(1)
    with pytest.raises(NotFound):
        store.jobs.cancel(99)


def test_an_end_told_twice_counts_once(fleet: Fleet, store: Store) -> None:
    store.jobs.queue([NewJob(fleet.job("backup"))])
    claim = fleet.take()
    store.jobs.succeed(1, claim.fence, archives=[fleet.archive()])
    with pytest.raises(InvalidTransition):
        store.jobs.succeed(1, claim.fence, archives=[fleet.archive(name="second")])
    assert [archive.name for archive in store.archives] == ["first"]


def test_archives_are_recorded_with_the_success(fleet: Fleet, store: Store) -> None:
    store.jobs.queue([NewJob(fleet.job("backup"))])
    claim = fleet.take()
    made = evolve(fleet.archive(), roots=(("/etc", "fs-1"),), files=12)
    (job,) = store.jobs.succeed(1, claim.fence, archives=[made])
    assert job.archives == (1,)
    assert store.archives.get(1) == evolve(made, id=1, job=1)
    assert store.archives.find(job=1) == [store.archives.get(1)]


def test_an_archive_that_another_job_recorded_undoes_the_success(fleet: Fleet, store: Store) -> None:
    store.jobs.queue([NewJob(fleet.job("backup"))])
    store.jobs.succeed(1, fleet.take().fence, archives=[fleet.archive()])
    store.jobs.queue([NewJob(fleet.job("backup"))])
    claim = fleet.take()
    with pytest.raises(AlreadyExists, match="recorded before"):
        store.jobs.succeed(2, claim.fence, archives=[fleet.archive()])
    assert states(store) == ["successful", "starting"]


def test_progress_is_kept_for_who_has_the_job(begun: Claim, store: Store) -> None:
    progress = Progress(files=4, path="/etc/\udcff", fraction=0.25)
    store.jobs.progress(1, begun.fence, progress)
    assert store.jobs.get(1).progress == progress
    store.jobs.progress(1, begun.fence + 1, Progress(files=5))
    assert store.jobs.get(1).progress == progress
    store.jobs.succeed(1, begun.fence)
    store.jobs.progress(1, begun.fence, Progress(files=6))
    assert store.jobs.get(1).progress == progress


def test_lines_are_kept_in_order(begun: Claim, store: Store) -> None:
    store.jobs.output(1, ["one", "two"])
    store.jobs.output(1, [], begun.fence)
    store.jobs.output(1, ["three", "four\x00\udcff", ""], begun.fence)
    assert store.jobs.output_of(1) == ["one", "two", "three", "four\\x00\\udcff", ""]
    assert store.jobs.output_of(2) == []


def test_lines_of_an_engine_that_lost_the_job_are_refused(begun: Claim, store: Store) -> None:
    with pytest.raises(InvalidTransition, match="taken over"):
        store.jobs.output(1, ["late"], begun.fence + 1)
    for call in (store.jobs.output_of, lambda job: store.jobs.output(job, ["x"])):
        with pytest.raises(NotFound):
            call(99)


def test_needs_and_followers(fleet: Fleet, store: Store) -> None:
    store.jobs.queue(fleet.chain())
    store.jobs.queue(fleet.chain(1))
    assert store.jobs.with_needs([3]) == {1, 2, 3}
    assert store.jobs.with_followers([2]) == {2, 3, 4}
    assert store.jobs.unfinished([1, 2, 99]) == 2


def test_an_ended_job_can_be_planned_again(fleet: Fleet, store: Store) -> None:
    (job,) = store.jobs.queue([NewJob(fleet.job("restore", archive=7, options={"paths": ["etc"]}, attempts=4))])
    with pytest.raises(Invalid, match="has not ended"):
        store.jobs.again(job)
    store.jobs.cancel(1)
    again = store.jobs.again(store.jobs.get(1))
    assert again.job == Job(
        kind="restore",
        client=1,
        vault=1,
        repository=1,
        archive=7,
        options={"paths": ["etc"]},
        attempts=4,
        client_name="web1.example.org",
        repository_name="nas",
        launched_by="relaunch",
    )
    assert [(key.name, key.alone) for key in again.keys] == [("vault:1", False), ("client:1", True)]


@pytest.mark.parametrize(
    ("code", "adopted", "kept"),
    [("wrong_passphrase", True, 0), ("key_not_authorized", True, 1), ("wrong_passphrase", False, 1)],
)
def test_what_was_to_be_adopted_and_could_not_be_is_no_vault(
    fleet: Fleet, store: Store, code: str, adopted: bool, kept: int
) -> None:
    vault = fleet.vaults[0].id or 0
    store.vaults.observe(vault, adopted=adopted)
    first, second = fleet.chain()[1:3]
    store.jobs.queue([evolve(first, after=()), evolve(second, after=(0,))])
    claim = fleet.take()
    store.jobs.fail(1, claim.fence, JobError("lock_held", "later"), retry_at=store._database.clock())
    assert len(store.vaults.find(id=vault)) == 1, "it is tried again"
    claim = fleet.take()
    changed = store.jobs.fail(1, claim.fence, JobError(code, "no"))
    assert [job.status for job in changed] == ["failed", "skipped"]
    assert len(store.vaults.find(id=vault)) == kept
    assert len(store.vaults) == 2 + kept, "no other one goes with it"
