"""Who is told what, in which order, and what a listener cannot do."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import attrs
import pytest

import cyborglib as cy
from cyborglib.events import Events, JobEvent

JOB = cy.Job(kind="backup", policy_name="etc", client_name="web1", id=1)
STARTED = cy.JobStarted(job=JOB)
FAILED = cy.JobFailed(job=JOB, error=cy.JobError("lock_held", "locked"))
KIT = cy.KitOutdated(reason="there is none")


@pytest.mark.parametrize(
    ("kind", "heard"),
    [
        (cy.Event, [STARTED, FAILED, KIT]),
        (JobEvent, [STARTED, FAILED]),
        (cy.JobFailed, [FAILED]),
        (cy.KitOutdated, [KIT]),
        (cy.JobQueued, []),
    ],
)
def test_a_class_stands_for_its_subclasses(kind, heard):
    events, found = Events(), []
    events.on(kind)(found.append)
    for event in (STARTED, FAILED, KIT):
        events.tell(event)
    assert found == heard


def test_listeners_are_told_in_the_order_they_came():
    events, found = Events(), []
    events.on(cy.JobFailed)(lambda _: found.append("failed"))
    events.on(cy.Event)(lambda _: found.append("all"))
    events.on(cy.JobFailed)(lambda _: found.append("failed too"))
    events.tell(FAILED)
    assert found == ["failed", "all", "failed too"]


def test_on_is_a_decorator_that_gives_the_function_back():
    def listener(_event):
        return None

    assert Events().on(cy.JobFailed)(listener) is listener


def test_a_listener_that_fails_is_logged_and_stops_nobody(caplog):
    events, found = Events(), []

    @events.on(cy.JobFailed)
    def broken(_event):
        raise RuntimeError("no mail today")

    events.on(cy.JobFailed)(found.append)
    with caplog.at_level(logging.ERROR, "cyborglib"):
        events.tell(FAILED)
    assert found == [FAILED]
    assert "broken" in caplog.text
    assert "no mail today" in caplog.text


def test_a_listener_may_be_interrupted():
    events = Events()

    @events.on(cy.Event)
    def interrupted(_event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        events.tell(KIT)


def test_one_that_comes_while_others_are_told_is_told_the_next():
    events, found = Events(), []
    events.on(cy.Event)(lambda _: events.on(cy.Event)(found.append))
    events.tell(STARTED)
    assert found == []
    events.tell(FAILED)
    assert found == [FAILED]


@pytest.mark.parametrize("kind", [cy.Job, "JobFailed", None, FAILED, Exception, lambda event: None])
def test_only_events_can_be_listened_to(kind):
    with pytest.raises(TypeError, match="event class"):
        Events().on(kind)


def test_events_are_frozen_and_carry_an_aware_time():
    before = datetime.now(UTC)
    event = cy.JobStarted(job=JOB)
    assert before <= event.at <= datetime.now(UTC)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        event.job = None
    assert attrs.evolve(event) == event


def test_an_event_does_not_show_what_its_job_keeps_secret():
    job = cy.Job(kind="backup", extra_vars={"password": "correct horse"})
    assert "correct horse" not in repr(cy.JobStarted(job=job))
