"""One flipped byte in a real vault: who sees it, what stops, and how a person goes on."""

from __future__ import annotations

import attrs
import pytest

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.hosts.pages import steps
from tests.lab import Host

pytestmark = pytest.mark.hosts

_FLIP = """
import os, sys
with open(sys.argv[1], "r+b") as file:
    file.seek(int(sys.argv[2]) if len(sys.argv) > 2 else os.path.getsize(sys.argv[1]) // 2)
    byte = file.read(1)
    file.seek(-1, 1)
    file.write(bytes([byte[0] ^ 255]))
"""


def flip(host: Host, vault: str) -> str:
    """Change one byte in the middle of the largest segment, or change it back; gives the segment's path."""
    said = host.run(["sh", "-c", f"ls -S {vault}/data/0/* | head -n 1"]).stdout.strip()
    host.run(["python3", "-c", _FLIP, said])
    return said


def checked(fleet: Fleet, *parts: str) -> dict[str, cy.Job]:
    jobs = fleet.cyborg.finish(fleet.cyborg.check("vault", parts))
    return {job.options["part"]: job for job in jobs}


@pytest.mark.parametrize(("client", "nas"), [("1.2", "1.4"), pytest.param("1.4", "1.2", marks=pytest.mark.faults)])
def test_a_flipped_byte(fleet: Fleet, client: str, nas: str) -> None:
    repository = fleet.repository(borg=nas)
    web1 = fleet.client("web1", borg=client)
    fleet.hosts["web1"].run(["sh", "-c", "mkdir /srv/www; head -c 3000000 /dev/urandom > /srv/www/a"])
    policy = fleet.cyborg.policies.add(
        cy.Policy(
            "www", "folders", repository=repository, clients=[web1], extra_vars={"folders": "/srv/www"},
            retention=cy.Retention(daily=1),
        )
    )  # fmt: skip
    fleet.run(policy)
    [vault] = fleet.cyborg.vaults
    host, passphrase = fleet.hosts["nas"], vault.passphrase
    assert passphrase is not None
    jobs = checked(fleet, "repository", "archives", "data")
    assert [job.status for job in jobs.values()] == ["successful"] * 3, fleet.said()
    [vault] = fleet.cyborg.vaults
    assert vault.repository_checked_at
    assert vault.archives_checked_at
    assert vault.data_checked_at
    # Whoever is at work on the vault is waited for, as the wrapper there does.
    fleet.cyborg.settings = attrs.evolve(fleet.cyborg.settings, lock_wait=1, retry_delays=(0,))
    tag = host.run(["ls", "/var/lib/cyborg/locks"]).stdout.strip()
    held = fleet.cyborg.check(repository, "repository")
    hold = f"setsid flock /var/lib/cyborg/locks/{tag} sh -c 'echo $$ > /run/held; exec sleep 600' >/dev/null 2>&1 &"
    host.run(["sh", "-c", f"{hold} sleep 1"])
    [job] = fleet.cyborg.finish(held)
    assert (job.status, job.error.code) == ("failed", "lock_held"), fleet.said()
    host.run(["sh", "-c", "kill $(cat /run/held)"])
    fleet.cyborg.settings = attrs.evolve(fleet.cyborg.settings, lock_wait=60)
    [vault] = fleet.cyborg.vaults
    assert vault.suspect == ""

    segment = flip(host, vault.where.path)
    jobs = checked(fleet, "repository", "archives", "data")
    # What a chunk of data holds, a check of archives does not see.
    assert {part: job.status for part, job in jobs.items()} == {
        "repository": "failed", "archives": "successful", "data": "failed",
    }, fleet.said()  # fmt: skip
    for part in ("repository", "data"):
        error = jobs[part].error
        assert error is not None
        assert (error.code, error.permanent, jobs[part].attempt) == ("vault_damaged", True, 1), fleet.said()
        assert f"segment {segment.rpartition('/')[2]}" in error.message
        assert "docs/checks.md" in error.message
    [vault] = fleet.cyborg.vaults
    assert vault.suspect == jobs["data"].error.message
    assert vault.suspect in [event.reason for event in fleet.told if isinstance(event, cy.VaultSuspected)]
    [refused] = fleet.cyborg.run(policy)
    assert (refused.status, refused.error.code) == ("failed", "vault_damaged"), fleet.said()
    # Nothing is deleted, and nothing made final.
    stopped = fleet.cyborg.finish([*fleet.cyborg.prune(policy), *fleet.cyborg.compact(repository)])
    assert [(job.kind, job.status) for job in stopped] == [("prune", "skipped"), ("compact", "skipped")], fleet.said()
    assert all("is suspect: " in job.reason for job in stopped)
    held = [event.reason for event in fleet.told if isinstance(event, cy.PruneHeld)]
    assert held == [job.reason for job in stopped]
    follow(fleet, segment)
    # Nobody but the controller and the client was told the passphrase.
    assert passphrase.reveal().encode() not in b"".join(host.environments())
    assert not host.run(["grep", "-rlF", passphrase.reveal(), "/run", "/var/lib", "/home", "/root"], check=False).stdout


def follow(fleet: Fleet, segment: str) -> None:
    """Do what docs/checks.md says, block by block."""
    host, printed = fleet.hosts["nas"], []
    [vault] = fleet.cyborg.vaults
    names = {
        "cyborg": fleet.cyborg,
        "attrs": attrs,
        "print": lambda *words: printed.append(" ".join(map(str, words))),
    }
    for step in steps("checks.md"):
        if step.language == "sh":
            assert step.heading == "On the repository's host, as root"
            host.run(["sh", "-eu", "-c", step.with_({"/srv/borg/web1.example.org-1": vault.where.path})])
            assert host.run(["cmp", segment, "/srv/copy-of-the-vault/" + segment.removeprefix(vault.where.path)])
        elif step.heading.startswith("4."):
            path = fleet.cyborg.repositories.get("vault").path.replace("/srv/borg/", "/srv/borg-2/")
            exec(step.with_({"borg@nas:/srv/borg-2/{client}": path}), names)
        else:
            if step.heading.startswith("5."):
                flip(host, vault.where.path)  # From a snapshot, say.
            exec(step.text, names)
    said = "\n".join(printed)
    assert f"{vault.location} `borg check` found" in said
    # The archive that holds it is not whole, and says so.
    assert f"{fleet.cyborg.archives.get(1).name} is damaged" in said or "is damaged: Data integrity error" in said, said
    assert "check of web1 repository successful None" in said
    old, new = fleet.cyborg.vaults
    assert (old.suspect, new.suspect) == ("", ""), said
    [made] = fleet.cyborg.archives.find(vault=new.id)
    assert made.confirmed_at
