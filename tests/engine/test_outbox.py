"""What is told: in the order of commits, one at a time, by one thread, and never while a lock is held."""

from __future__ import annotations

import threading

import pytest

import cyborglib as cy
from cyborglib.engine.outbox import Outbox
from cyborglib.events import Events
from tests.engine.fleet import LONG, Meanwhile, until


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def outbox(events: Events) -> Outbox:
    return Outbox(events)


def job(number: int = 1) -> cy.Job:
    return cy.Job(kind="backup", id=number)


def started(number: int = 1) -> cy.JobStarted:
    return cy.JobStarted(job=job(number))


def progressed(files: int, number: int = 1) -> cy.JobProgressed:
    return cy.JobProgressed(job=job(number), progress=cy.Progress(files=files))


def put(outbox: Outbox, *events: cy.Event) -> None:
    with outbox.committing() as told:
        told.extend(events)


def test_nothing_is_told_of_what_was_not_committed(events, outbox):
    heard = []
    events.on(cy.Event)(heard.append)
    with pytest.raises(RuntimeError), outbox.committing() as told:  # noqa: PT012
        told.append(started())
        raise RuntimeError("the commit failed")
    outbox.tell()
    assert heard == []


def test_a_listener_may_commit_and_that_is_told_after(events, outbox):
    heard = []

    @events.on(cy.JobStarted)
    def listener(event):
        if event.job.id == 1:
            put(outbox, started(2))
            outbox.tell()  # as a verb does
            assert outbox.telling_here
        heard.append(("first", event.job.id))

    events.on(cy.JobStarted)(lambda event: heard.append(("second", event.job.id)))
    put(outbox, started(1))
    outbox.tell()
    assert heard == [("first", 1), ("second", 1), ("first", 2), ("second", 2)]
    assert not outbox.telling_here


def test_nobody_waits_for_the_listener_of_another_thread(events, outbox):
    """It leaves what it has to the thread that is telling, which may be waiting for it."""
    heard, inside, on = [], threading.Event(), threading.Event()

    @events.on(cy.JobStarted)
    def slow(event):
        inside.set()
        assert on.wait(LONG)
        heard.append((event.job.id, threading.get_ident()))

    put(outbox, started(1))
    with Meanwhile(outbox.tell) as other:
        assert inside.wait(LONG)
        put(outbox, started(2))
        outbox.tell()
        assert heard == []
        on.set()
        other.join()
    assert [number for number, _ in heard] == [1, 2]
    assert len({thread for _, thread in heard}) == 1


def test_settle_waits_until_another_thread_has_told(events, outbox):
    heard, inside, on = [], threading.Event(), threading.Event()

    @events.on(cy.JobStarted)
    def slow(event):
        inside.set()
        assert on.wait(LONG)
        heard.append(event.job.id)

    put(outbox, started(1), started(2))
    with Meanwhile(outbox.tell):
        assert inside.wait(LONG)
        with Meanwhile(outbox.settle) as settling:
            assert not settling.over
            on.set()
        assert heard == [1, 2]


def test_what_comes_while_the_last_is_told_is_told_too(events, outbox):
    """Many threads put and tell; in the end nothing is left, and each thread's own are in its order."""
    heard: list[int] = []
    inside = []

    @events.on(cy.JobStarted)
    def listener(event):
        inside.append(1)
        assert len(inside) == 1, "one at a time"
        heard.append(event.job.id)
        inside.clear()

    def many(first):
        for n in range(first, first + 200):
            put(outbox, started(n))
            outbox.tell()

    threads = [threading.Thread(target=many, args=(1000 * n,)) for n in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 1200
    assert not outbox.waiting
    for n in range(1, 7):
        mine = [number for number in heard if number // 1000 == n]
        assert mine == sorted(mine)


def test_of_progress_that_waits_only_the_latest_is_told(events, outbox):
    heard = []
    events.on(cy.Event)(heard.append)
    put(outbox, started(1), progressed(1), progressed(10, number=2), progressed(2), progressed(3))
    outbox.tell()
    assert [getattr(event, "progress", None) and event.progress.files for event in heard] == [None, 3, 10]


def test_progress_is_not_told_before_what_came_earlier(events, outbox):
    heard = []
    events.on(cy.Event)(heard.append)
    again = cy.JobRetried(job=job(), error=cy.JobError("lock_held", "locked"))
    put(outbox, progressed(1), again, started(), progressed(2), progressed(3))
    outbox.tell()
    assert [type(event).__name__ for event in heard] == ["JobProgressed", "JobRetried", "JobStarted", "JobProgressed"]
    assert (heard[0].progress.files, heard[3].progress.files) == (1, 3)
    put(outbox, progressed(4))
    outbox.tell()
    assert heard[-1].progress.files == 4


def test_telling_stops_after_its_time_and_goes_on_later(events, outbox):
    heard = []
    events.on(cy.Event)(heard.append)
    put(outbox, started(1), started(2))
    outbox.tell(seconds=0)
    assert (len(heard), outbox.waiting) == (1, True)
    outbox.tell()
    assert len(heard) == 2


def test_a_listener_that_ends_the_program_does(events, outbox):
    events.on(cy.JobStarted)(lambda _: 1 // 0)
    put(outbox, started(1), started(2))

    @events.on(cy.JobStarted)
    def leave(_event):
        raise SystemExit(1)

    with pytest.raises(SystemExit):
        outbox.tell()
    with pytest.raises(SystemExit):
        outbox.tell()
    outbox.settle()
    assert not outbox.waiting


def test_who_listens_hears_whether_to_look_at_the_queue(outbox):
    with outbox.listening() as one, outbox.listening() as two:
        assert outbox.heard
        put(outbox, started(), progressed(1))
        put(outbox, cy.JobQueued(job=job()))
        put(outbox)
        outbox.wake()
        for ear in (one, two):
            assert [ear.get(timeout=LONG) for _ in range(3)] == [False, True, True]
            assert ear.empty()
    assert not outbox.heard
    outbox.wake()
    until(lambda: one.empty())
