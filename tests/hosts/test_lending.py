"""A vault that was lent to another client: what that client learnt opens it no more, whenever what was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cyborglib as cy
from cyborglib.secret import Secret
from tests.hosts.conftest import Fleet
from tests.hosts.trees import compare

pytestmark = pytest.mark.hosts


class Scene:
    """Two clients, one of which was backed up; the other one is the target of restores."""

    def __init__(self, fleet: Fleet, **repository: object) -> None:
        self.fleet = fleet
        repository_ = fleet.repository(**repository)
        clients = [fleet.client("web1"), fleet.client("web2")]
        self.policy = fleet.cyborg.policies.add(
            cy.Policy("etc", "config", repository=repository_, clients=clients, retries=0)
        )
        self.archive = fleet.only(fleet.run(self.policy)[0])
        fleet.cyborg.recovery_kit(fleet.folder / "kit.txt")
        self.learnt, self.lines, self.keys = self.vault.passphrase, self.authorized(), self.client_keys()

    @property
    def vault(self) -> cy.Vault:
        return self.fleet.cyborg.vaults.get(self.archive.vault)

    @property
    def target(self) -> cy.Client:
        return self.fleet.cyborg.clients.get("web2")

    def authorized(self) -> str:
        return self.fleet.hosts["nas"].run(["sh", "-c", "cat ~borg/.ssh/authorized_keys"]).stdout

    def client_keys(self) -> str:
        return self.fleet.hosts["web2"].run(["ls", "/etc/cyborg/keys"]).stdout

    def opens(self, passphrase: Secret | None) -> bool:
        """True if a passphrase opens a thief's copy of the vault."""
        assert passphrase is not None
        copy = self.fleet.folder / "stolen"
        subprocess.run(["rm", "-rf", str(copy)], check=True)
        vault = self.fleet.hosts["nas"].root / self.vault.where.path.lstrip("/")
        subprocess.run(["cp", "-a", str(vault), str(copy)], check=True)
        env = {**os.environ, "BORG_PASSPHRASE": passphrase.reveal(), "BORG_BASE_DIR": str(self.fleet.folder / "thief")}
        env |= {"BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "no"}
        done = subprocess.run(["borg", "list", "--short", str(copy)], env=env, capture_output=True, text=True)
        assert done.returncode == 0 or "passphrase" in done.stderr.lower(), done
        return done.returncode == 0

    def is_settled(self) -> None:
        """The old passphrase opens nothing, the one in the store does, and nobody is let in who was not before."""
        vault = self.vault
        assert vault.next_passphrase is None, self.fleet.said()
        assert vault.passphrase != self.learnt
        assert vault.rekeyed_at is not None
        assert not self.opens(self.learnt)
        assert self.opens(vault.passphrase)
        assert vault.suspect == ""
        self.is_closed()

    def is_closed(self) -> None:
        assert self.authorized() == self.lines
        assert self.client_keys() == self.keys

    def still_works(self) -> None:
        """It is backed up and restored as before, on the client and on the controller, and confirmed."""
        fleet = self.fleet
        for job in fleet.run(self.policy):
            assert fleet.only(job).confirmed_at, fleet.said()
            assert job.warnings == (), fleet.said()
        back = fleet.folder / f"back-{time.monotonic_ns()}"
        assert fleet.restore(self.archive, destination=back).status == "successful", fleet.said()
        compare(fleet.hosts["web1"].root / "etc/ssh", back / "etc/ssh")
        to = fleet.cyborg.clients.get("web1")
        assert fleet.restore(self.archive, ("/etc/hostname",), to=to).status == "successful", fleet.said()


def test_what_the_target_learnt_opens_nothing_afterwards(fleet: Fleet) -> None:
    scene = Scene(fleet)
    job = fleet.restore(scene.archive, ("/etc/hostname", "/etc/ssh"), to=scene.target)
    assert (job.status, job.warnings) == ("successful", ()), fleet.said()
    scene.is_settled()
    assert [event.vault for event in fleet.told if isinstance(event, cy.VaultRekeyed)] == [scene.archive.vault]
    reasons = [event.reason for event in fleet.told if isinstance(event, cy.KitOutdated)]
    assert "older than the newest vault or passphrase" in reasons[-1]
    scene.still_works()
