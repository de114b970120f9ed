"""A fleet: real hosts, a repository's host, and a Cyborg that backs them up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

import cyborglib as cy
from tests.conftest import HostFactory
from tests.lab import Host


class Fleet:
    """Clients and a repository's host with their values in a Cyborg, and everything that was told."""

    def __init__(self, folder: Path, make: HostFactory, url: str = "") -> None:
        self.folder, self._make = folder, make
        self.database = folder / "cyborg.db"
        self.url = url or f"sqlite:///{self.database}"
        self.hosts: dict[str, Host] = {}
        self.told: list[cy.Event] = []
        self.cyborg = self.open()

    def open(self, **options: Any) -> cy.Cyborg:
        """A Cyborg on this fleet's database."""
        key, state = self.folder / "seal.key", self.folder / "state"
        cyborg = cy.Cyborg(self.url, key=key, state_dir=state, **options)
        cyborg.on(cy.Event)(self.told.append)
        self.cyborg = cyborg
        return cyborg

    def reopen(self, **options: Any) -> cy.Cyborg:
        """The same database in another Cyborg, whose listeners are others."""
        self.cyborg.close()
        return self.open(**options)

    def client(
        self, name: str, *, borg: str | None = "1.2", servers: str | None = None, user_sudo: bool | str = False,
        **fields: object,
    ) -> cy.Client:  # fmt: skip
        """A new host, and its client."""
        host = self.hosts[name] = self._make(name, borg=borg, servers=servers, user_sudo=user_sudo)
        known = {"address": host.address, "port": host.port, "host_key": host.host_key}
        return self.cyborg.clients.add(cy.Client(name, **(known | fields)))

    def repository(
        self,
        name: str = "vault",
        *,
        borg: str | None = "1.2",
        path: str = "/srv/borg/{client}",
        tmpfs_vault: str | None = None,
        on: str = "nas",
        **fields: object,
    ) -> cy.Repository:
        """A repository on a host of its own, which is made if it is not there."""
        if on not in self.hosts:
            self.hosts[on] = self._make(on, borg=borg, tmpfs_vault=tmpfs_vault)
        host = self.hosts[on]
        known = {"host_key": host.host_key}
        return self.cyborg.repositories.add(
            cy.Repository(name, f"ssh://borg@{host.address}:{host.port}{path}", **(known | fields))
        )

    def run(self, policy: cy.Policy, **arguments: object) -> list[cy.Job]:
        """Run a policy, all of whose jobs must be successful."""
        jobs = self.cyborg.run(policy, **arguments)
        assert [job.status for job in jobs] == ["successful"] * len(jobs), self.said()
        return jobs

    def only(self, job: cy.Job) -> cy.Archive:
        """The one archive of a job."""
        [archive] = job.archives
        return self.cyborg.archives.get(archive)

    def restore(self, archive: cy.Archive | int, paths: tuple[str, ...] = (), **arguments: object) -> cy.Job:
        """Restore, and give the ended job."""
        [job] = self.cyborg.finish([self.cyborg.restore(archive, paths, **arguments)])
        return job

    def said(self) -> str:
        """How all jobs stand, and what they said: for the message of a failing test."""
        return "\n" + "\n".join(
            f"{job.id} {job.title}: {job.status} {job.error or job.reason} {job.warnings}\n    "
            + "\n    ".join(self.cyborg.output(job))
            for job in self.cyborg.jobs
        )


def made_key(folder: Path) -> None:
    """The key that a fleet in this folder seals with."""
    from cryptography.fernet import Fernet

    key = folder / "seal.key"
    key.touch(mode=0o600)
    key.write_bytes(Fernet.generate_key())


@pytest.fixture
def unlisted(fleet: Fleet) -> None:
    """The controller does not look into vaults after each backup: a run of Ansible less for each."""
    fleet.cyborg.settings = attrs.evolve(fleet.cyborg.settings, catalog=False)


@pytest.fixture
def fleet(tmp_path: Path, host_factory: HostFactory) -> Iterator[Fleet]:
    """An empty fleet."""
    made_key(tmp_path)
    made = Fleet(tmp_path, host_factory)
    yield made
    made.cyborg.close()
