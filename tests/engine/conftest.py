"""Fleets on a database in memory, closed after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

import cyborglib as cy
from cyborglib.sealing import Sealer
from cyborglib.testing import FakeExecutor, FixedClock
from tests.engine.fleet import ByHand, Fleet

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = Sealer.generate_key()


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(NOON)


@pytest.fixture
def opened() -> Iterator[Callable[..., cy.Cyborg]]:
    """Opens a Cyborg that is closed after the test."""
    made: list[cy.Cyborg] = []

    def open_it(bind: Any = "sqlite://", **options: Any) -> cy.Cyborg:
        made.append(cy.Cyborg(bind, **{"key": KEY, **options}))
        return made[-1]

    yield open_it
    for cyborg in made:
        cyborg.close()


@pytest.fixture
def fleet(opened: Callable[..., cy.Cyborg], clock: FixedClock) -> Callable[..., Fleet]:
    """A fleet whose jobs are answered by a FakeExecutor: `fleet(answer, clients=2)`."""

    def make(answer: Any = None, *, clients: int = 1, seconds: float = 0.0, says: Any = None, **policy: Any) -> Fleet:
        options = ({"answer": answer} if answer else {}) | ({"says": says} if says else {})
        return Fleet(opened(executor=FakeExecutor(seconds=seconds, **options), clock=clock), clients, **policy)

    return make


class InHand(Fleet):
    """A fleet that is ready, and the executor by which the test works it."""

    executor: ByHand


@pytest.fixture
def in_hand(opened: Callable[..., cy.Cyborg], clock: FixedClock) -> Callable[..., InHand]:
    """A fleet whose runs the test drives itself; everything is ready, and there are no listings."""

    def make(*, clients: int = 1, bind: Any = "sqlite://", **policy: Any) -> InHand:
        executor = ByHand()
        found = InHand(opened(bind, executor=executor, clock=clock), clients, **policy)
        found.ready()
        found.set(catalog=False)
        found.executor = executor
        return found

    return make
