"""Databases and virtual machines: a job of the library beside the bare pipe `dump | borg create`. Run as root.

    python -m benchmarks.dumps [--megabytes 1000] [--rounds 5] [--only mysql postgresql vm]

On real hosts over ssh, Borg on the client, the vault on another host. Both back up the same, which has not changed
since the backup before: Borg reads, cuts and looks up all of it, and stores next to nothing. The pipe is one line of
shell by ssh, without any check of what came. `whole` is the wall clock from the call to its return; `stream` is Borg's
own time for the archive; `beside` is what is not in it: Ansible, ssh, Borg's start, what is asked before and after.
`CPU` is of all hosts and this process together (server, Borg, both ends of ssh), which other work on the machine hardly
changes. A throughput is the pipe's time by the library's.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import attrs
from cryptography.fernet import Fernet

import cyborglib as cy
from benchmarks.yard import adopt, cpu_of, surroundings
from tests.lab import Host, Lab
from tests.lab.cluster import Cluster
from tests.lab.hypervisor import IMAGES, Hypervisor
from tests.lab.mariadb import MariaDB

PASSPHRASE = "of the bare pipe"
#: Seconds before and after each turn, for what it leaves to do.
SETTLING = 1.0


class Subject(ABC):
    """What is backed up."""

    #: The policy type, and the host's programs.
    type, servers = "?", "databases"

    def __init__(self, host: Host, megabytes: int) -> None:
        self.host, self.megabytes = host, megabytes

    @abstractmethod
    def fill(self) -> None:
        """Start what serves it, and put so much into it."""

    @property
    @abstractmethod
    def pipe(self) -> str:
        """What prints it, in a shell."""

    @property
    @abstractmethod
    def options(self) -> dict[str, Any]:
        """The policy's extra_vars."""

    def client(self, cyborg: cy.Cyborg, hypervisor: cy.Client) -> cy.Client:
        """The client of the policy."""
        return hypervisor


class MySQL(Subject):
    """One table of MariaDB."""

    type = "mysql"

    def fill(self) -> None:
        MariaDB(self.host, "--innodb-buffer-pool-size=512M")
        piece = "hex(random_bytes(120)), repeat('what is written here repeats itself. ', 16)"
        sql = (
            "create database bench; use bench;"
            "create table papers (id bigint auto_increment primary key, noise varchar(240), words text);"
            f"insert into papers (noise, words) select {piece} from seq_1_to_{self.megabytes * 1180};"
        )
        self.host.run(["mariadb", "-e", sql], timeout=1200)

    @property
    def pipe(self) -> str:
        return "mariadb-dump --single-transaction --quick --routines --events --hex-blob bench"

    @property
    def options(self) -> dict[str, Any]:
        return {"database": "bench"}


class PostgreSQL(Subject):
    """One table of PostgreSQL."""

    type = "postgresql"

    def fill(self) -> None:
        cluster = Cluster(self.host)
        cluster.start()
        noise = "md5(random()::text) || md5(random()::text) || md5(random()::text) || md5(random()::text)"
        sql = (
            f"create table papers as select n as id, {noise} as noise, "
            "repeat('what is written here repeats itself. ', 23) as words "
            f"from generate_series(1, {self.megabytes * 1030}) n"
        )
        as_postgres = ["runuser", "-u", "postgres", "--"]
        self.host.run([*as_postgres, "createdb", "bench"])
        self.host.run([*as_postgres, "psql", "-q", "-d", "bench", "-c", sql], timeout=1200)

    @property
    def pipe(self) -> str:
        return "cd / && runuser -u postgres -- pg_dump --format=custom --compress=0 bench"

    @property
    def options(self) -> dict[str, Any]:
        return {"database": "bench"}


class Machine(Subject):
    """A raw image, of a domain that is shut off: what runs cannot be read by a bare pipe at all."""

    type, servers = "vm", "hypervisor"

    def fill(self) -> None:
        hypervisor = Hypervisor(self.host)
        half = self.megabytes // 2
        words = f"yes 'what is written here repeats itself. ' | head -c {half}M"
        self.host.run(["bash", "-c", f"{{ head -c {half}M /dev/urandom; {words}; }} > {IMAGES}/bench.raw"], timeout=600)
        hypervisor.define("bench", [(f"{IMAGES}/bench.raw", "raw")])

    @property
    def pipe(self) -> str:
        return f"cat {IMAGES}/bench.raw"

    @property
    def options(self) -> dict[str, Any]:
        return {}

    def client(self, cyborg: cy.Cyborg, hypervisor: cy.Client) -> cy.Client:
        return cyborg.clients.add(cy.Client("guest1", hypervisor=hypervisor, vm_name="bench"))


SUBJECTS: dict[str, type[Subject]] = {kind.type: kind for kind in (MySQL, PostgreSQL, Machine)}


class Bare:
    """ssh host 'dump | borg create … -'"""

    def __init__(self, subject: Subject, nas: Host) -> None:
        self.subject, self.nas = subject, nas
        host = subject.host
        name = f"bare-{subject.type}"
        nas.run(["useradd", "--create-home", "--shell", "/bin/sh", name])
        nas.run(["install", "-d", "-o", name, f"/srv/{name}"])
        host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/bare"])
        key = host.read("/root/.ssh/bare.pub").decode()
        nas.write(f"/home/{name}/.ssh/authorized_keys", f"restrict {key}")
        nas.run(["chown", "-R", name, f"/home/{name}/.ssh"])
        host.write("/root/.ssh/known_hosts", nas.known_hosts)
        self._borg = {
            "BORG_PASSPHRASE": PASSPHRASE,
            "BORG_REPO": f"ssh://{name}@{nas.address}:{nas.port}/srv/{name}/vault",
            "BORG_RSH": "ssh -o BatchMode=yes -i /root/.ssh/bare",
        }
        host.run(["borg", "init", "--encryption", "repokey-blake2"], env=self._borg | {"HOME": "/root"})

    def turn(self) -> tuple[float, float]:
        """(whole, stream) in seconds."""
        variables = " ".join(f"{name}={shlex.quote(value)}" for name, value in self._borg.items())
        archive = f"::turn-{time.time_ns()}"
        create = f"borg create --json --compression zstd,3 --files-cache disabled --stdin-name stream {archive} -"
        command = ["bash", "-o", "pipefail", "-c", f"export {variables}; {self.subject.pipe} | {create}"]
        began = time.perf_counter()
        done = subprocess.run(
            [*self.subject.host.ssh_argv(), shlex.join(command)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        return time.perf_counter() - began, float(json.loads(done.stdout)["archive"]["duration"])


class Library:
    """`cyborg.run(policy)`, of a policy with this one database or machine."""

    def __init__(self, subject: Subject, nas: Host, folder: Path) -> None:
        host = subject.host
        key = Fernet.generate_key().decode()
        self.cyborg = cyborg = cy.Cyborg(f"sqlite:///{folder}/{subject.type}.db", key=key, state_dir=folder)
        cyborg.settings = attrs.evolve(cyborg.settings, catalog=False)
        client = cyborg.clients.add(
            cy.Client(host.name, address=host.address, port=host.port, user="root", host_key=host.host_key)
        )
        path = f"ssh://borg@{nas.address}:{nas.port}/srv/cyborg/{subject.type}/{{client}}"
        vault = cyborg.repositories.add(cy.Repository("nas", path, admin_user="root", host_key=nas.host_key))
        clients = [subject.client(cyborg, client)]
        self.policy = cyborg.policies.add(
            cy.Policy("bench", subject.type, vault, clients=clients, extra_vars=subject.options, retries=0)
        )

    def turn(self) -> tuple[float, float]:
        """(whole, stream) in seconds."""
        began = time.perf_counter()
        [job] = self.cyborg.run(self.policy)
        seconds = time.perf_counter() - began
        if job.status != "successful" or job.stats is None:
            said = "\n".join(self.cyborg.output(job))
            raise RuntimeError(f"{job.title}: {job.status} {job.error or job.reason}\n{said}")
        self.size = job.stats.original_bytes
        return seconds, job.stats.seconds


def measure(name: str, megabytes: int, rounds: int, folder: Path) -> list[str]:
    """Rows of the table."""
    with Lab() as lab:
        subject = SUBJECTS[name](lab.host(f"{name}1", servers=SUBJECTS[name].servers), megabytes)
        nas = lab.host("nas", borg="1.2")
        subject.fill()
        with _agent(lab):
            bare, library = Bare(subject, nas), Library(subject, nas, folder)
            for first in (bare, library):
                first.turn()
            turns: dict[str, list[tuple[float, float, float]]] = {"pipe": [], "library": []}
            for number in range(rounds):
                order = [("pipe", bare), ("library", library)]
                for who, contender in order if number % 2 == 0 else reversed(order):
                    time.sleep(SETTLING)
                    before = cpu_of(lab, nas)
                    whole, stream = contender.turn()
                    time.sleep(SETTLING)
                    used = (cpu_of(lab, nas) - before).all
                    turns[who].append((whole, stream, used))
                    print(f"  {name} {who}: {whole:.2f} s, stream {stream:.2f} s, CPU {used:.2f} s", flush=True)
            library.cyborg.close()
    size = library.size / 1e6
    rows = []
    for who, theirs in turns.items():
        whole, stream, used = (median(turn[part] for turn in theirs) for part in (0, 1, 2))
        beside = median(turn[0] - turn[1] for turn in theirs)
        pairs = list(zip(turns["pipe"], theirs, strict=True))
        ratios = [median(pipe[part] / own[part] for pipe, own in pairs) for part in (0, 1, 2)]
        rows.append(
            f"| {name} | {who} | {size:.0f} | {whole:.2f} | {stream:.2f} | {beside:.2f} | {used:.2f} | "
            f"{ratios[0]:.2f} | {ratios[1]:.2f} | {1 / ratios[2]:.2f} |"
        )
    return rows


@contextmanager
def _agent(lab: Lab) -> Iterator[None]:
    """The key that opens the lab's hosts, as in a user's agent."""
    before = os.environ.get("SSH_AUTH_SOCK")
    os.environ["SSH_AUTH_SOCK"] = str(lab.auth_sock)
    try:
        yield
    finally:
        del os.environ["SSH_AUTH_SOCK"]
        if before is not None:
            os.environ["SSH_AUTH_SOCK"] = before


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=sorted(SUBJECTS), default=sorted(SUBJECTS))
    given = parser.parse_args()
    adopt()
    print("\n".join(surroundings()))
    rows = []
    with tempfile.TemporaryDirectory(prefix="cyborg-bench-") as folder:
        for name in given.only:
            rows += measure(name, given.megabytes, given.rounds, Path(folder))
    print("| | contender | MB | whole s | stream s | beside s | CPU s | throughput, whole | throughput, stream | CPU |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
