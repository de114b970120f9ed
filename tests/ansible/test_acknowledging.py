"""What agents may forget is told them with the next job on their host."""

from __future__ import annotations

import attrs

from cyborglib.ansible.acknowledging import MOST, Acknowledging
from cyborglib.executor import Host, HostRun

HOST = Host(name="job-1", address="192.0.2.1", key_of="client-1", host_key="ssh-ed25519 AAAA")
WORK = HostRun(job=1, host=HOST)


def test_it_is_due_until_it_was_told() -> None:
    known = Acknowledging()
    assert known.later(WORK, [("0.1.1", 3), ("0.1.2", 4)])
    later = attrs.evolve(HOST, name="job-2", host_key="")
    assert known.due(later) == [("0.1.1", 3), ("0.1.2", 4)]
    known.told(later, [("0.1.1", 3)])
    assert known.due(HOST) == [("0.1.2", 4)]


def test_other_accounts_have_agents_of_their_own() -> None:
    known = Acknowledging()
    known.later(WORK, [("0.1.1", 3)])
    for change in ({"address": "192.0.2.2"}, {"user": "ann"}, {"become": False}, {"port": 23}, {"local": True}):
        assert known.due(attrs.evolve(HOST, **change)) == []  # type: ignore[arg-type]


def test_it_does_not_grow_without_end() -> None:
    known = Acknowledging()
    taken = [known.later(WORK, [(f"0.{n}.1", 1)]) for n in range(MOST + 5)]
    assert taken.count(True) == MOST
    assert len(known.due(HOST)) == MOST
