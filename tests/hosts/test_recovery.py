"""The controller is gone: a restore with nothing but the recovery kit, Borg, ssh and openssl."""

from __future__ import annotations

import pytest

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.hosts.pages import steps
from tests.hosts.test_attacks import EXAMPLE, kit_on
from tests.hosts.trees import compare

pytestmark = pytest.mark.hosts

PASSPHRASE = "a 'passphrase' that is kept nowhere $HOME"


def outdated(fleet: Fleet) -> list[str]:
    """What was told of the kit since this was asked last."""
    reasons = [event.reason for event in fleet.told if isinstance(event, cy.KitOutdated)]
    fleet.told.clear()
    return reasons


def test_a_restore_without_controller_database_and_keys(fleet: Fleet) -> None:
    vault = fleet.repository()
    web1 = fleet.client("web1")
    policy = fleet.cyborg.policies.add(cy.Policy("etc", type="config", repository=vault, clients=[web1]))
    archive = fleet.only(fleet.run(policy)[0])
    kit = fleet.cyborg.recovery_kit(fleet.folder / "kit.enc", PASSPHRASE).read_bytes()
    [made] = fleet.cyborg.vaults
    assert b"BORG_KEY" not in kit
    assert made.location.encode() not in kit
    # The controller burns, with the database, the seal key and all that Borg kept there.
    fleet.cyborg.close()
    for path in sorted(fleet.folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()

    rescue = fleet._make("rescue", borg="1.2")
    rescue.write("/root/rescue/kit.enc", kit)
    [opening, restoring, _changed] = steps("recovery.md")[1:]
    assert (opening.heading, restoring.heading) == ("Open it", "Restore without this library")

    def do(script: str) -> str:
        """A block, in the folder of the rescue."""
        return rescue.run(["sh", "-eu", "-c", f"cd /root/rescue\n{script}"], env={"HOME": "/root"}).stdout

    # A person types the passphrase; here it comes from a file.
    rescue.write("/root/typed", PASSPHRASE + "\n", 0o600)
    do(opening.with_({"openssl enc ": "openssl enc -pass file:/root/typed "}))
    opened = rescue.read("/root/rescue/kit.txt").decode()
    assert archive.name not in opened, "the archives are listed by Borg"
    kit_on(rescue, opened, made)
    [passphrase] = [line.split(":", 1)[1].strip() for line in opened.splitlines() if line.startswith("passphrase:")]
    listed = do(
        restoring.with_({
            EXAMPLE: made.location,
            "ARCHIVE": archive.name,
            "the passphrase of the vault": passphrase,
            "etc/nginx": "etc",
        })
    )
    assert archive.name in listed
    compare(fleet.hosts["web1"].root / "etc", rescue.root / "root/rescue/restored/etc")


@pytest.mark.faults
def test_a_missing_or_old_kit_is_told_at_every_run(fleet: Fleet) -> None:
    vault = fleet.repository()
    one, two = fleet.client("web1"), fleet.client("web2")
    first = fleet.cyborg.policies.add(cy.Policy("first", type="config", repository=vault, clients=[one]))
    fleet.run(first)
    [reason] = outdated(fleet)
    assert "there is no recovery kit" in reason
    fleet.run(first)
    [reason] = outdated(fleet)
    assert "recovery_kit(" in reason
    kit = fleet.cyborg.recovery_kit(fleet.folder / "kit.txt")
    assert kit.stat().st_mode & 0o777 == 0o600
    fleet.run(first)
    assert outdated(fleet) == []
    second = fleet.cyborg.policies.add(cy.Policy("second", type="config", repository=vault, clients=[two]))
    fleet.run(second)
    [reason] = outdated(fleet)
    assert "older than the newest vault" in reason
    fleet.cyborg.recovery_kit(kit)
    fleet.run(second)
    assert outdated(fleet) == []
    assert all(made.location in kit.read_text() for made in fleet.cyborg.vaults)
