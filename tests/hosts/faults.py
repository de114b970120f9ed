"""What can be killed while a backup is at work, and how everything has to be after that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import cyborglib as cy
from cyborglib.executor import Control
from tests.conftest import HostFactory
from tests.engine import fleet as rows
from tests.hosts import killed
from tests.hosts.conftest import Fleet, made_key
from tests.lab import Host
from tests.lab.machine import alive
from tests.lab.postgresql import PostgreSQL

CALLS = {name for name in vars(Control) if not name.startswith("_")}
#: What tells an engine something of a backup: of the methods of `Control` those that are no questions, and not told by
#: other kinds of jobs only. `Faulty.heard` is what a backup really calls, and a test compares both.
QUESTIONS = {"job", "canceled", "secret"}
ELSEWHERE = {"keep", "pinned", "contents", "deciding"}
MOMENTS = sorted(CALLS - QUESTIONS - ELSEWHERE)
WHEN = ("before", "after")


class Faulty:
    """A fleet of one client whose backups take a while, on a database server that can be killed, too."""

    def __init__(self, fleet: Fleet, server: PostgreSQL) -> None:
        self.fleet, self.server = fleet, server
        fleet.cyborg.settings = cy.Settings(lease=5, retry_delays=(1, 2), lock_wait=60)
        # So slow that there is a middle.
        client, vault = fleet.client("web1", bandwidth_limit=3000), fleet.repository()
        self.web1, self.nas = fleet.hosts["web1"], fleet.hosts["nas"]
        self.policy = fleet.cyborg.policies.add(
            cy.Policy("big", "folders", vault, clients=[client], compression="none", prehook="echo a word",
                      extra_vars={"folders": ["/srv/big"]})
        )  # fmt: skip
        self.web1.run(["mkdir", "-p", "/srv/big"])
        self.web1.write("/srv/big/small", b"x")
        #: The methods of `Control` that a backup called.
        self.heard: set[str] = set()
        undo = [killed.at(name, "before", partial(self.heard.add, name), least=0) for name in CALLS - {"job"}]
        fleet.run(self.policy)
        for take_back in undo:
            take_back()
        fleet.told.clear()

    def launch(self) -> cy.Job:
        """A backup of data that was never seen before."""
        self.web1.run(["sh", "-c", "head -c 12000000 /dev/urandom > /srv/big/data"])
        [job] = self.fleet.cyborg.launch(self.policy)
        return job

    def killing(self, what: str, moment: str, when: str) -> cy.Job:
        """A backup in whose middle something is killed, worked until it has ended; everything is settled then."""
        job = self.launch()
        if what == "engine":
            kill_engine(self.fleet, f"backup/{moment}/{when}")
        else:
            done = threading.Event()

            def kill() -> None:
                KINDS[what](self)
                done.set()

            undo = killed.at(moment, when, kill)
            try:
                self.fleet.cyborg.work()
            finally:
                undo()
            assert done.is_set(), f"{moment} never came"
        job = self.fleet.cyborg.jobs.get(job.id)
        assert job.status == "successful", f"{what} {when} {moment}: {job.error} {self.fleet.said()}"
        assert_settled(self.fleet)
        # Whoever followed it to its end knows of what it was to be.
        [archive] = [self.fleet.cyborg.archives.get(one) for one in job.archives]
        assert [root for root, _ in archive.roots] == ["/srv/big"], f"{what} {when} {moment}"
        assert not archive.doubtful
        return job


@contextmanager
def on_a_server(folder: Path, make: HostFactory) -> Iterator[tuple[Fleet, PostgreSQL]]:
    """An empty fleet in a database on a server of its own, which can be killed."""
    made_key(folder)
    server = PostgreSQL()
    try:
        fleet = Fleet(folder, make, server.database())
        yield fleet, server
        fleet.cyborg.close()
    finally:
        server.close()


def kill_engine(fleet: Fleet, step: str) -> None:
    """Let an engine of its own work the queue up to a step, at which it dies; then another one does the rest."""
    fleet.cyborg.close()
    argv = [fleet.url, fleet.folder / "seal.key", fleet.folder / "state", step]
    done = subprocess.run([sys.executable, "-m", "tests.hosts.killed", *argv], timeout=240)
    assert done.returncode == -signal.SIGKILL, f"{step} never came"
    fleet.open()
    fleet.cyborg.work()


def shot(found: Iterator[int] | list[int]) -> None:
    """SIGKILL for what there is of it at that moment."""
    pids = list(found)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def words(pid: int) -> list[str]:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="surrogateescape").split("\0")
    return []


def ours(*signs: str) -> list[int]:
    """Descendants of this process with one of some texts in their arguments."""
    return [pid for pid in killed.children(os.getpid()) if any(sign in " ".join(words(pid)) for sign in signs)]


def there(host: Host, *signs: str) -> list[int]:
    """Processes of a host with all of some texts in their arguments, by their ids here."""
    return [pid for pid in host._inner() if all(sign in " ".join(words(pid)) for sign in signs)]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def restart(host: Host) -> None:
    host.stop()
    host.start()


def restart_server(server: PostgreSQL) -> None:
    server.kill()
    # While it is away nothing can be told, and the one who tells waits here.
    threading.Timer(2, server.start).start()


def supervisors(host: Host) -> list[int]:
    return [parent(pid) for pid in there(host, "borg", "create")]


#: What is killed. The engine is a process of its own then: `Faulty.killing`.
KINDS: dict[str, Callable[[Faulty], object]] = {
    "engine": lambda it: None,
    "ansible-playbook": lambda it: shot(ours("waiting_playbook")),
    "ansible's worker": lambda it: shot(
        [pid for pid in ours("waiting_playbook") if "waiting_playbook" in " ".join(words(parent(pid)))]
    ),
    # Also the one that keeps a connection open, which calls itself "ssh: SOCKET [mux]"; not the agent.
    "ssh": lambda it: shot([pid for pid in ours("ssh") if words(pid)[0].startswith("ssh:") or words(pid)[0] == "ssh"]),
    "borg": lambda it: shot(there(it.web1, "borg", "create")),
    "supervisor": lambda it: shot(supervisors(it.web1)),
    "borg and supervisor": lambda it: shot([*supervisors(it.web1), *there(it.web1, "borg", "create")]),
    "borg's ssh": lambda it: shot(there(it.web1, "ssh", "vault-")),
    "borg serve": lambda it: shot(there(it.nas, "borg", "serve")),
    "client": lambda it: restart(it.web1),
    "repository's host": lambda it: restart(it.nas),
    "database server": lambda it: restart_server(it.server),
}


def assert_settled(fleet: Fleet) -> None:
    """Nothing is left of any job, wherever it was at work; what was told as successful is in the vault, and whole."""
    rows.assert_settled(fleet.cyborg)
    deadline = time.monotonic() + 20
    while left := leftovers(fleet):
        assert time.monotonic() < deadline, f"{left} {fleet.said()}"
        time.sleep(0.2)
    for vault in fleet.cyborg.vaults:
        nas = fleet.hosts["nas"]
        kept = fleet.cyborg._store.vaults.get(vault.id)
        env = {"BORG_PASSPHRASE": kept.passphrase.reveal(), "BORG_BASE_DIR": "/tmp/looked"}
        listed = json.loads(nas.run(["borg", "list", "--json", kept.where.path], env=env, user="borg").stdout)
        found = {(archive["name"], archive["id"]) for archive in listed["archives"]}
        recorded = fleet.cyborg.archives.find(vault=vault.id)
        assert {(archive.name, archive.borg_id) for archive in recorded if archive.pruned_at is None} <= found
        nas.run(["borg", "check", kept.where.path], env=env, user="borg")
    for job in fleet.cyborg.jobs.find(kind="backup", status="successful"):
        assert job.archives, "a success without an archive"
    folder = fleet.folder / "state"
    assert not list(folder.glob("**/lock.exclusive"))


def leftovers(fleet: Fleet) -> list[str]:
    """Locks and processes that nobody needs any more."""
    found = []
    for host in fleet.hosts.values():
        for argv in host.processes():
            if "borg" in " ".join(argv) or argv[1:4] == ["-I", "-S", "-"]:
                found.append(f"{host.name}: {' '.join(argv)}")
        locks = "ls -d /srv/borg/*/lock.exclusive /root/.cache/borg/*/lock.exclusive 2>/dev/null || :"
        found += host.run(["sh", "-c", locks]).stdout.split()
    return found + [f"here: {' '.join(words(pid))} {shown(pid)}" for pid in orphans()]


def shown(pid: int) -> str:
    """What is known of a process."""
    with suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        kept = [line for line in status if line.startswith(("State", "PPid", "Threads", "NSpid", "SigCgt"))]
        return f"pid {pid} {kept} {Path(f'/proc/{pid}/wchan').read_text()} {sorted(os.listdir(f'/proc/{pid}/fd'))}"
    return "gone"


def orphans() -> list[int]:
    """Processes of Ansible, or of an ssh of its, whose engine is gone."""
    mine = set(killed.children(os.getpid()))
    found = []
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        said = " ".join(words(pid))
        if "waiting_playbook" in said and pid not in mine and alive(pid) and parent(pid) == 1:
            found.append(pid)
    return found
