"""One-time tokens."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from cyborglib.store import Store
from cyborglib.testing import FixedClock


def test_a_token_is_used_once_in_time(store: Store, clock: FixedClock) -> None:
    soon = clock() + timedelta(hours=1)
    for name in ("one", "two"):
        store.invitations.add("client", 3, f"hash {name}", soon)
    assert store.invitations.consume("hash x", clock()) is None
    assert store.invitations.consume("hash one", clock()) == ("client", 3)
    assert store.invitations.consume("hash one", clock()) is None
    assert store.invitations.consume("hash two", soon) is None
    assert store.invitations.consume("hash two", soon - timedelta(microseconds=1)) == ("client", 3)


def test_of_two_at_once_one_succeeds(store: Store, clock: FixedClock) -> None:
    for n in range(5):
        store.invitations.add("repository", n, f"hash {n}", clock() + timedelta(hours=1))
        found: list[object] = []
        barrier = threading.Barrier(3)

        def take(n: int = n, found: list[object] = found, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            found.append(store.invitations.consume(f"hash {n}", clock()))

        threads = [threading.Thread(target=take) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found, key=str) == [("repository", n), None, None]


def test_a_token_belongs_to_one_object(store: Store, clock: FixedClock) -> None:
    store.invitations.add("client", 1, "hash", clock())
    with pytest.raises(IntegrityError):
        store.invitations.add("client", 2, "hash", clock())
