"""A vault that was lent to another client: what that client learnt opens it no more, whenever what was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import attrs
import pytest

import cyborglib as cy
from cyborglib.secret import Secret
from tests.hosts import killed
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

    def opens(self, passphrase: Secret | None, key: Secret | None = None) -> bool:
        """True if a passphrase opens a thief's copy of the vault, into which an exported key may be put first."""
        assert passphrase is not None
        copy = self.fleet.folder / "stolen"
        subprocess.run(["rm", "-rf", str(copy)], check=True)
        vault = self.fleet.hosts["nas"].root / self.vault.where.path.lstrip("/")
        subprocess.run(["cp", "-a", str(vault), str(copy)], check=True)
        env = {**os.environ, "BORG_PASSPHRASE": passphrase.reveal(), "BORG_BASE_DIR": str(self.fleet.folder / "thief")}
        env |= {"BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes", "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "no"}
        if key is not None:
            (self.fleet.folder / "borg.key").write_text(key.reveal())
            argv = ["borg", "key", "import", str(copy), str(self.fleet.folder / "borg.key")]
            subprocess.run(argv, env=env, check=True)
        done = subprocess.run(["borg", "list", "--short", str(copy)], env=env, capture_output=True, text=True)
        assert done.returncode == 0 or "passphrase" in done.stderr.lower(), done
        return done.returncode == 0

    def change_by_hand(self) -> None:
        """What Borg does in the middle of a change, of which nobody hears then."""
        vault = self.fleet.cyborg._store.vaults.promise(self.archive.vault)
        done = self.fleet.hosts["nas"].run(
            ["runuser", "-u", "borg", "--", "borg", "key", "change-passphrase", vault.where.path],
            env={
                "BORG_BASE_DIR": "/tmp/by-hand",
                "BORG_PASSPHRASE": vault.passphrase.reveal(),
                "BORG_NEW_PASSPHRASE": vault.next_passphrase.reveal(),
            },
        )
        assert done.returncode == 0, done

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
            # Of vaults that have the one passphrase still that was given for all that is told each time.
            assert not [warning for warning in job.warnings if "one passphrase for" not in warning], fleet.said()
        back = fleet.folder / f"back-{time.monotonic_ns()}"
        assert fleet.restore(self.archive, destination=back).status == "successful", fleet.said()
        compare(fleet.hosts["web1"].root / "etc/ssh", back / "etc/ssh")
        to = fleet.cyborg.clients.get("web1")
        assert fleet.restore(self.archive, ("/etc/hostname",), to=to).status == "successful", fleet.said()


def test_what_the_target_learnt_opens_nothing_afterwards(fleet: Fleet) -> None:
    scene = Scene(fleet)
    export = scene.vault.key_export
    job = fleet.restore(scene.archive, ("/etc/hostname", "/etc/ssh"), to=scene.target)
    assert (job.status, job.warnings) == ("successful", ()), fleet.said()
    scene.is_settled()
    assert [event.vault for event in fleet.told if isinstance(event, cy.VaultRekeyed)] == [scene.archive.vault]
    reasons = [event.reason for event in fleet.told if isinstance(event, cy.KitOutdated)]
    assert "older than the newest vault or passphrase" in reasons[-1]
    # What an older kit is still good for, as docs/recovery.md and docs/threat-model.md say.
    assert scene.opens(scene.learnt, export)
    scene.still_works()


#: The rest of them are for the long run.
STEPS = [step if step == "kept" else pytest.param(step, marks=pytest.mark.faults) for step in killed.STEPS]


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_it_is_settled_by_the_next_engine(fleet: Fleet, step: str) -> None:
    scene = Scene(fleet)
    fleet.cyborg.settings = attrs.evolve(fleet.cyborg.settings, lease=5)
    job = fleet.cyborg.restore(scene.archive, ("/etc/hostname", "/etc/ssh"), to=scene.target)
    fleet.cyborg.close()
    argv = [f"sqlite:///{fleet.database}", fleet.folder / "seal.key", fleet.folder / "state", step]
    done = subprocess.run([sys.executable, "-m", "tests.hosts.killed", *argv], timeout=120)
    assert done.returncode == -signal.SIGKILL
    fleet.open()
    between = scene.vault
    assert between.next_passphrase is not None
    assert between.passphrase == scene.learnt
    changed = step in ("changed", "kept", "unwritten")
    assert scene.opens(between.next_passphrase) == changed
    assert scene.opens(between.passphrase) != changed
    fleet.cyborg.work()
    assert fleet.cyborg.jobs.get(job.id).finished
    scene.is_settled()
    scene.still_works()


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(False, id="not changed", marks=pytest.mark.faults),
        pytest.param(True, id="changed and not recorded", marks=pytest.mark.faults),
    ],
)
def test_between_it_serves_everybody_and_the_controllers_look_settles_it(fleet: Fleet, changed: bool) -> None:
    scene = Scene(fleet)
    fleet.cyborg.settings = attrs.evolve(fleet.cyborg.settings, catalog=False)
    if changed:
        scene.change_by_hand()
    else:
        fleet.cyborg._store.vaults.promise(scene.archive.vault)
    assert scene.opens(scene.vault.next_passphrase) == changed
    # Everybody who has to do with the vault finds the one that opens it, and says so.
    for job in (
        *fleet.run(scene.policy, clients=["web1"]),
        fleet.restore(scene.archive, ("/etc/hostname",), to=fleet.cyborg.clients.get("web1")),
        fleet.restore(scene.archive, ("/etc/hostname",), destination=fleet.folder / "back"),
        fleet.cyborg.finish(fleet.cyborg.prepare(fleet.cyborg.repositories.get("vault")))[0],
    ):
        assert job.status == "successful", fleet.said()
        if job.kind != "prepare_repository":
            assert ["not recorded yet" in warning for warning in job.warnings] == [True] * changed, fleet.said()
    # A client's word settles nothing.
    assert scene.vault.passphrase == scene.learnt
    assert scene.vault.next_passphrase is not None
    fleet.cyborg.settings = attrs.evolve(fleet.cyborg.settings, catalog=True)
    [looked] = [job for job in fleet.cyborg.finish(fleet.cyborg.catalog("vault")) if job.vault == scene.vault.id]
    assert (looked.status, looked.warnings) == ("successful", ()), fleet.said()
    scene.is_settled()
    scene.still_works()


@pytest.mark.faults
def test_a_change_that_cannot_be_made_is_a_warning_and_made_later(fleet: Fleet) -> None:
    scene = Scene(fleet)
    nas = fleet.hosts["nas"]
    # The controller's key is not let in.
    edit = "f=$(echo ~borg)/.ssh/authorized_keys; sed -i 's/--mode controller/--mode nobody/' $f"
    nas.run(["sh", "-c", edit])
    job = fleet.restore(scene.archive, ("/etc/hostname",), to=scene.target)
    assert job.status == "successful", fleet.said()
    [warning] = job.warnings
    assert "catalog(repository)" in warning
    assert any("was not changed" in line for line in fleet.cyborg.output(job)), fleet.said()
    assert scene.vault.next_passphrase is not None
    assert scene.opens(scene.learnt)
    nas.run(["sh", "-c", edit.replace("controller/--mode nobody", "nobody/--mode controller")])
    scene.is_closed()
    # The next backup's listing does it.
    fleet.run(scene.policy)
    scene.is_settled()
    scene.still_works()


@pytest.mark.faults
def test_a_restore_that_fails_changes_it_too_and_one_lent_in_between_says_what_to_do(fleet: Fleet) -> None:
    scene = Scene(fleet, passphrase="one that serves all vaults")
    failed = fleet.restore(scene.archive, ("/etc/none",), to=scene.target)
    assert (failed.status, failed.error.code) == ("failed", "path_not_found"), fleet.said()
    scene.is_settled()
    assert any("has one of its own now" in warning for warning in failed.warnings), fleet.said()
    # Changed, and nobody heard of it: the target is never told the passphrase that opens the vault then.
    scene.learnt = scene.vault.passphrase
    scene.change_by_hand()
    again = fleet.restore(scene.archive, ("/etc/hostname",), to=scene.target)
    assert (again.status, again.error.code) == ("failed", "wrong_passphrase"), fleet.said()
    assert "restore again" in str(again.error)
    scene.is_settled()
    scene.learnt = scene.vault.passphrase
    assert fleet.restore(scene.archive, ("/etc/hostname",), to=scene.target).status == "successful", fleet.said()
    scene.is_settled()
    scene.still_works()


@pytest.mark.faults
def test_a_target_that_is_gone_once_it_was_let_in_is_let_in_no_more(fleet: Fleet) -> None:
    scene = Scene(fleet)
    job = fleet.cyborg.restore(scene.archive, to=scene.target)
    web2 = fleet.hosts["web2"]

    def cut() -> None:
        end = time.monotonic() + 60
        while scene.authorized() == scene.lines and time.monotonic() < end:
            time.sleep(0.01)
        web2.cut()
        # Should Borg have been at work there already, it is asked how that went, for as long as it takes.
        time.sleep(20)
        web2.mend()

    cutting = threading.Thread(target=cut)
    cutting.start()
    [ended] = fleet.cyborg.finish([job])
    cutting.join()
    assert ended.status == "failed", fleet.said()
    assert ended.error.code in ("unreachable", "lost"), fleet.said()
    assert scene.authorized() == scene.lines
    scene.keys = scene.client_keys()  # The one made for the restore may lie there; it opens nothing.
    scene.is_settled()
    scene.still_works()
