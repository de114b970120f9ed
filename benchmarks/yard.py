"""A fleet of real ssh hosts and a repository host to measure on, and what all of it costs in processor time."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import TracebackType

from attrs import frozen

from tests.lab import Host, Lab
from tests.lab.machine import call

TICK = os.sysconf("SC_CLK_TCK")
HERE = Path(__file__).parent
#: Where borgmatic is mounted in the clients.
BORGMATIC = "/opt/borgmatic"
COUNT = "/opt/count_archives.py"


@frozen
class Cpu:
    """Processor seconds used so far: on this machine by us, on the clients, on the repository's host.

    Unlike the wall clock it hardly changes with what else the machine is doing.
    """

    controller: float
    clients: float
    nas: float

    @property
    def all(self) -> float:
        """The whole of it."""
        return self.controller + self.clients + self.nas

    def __sub__(self, other: Cpu) -> Cpu:
        return Cpu(self.controller - other.controller, self.clients - other.clients, self.nas - other.nas)


class Yard:
    """`count` clients web1 … with Borg, and the repository's host `nas`; all gone at the end.

    `mount`: a folder of this machine that is seen in each client as `BORGMATIC`.
    """

    def __init__(self, count: int, mount: Path | None = None) -> None:
        adopt()
        self.lab = Lab()
        self._before = os.environ.get("SSH_AUTH_SOCK")
        os.environ["SSH_AUTH_SOCK"] = str(self.lab.auth_sock)
        try:
            self.nas = self.lab.host("nas", borg="1.2")
            self.nas.write(COUNT, (HERE / "count_archives.py").read_text())
            self.clients = self.lab.many(count, borg="1.2", start=False)
            for host in self.clients:
                if mount:
                    point = host.root / BORGMATIC.lstrip("/")
                    point.mkdir()
                    call(["mount", "--bind", mount, point])
                host.start()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Yard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End and delete the hosts."""
        if self._before is None:
            os.environ.pop("SSH_AUTH_SOCK", None)
        else:
            os.environ["SSH_AUTH_SOCK"] = self._before
        self.lab.close()

    def cpu(self) -> Cpu:
        """What was used until now, by processes that live and by those that their parents have waited for."""
        return cpu_of(self.lab, self.nas)

    def count_archives(self, vaults: Iterable[tuple[str, str]]) -> dict[str, int]:
        """How many archives lie in vaults of the nas, each given as (path, passphrase).

        Read by Borg's own code, in one process: a `borg list` each would take longer than what is measured.
        """
        asked = json.dumps(list(vaults))
        said = self.nas.run(["/usr/bin/python3", COUNT], input=asked).stdout
        found: dict[str, int] = json.loads(said)
        return found


def adopt() -> None:
    """What is detached (shared ssh connections) stays in this process's tree, so that it is measured as well."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def cpu_of(lab: Lab, nas: Host) -> Cpu:
    """What this process and a lab's hosts have used until now."""
    namespaces = {_namespace(host._init): host for host in lab.hosts}
    used: dict[str, float] = defaultdict(float)
    ours = tree()
    for pid in _pids():
        with suppress(OSError):
            host = namespaces.get(_namespace(pid))
            if host is not None:
                used["nas" if host is nas else "clients"] += _cpu_of(pid)
            elif pid in ours:
                used["controller"] += _cpu_of(pid)
    return Cpu(used["controller"], used["clients"], used["nas"])


def tree() -> set[int]:
    """This process and all below it."""
    children: dict[int, list[int]] = defaultdict(list)
    for pid in _pids():
        with suppress(OSError):
            children[int(_stat(pid)[1])].append(pid)
    found, left = set(), [os.getpid()]
    while left:
        pid = left.pop()
        found.add(pid)
        left += children[pid]
    return found


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on: state, parent, …"""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _cpu_of(pid: int) -> float:
    return sum(map(int, _stat(pid)[11:15])) / TICK


def _namespace(pid: int) -> str:
    return os.readlink(f"/proc/{pid}/ns/pid")


def surroundings() -> list[str]:
    """Lines that say when, on what machine and with which versions something was measured."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    cpu = models[0].partition(":")[2].strip() if models else "an unknown processor"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    ssh = subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr.split(",")[0].strip()
    revision = subprocess.run(
        ["git", "-C", str(HERE), "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    names = ("cyborglib", "ansible-core", "ansible-runner", "SQLAlchemy")
    return [
        f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC, {os.cpu_count()} cores of {cpu}, {memory:.0f} GiB",
        f"Python {sys.version.split()[0]}, {ssh}, " + ", ".join(f"{name} {_version(name)}" for name in names),
        f"revision {revision or 'unknown'}, load before: {' '.join(f'{load:.1f}' for load in os.getloadavg())}",
    ]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "?"


__all__ = ["BORGMATIC", "Cpu", "Host", "Yard", "adopt", "cpu_of", "surroundings", "tree"]
