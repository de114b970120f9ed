"""What the agents on hosts may forget, told to each with the next job there: that spares every job an exchange."""

from __future__ import annotations

import threading
from collections import defaultdict

from ..executor import Host, HostRun
from .ssh import destination

#: What is kept for one host; beyond that its tasks tell the agent themselves.
MOST = 20


class Acknowledging:
    """Remembers, for as long as the executor lives. What is then left on a host, its agent sweeps away by itself.

    May be used by any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: defaultdict[str, dict[str, int]] = defaultdict(dict)

    def later(self, work: HostRun, names: list[tuple[str, int]]) -> bool:
        """Take these over; False if it is better told at once."""
        with self._lock:
            known = self._names[_account(work.host)]
            if len(known) + len(names) > MOST:
                return False
            known.update(names)
            return True

    def due(self, host: Host) -> list[tuple[str, int]]:
        """What the agent that a job on this host speaks to may forget."""
        with self._lock:
            return list(self._names[_account(host)].items())

    def told(self, host: Host, names: list[tuple[str, int]]) -> None:
        """The agent has been told."""
        with self._lock:
            known = self._names[_account(host)]
            for name, _ in names:
                known.pop(name, None)


def _account(host: Host) -> str:
    """Another account on the same host has an agent folder of its own."""
    reached = ("local", host.account) if host.local else (destination(host), host.port, host.user, host.key_of)
    return repr((*reached, host.become, host.become_user))
