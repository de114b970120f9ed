"""Who is compared: a bare loop of ssh, borgmatic over ssh, and this library; all doing the same to the same hosts."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import attrs
from cryptography.fernet import Fernet

import cyborglib as cy

from .yard import BORGMATIC, Host, Yard

BORGMATIC_VERSION = "2.1.10"
#: Python of the lab's hosts, which borgmatic's wheels have to fit.
HOSTS_PYTHON = "3.11"


class Contender(Protocol):
    """Backs up /etc of all clients, each into a vault of its own."""

    name: str

    def prepare(self) -> None:
        """Make everything ready and do a first backup; not measured."""

    def begin(self, warm: bool) -> None:
        """Make ready for a turn, with ssh connections to all clients open from before or none; not measured."""

    def turn(self) -> float:
        """Back up all; gives seconds. Raises if one fails."""
        ...

    def end(self) -> None:
        """After a turn; not measured."""

    def vaults(self) -> list[tuple[str, str]]:
        """(path on the nas, passphrase) of each vault."""
        ...

    def close(self) -> None:
        """Give everything back."""


class OverSsh(ABC):
    """What is common to the two that are a command on each host, started by ssh on all at once."""

    name = "?"

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self._account = f"bench-{self.name}"
        self._sockets = Path(tempfile.mkdtemp(prefix="cyborg-bench-"))
        self._warm = False
        self._passphrases = {host.name: f"passphrase of {self.name} for {host.name}" for host in yard.clients}

    def prepare(self) -> None:
        nas = self._yard.nas
        nas.run(["useradd", "--create-home", "--shell", "/bin/sh", self._account])
        nas.run(["mkdir", f"/srv/{self.name}"])
        nas.run(["chown", self._account, f"/srv/{self.name}"])
        with ThreadPoolExecutor(4) as pool:
            keys = list(pool.map(self._prepare_client, self._yard.clients))
        # As anybody careful would have it: a key opens one vault, for appending.
        lines = [
            f'restrict,command="borg serve --append-only --restrict-to-repository {self._vault(host)}" {key}'
            for host, key in zip(self._yard.clients, keys, strict=True)
        ]
        nas.write(f"/home/{self._account}/.ssh/authorized_keys", "".join(lines))
        nas.run(["chown", "-R", self._account, f"/home/{self._account}/.ssh"])
        nas.run(["chmod", "700", f"/home/{self._account}/.ssh"])
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._init, self._yard.clients))
        self.turn()

    def _prepare_client(self, host: Host) -> str:
        key = f"/root/.ssh/{self._account}"
        host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key])
        host.write("/root/.ssh/known_hosts", self._yard.lab.known_hosts(self._yard.nas))
        return host.read(f"{key}.pub").decode()

    def _init(self, host: Host) -> None:
        env = {"BORG_PASSPHRASE": self._passphrases[host.name], "BORG_RSH": self._rsh(), "HOME": "/root"}
        host.run(["borg", "init", "--encryption", "repokey-blake2", self._location(host)], env=env)

    def _vault(self, host: Host) -> str:
        return f"/srv/{self.name}/{host.name}"

    def _location(self, host: Host) -> str:
        nas = self._yard.nas
        return f"ssh://{self._account}@{nas.address}:{nas.port}{self._vault(host)}"

    def _rsh(self) -> str:
        return f"ssh -o BatchMode=yes -i /root/.ssh/{self._account}"

    @abstractmethod
    def command(self, host: Host) -> str:
        """What the host's shell is to run."""

    def begin(self, warm: bool) -> None:
        self._warm = warm
        if warm:
            options = ["-o", "ControlMaster=yes", "-o", "ControlPersist=600"]
            for host in self._yard.clients:
                command = [*self._ssh(host, options), "true"]
                subprocess.run(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)

    def end(self) -> None:
        if self._warm:
            for host in self._yard.clients:
                subprocess.run(self._ssh(host, ["-O", "exit"]), stderr=subprocess.DEVNULL, check=True)

    def _ssh(self, host: Host, options: list[str]) -> list[str]:
        # The options come first: ssh takes the first value it is given.
        plain = host.ssh_argv()
        shared = ["-o", f"ControlPath={self._sockets}/{host.name}"] if self._warm else []
        return [plain[0], *shared, *options, *plain[1:]]

    def turn(self) -> float:
        began = time.perf_counter()
        started = [
            subprocess.Popen(
                [*self._ssh(host, []), self.command(host)],
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )
            for host in self._yard.clients
        ]  # fmt: skip
        said = [process.communicate()[0] for process in started]
        seconds = time.perf_counter() - began
        for host, process, text in zip(self._yard.clients, started, said, strict=True):
            if process.returncode:
                raise RuntimeError(f"{self.name} on {host.name}: {process.returncode}: {text.decode()[-2000:]}")
        return seconds

    def vaults(self) -> list[tuple[str, str]]:
        return [(self._vault(host), self._passphrases[host.name]) for host in self._yard.clients]

    def close(self) -> None:
        shutil.rmtree(self._sockets)


class Bare(OverSsh):
    """for host in …; do ssh $host BORG_PASSPHRASE=… borg create … & done; wait"""

    name = "bare"

    def command(self, host: Host) -> str:
        return (
            f"BORG_PASSPHRASE='{self._passphrases[host.name]}' BORG_RSH='{self._rsh()}' exec borg create "
            f"--compression zstd,3 {self._location(host)}::etc-{time.time_ns()} /etc"
        )


class Borgmatic(OverSsh):
    """borgmatic on each client, with a configuration there, started by ssh."""

    name = "borgmatic"

    def prepare(self) -> None:
        # By the Python that runs it; kept in the cache for the next time.
        self._yard.clients[0].run(["/usr/bin/python3", "-m", "compileall", "-q", BORGMATIC], check=False)
        super().prepare()

    def _prepare_client(self, host: Host) -> str:
        host.write(
            "/etc/borgmatic/config.yaml",
            f"source_directories: [/etc]\n"
            f"repositories: [{{path: '{self._location(host)}'}}]\n"
            f"encryption_passphrase: '{self._passphrases[host.name]}'\n"
            f"compression: zstd,3\n"
            f"ssh_command: '{self._rsh()}'\n",
            0o600,
        )
        host.write(
            "/usr/local/bin/borgmatic",
            f'#!/bin/sh\nPYTHONPATH={BORGMATIC} exec /usr/bin/python3 {BORGMATIC}/bin/borgmatic "$@"\n',
            0o755,
        )
        return super()._prepare_client(host)

    def command(self, host: Host) -> str:
        return "exec borgmatic create"


class Library:
    """`cyborg.run(policy)`. Cold is the first run of a new Cyborg object, warm its next."""

    name = "cyborglib"

    def __init__(self, yard: Yard) -> None:
        self._yard = yard
        self._folder = Path(tempfile.mkdtemp(prefix="cyborg-bench-"))
        self._key = Fernet.generate_key().decode()
        self._cyborg: cy.Cyborg | None = None

    def _open(self) -> cy.Cyborg:
        if self._cyborg is not None:
            self._cyborg.close()
        self._cyborg = cy.Cyborg(f"sqlite:///{self._folder}/cyborg.db", key=self._key)
        return self._cyborg

    def prepare(self) -> None:
        nas = self._yard.nas
        cyborg = self._open()
        cyborg.settings = attrs.evolve(cyborg.settings, catalog=False, parallel=max(20, len(self._yard.clients)))
        clients = [
            cyborg.clients.add(
                cy.Client(host.name, address=host.address, port=host.port, user="root", host_key=host.host_key)
            )
            for host in self._yard.clients
        ]
        vault = cyborg.repositories.add(
            cy.Repository(
                "nas", f"ssh://borg@{nas.address}:{nas.port}/srv/cyborg/{{client}}", admin_user="root",
                host_key=nas.host_key,
            )
        )  # fmt: skip
        cyborg.policies.add(cy.Policy("etc", type="config", repository=vault, clients=clients))
        self.turn()

    @property
    def cyborg(self) -> cy.Cyborg:
        """The object at work."""
        assert self._cyborg is not None
        return self._cyborg

    def begin(self, warm: bool) -> None:
        if warm:
            # What a run leaves to do when it has returned: Ansible ends, and the next one loads.
            time.sleep(2)
        else:
            self._open()

    def end(self) -> None:
        pass

    def turn(self) -> float:
        assert self._cyborg is not None
        began = time.perf_counter()
        jobs = self._cyborg.run("etc")
        seconds = time.perf_counter() - began
        failed = [f"{job.client_name}: {job.error or job.reason}" for job in jobs if job.status != "successful"]
        if failed or len(jobs) != len(self._yard.clients):
            raise RuntimeError(f"{len(jobs)} jobs, of which failed: {failed}")
        return seconds

    def vaults(self) -> list[tuple[str, str]]:
        assert self._cyborg is not None
        found = []
        for vault in self._cyborg.vaults:
            assert vault.passphrase is not None
            found.append((vault.where.path, vault.passphrase.reveal()))
        return found

    def close(self) -> None:
        if self._cyborg is not None:
            self._cyborg.close()
        shutil.rmtree(self._folder)


def borgmatic_folder() -> Path:
    """borgmatic from PyPI in a folder of the cache, installed at first."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cyborglib-bench"
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"borgmatic-{BORGMATIC_VERSION}-{HOSTS_PYTHON}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            fresh = Path(tempfile.mkdtemp(dir=cache))
            pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
            wheels = ["--only-binary=:all:", "--python-version", HOSTS_PYTHON, "--no-compile", "--target", str(fresh)]
            subprocess.run([*pip, *wheels, f"borgmatic=={BORGMATIC_VERSION}"], check=True)
            fresh.chmod(0o755)
            fresh.rename(folder)
    return folder
