"""Borg repositories that others made: they become vaults as they are, and what was done by hand is found again."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.hosts.trees import compare
from tests.lab import Host

pytestmark = pytest.mark.hosts

PASSPHRASE = "what borgmatic was told"
ODD = "by hand {x} [1]*"


class ByHand:
    """Root on a client, with a Borg repository of its own, at an address of its own."""

    def __init__(self, host: Host, address: str, encryption: str) -> None:
        self.host, self.address = host, address
        self.borg("init", "--make-parent-dirs", "-e", encryption, "{}")

    def borg(self, *words: str, passphrase: str = PASSPHRASE) -> str:
        env = {
            "HOME": "/root",
            "BORG_PASSPHRASE": passphrase,
            "BORG_RSH": "ssh -o StrictHostKeyChecking=no",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
        }
        return self.host.run(["borg", *(word.replace("{}", self.address) for word in words)], env=env).stdout

    def archives(self) -> dict[str, str]:
        return {one["name"]: one["id"] for one in json.loads(self.borg("list", "--json", "{}"))["archives"]}


def files(root: Path) -> dict[str, tuple[Any, ...]]:
    """All that lies in a repository, but for the folder's own times: Borg puts its lock there while it reads."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        told = (status.st_mode, status.st_uid, status.st_gid)
        if path.is_file():
            told += (status.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())  # type: ignore[assignment]
        found[str(path.relative_to(root))] = told
    return found


def agree(fleet: Fleet, by_hand: ByHand) -> None:
    """The store holds what is in the vault, and nothing else."""
    stored = {one.name: one.borg_id for one in fleet.cyborg.archives if one.missing_at is None}
    assert stored == by_hand.archives()


def adopt(fleet: Fleet, *given: Any, **more: Any) -> list[cy.Job]:
    return fleet.cyborg.finish(fleet.cyborg.adopt(*given, **({"passphrase": PASSPHRASE} | more)))


def test_an_existing_repository_becomes_a_vault_as_it_is(fleet: Fleet) -> None:
    fleet.repository()
    web1 = fleet.client("web1")
    nas, host = fleet.hosts["nas"], fleet.hosts["web1"]
    # Made by somebody else, with an account, a key and an address of their own.
    nas.run(["useradd", "--create-home", "--shell", "/bin/sh", "backup2"])
    host.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/.ssh/id_ed25519"])
    line = host.read("/root/.ssh/id_ed25519.pub")
    nas.run(["install", "-d", "-o", "backup2", "-m", "700", "/home/backup2/.ssh"])
    nas.write("/home/backup2/.ssh/authorized_keys", line, 0o600)
    nas.run(["chown", "backup2:", "/home/backup2/.ssh/authorized_keys"])
    old = ByHand(host, f"ssh://backup2@{nas.address}:{nas.port}/./old/web1", "repokey")
    for name in ("web1-2026-01-01T00:00:00", ODD):
        old.borg("create", "{}::" + name.replace("{", "{{").replace("}", "}}"), "/etc")
    repository = fleet.cyborg.repositories.add(
        cy.Repository("old", f"ssh://backup2@{nas.address}:{nas.port}/home/backup2/{{client}}", host_key=nas.host_key)
    )
    root, path = nas.root / "home/backup2/old/web1", "/home/backup2/old/web1"
    before, ids = files(root), old.archives()
    assert len(before) > 5

    # What cannot be opened leaves nothing: no vault, no key, nobody let in.
    for given, code in (
        ({"path": path, "passphrase": "another one"}, "wrong_passphrase"),
        ({"path": "/home/backup2/old"}, "vault_missing"),
    ):
        opened, listed = adopt(fleet, repository, web1, **given)
        assert (opened.status, opened.error.code) == ("failed", code), fleet.said()
        assert (listed.status, len(fleet.cyborg.vaults)) == ("skipped", 0)
        assert nas.read("/home/backup2/.ssh/authorized_keys") == line
        known = nas.run(["find", "/var/lib/cyborg", "-type", "f", "!", "-name", "lock"], check=False).stdout
        assert known == "", "the host serves nothing"
        assert host.run(["ls", "/etc/cyborg/keys"]).stdout.split() == ["client", "client.pub"]
        assert files(root) == before

    jobs = adopt(fleet, repository, web1, path=path)
    assert [job.status for job in jobs] == ["successful"] * 2, fleet.said()
    assert files(root) == before, "not one byte of it"
    assert old.archives() == ids
    [vault] = fleet.cyborg.vaults
    assert (vault.ready, vault.encryption, vault.where.path) == (True, "repokey", path)
    assert {one.name: one.borg_id for one in fleet.cyborg.archives if one.foreign and one.job is None} == ids
    assert all(one.created_at and one.client == web1.id for one in fleet.cyborg.archives)
    told = [event.archive for event in fleet.told if isinstance(event, cy.ArchiveForeign)]
    assert sorted(told) == sorted(ids)
    with pytest.raises(cy.AlreadyExists):
        fleet.cyborg.adopt(repository, web1, passphrase=PASSPHRASE, path=path)

    # They come back by the same verb, here and there.
    back = fleet.folder / "back"
    assert fleet.restore(ODD, ("/etc/ssh",), destination=back).status == "successful", fleet.said()
    compare(host.root / "etc/ssh", back / "etc/ssh")
    job = fleet.restore(ODD, ("/etc/hostname",), to=fleet.cyborg.clients.get("web1"))
    assert job.status == "successful", fleet.said()
    assert host.read(f"/var/tmp/cyborg-restore-{job.id}/etc/hostname") == b"web1\n"

    # Ours go beside them.
    policy = fleet.cyborg.policies.add(cy.Policy("etc", "config", repository=repository, clients=[web1]))
    ours = [fleet.only(fleet.run(policy)[0]) for _ in range(2)]
    assert all(one.confirmed_at and not one.foreign for one in ours)
    assert len(fleet.cyborg.vaults) == 1
    assert ids.items() < old.archives().items()
    agree(fleet, old)

    # Somebody goes on by hand: a new one, others gone or renamed.
    old.borg("create", "{}::another", "/etc/hostname")
    old.borg("delete", "{}::web1-2026-01-01T00:00:00")
    [job] = fleet.cyborg.finish(fleet.cyborg.catalog(repository))
    assert (job.status, job.warnings) == ("successful", ()), fleet.said()
    agree(fleet, old)
    old.borg("delete", "{}::" + ours[0].name)
    old.borg("rename", "{}::" + ours[1].name, "renamed")
    [job] = fleet.cyborg.finish(fleet.cyborg.catalog(repository))
    assert (job.status, job.error.code) == ("failed", "archives_vanished"), fleet.said()
    assert all(one.name in str(job.error) for one in ours)
    fleet.cyborg.set_ready(fleet.cyborg.vaults.get(vault.id))
    [job] = fleet.cyborg.finish(fleet.cyborg.catalog(repository))
    assert job.status == "successful", fleet.said()
    agree(fleet, old)
    assert {one.name for one in fleet.cyborg.archives if one.foreign and not one.missing_at} == {
        ODD,
        "another",
        "renamed",
    }


def test_a_lost_database_and_a_key_in_a_file(fleet: Fleet) -> None:
    vault = fleet.repository()
    web1, web2 = fleet.client("web1"), fleet.client("web2")
    policy = fleet.cyborg.policies.add(cy.Policy("etc", "config", repository=vault, clients=[web1]))
    archive = fleet.only(fleet.run(policy)[0])
    [kept] = fleet.cyborg.vaults
    fleet.cyborg.close()
    keys = fleet.hosts["web1"].run(["sh", "-c", "cat /etc/cyborg/keys/vault-1.pub"]).stdout

    # Another store, and what the recovery kit says.
    fleet.url = f"sqlite:///{fleet.folder / 'new.db'}"
    cyborg = fleet.open()
    vault = fleet.repository("again")
    again, web2 = (
        cyborg.clients.add(cy.Client(one.hostname, address=one.address, port=one.port, host_key=one.host_key))
        for one in (web1, web2)
    )
    given = {"path": kept.where.path, "passphrase": kept.passphrase}
    lines = fleet.hosts["nas"].run(["sh", "-c", "cat ~borg/.ssh/authorized_keys"]).stdout
    opened, _ = adopt(fleet, vault, again, **given)
    assert (opened.status, opened.error.code) == ("failed", "vault_exists"), fleet.said()
    assert "takeover" in str(opened.error)
    assert fleet.hosts["nas"].run(["sh", "-c", "cat ~borg/.ssh/authorized_keys"]).stdout == lines
    assert fleet.hosts["web1"].run(["sh", "-c", "cat /etc/cyborg/keys/vault-1.pub"]).stdout == keys
    jobs = adopt(fleet, vault, again, takeover=True, **given)
    assert [job.status for job in jobs] == ["successful"] * 2, fleet.said()
    assert fleet.restore(archive.name, ("/etc/hosts",), destination=fleet.folder / "back").status == "successful"
    policy = cyborg.policies.add(cy.Policy("etc", "config", repository=vault, clients=[again]))
    fleet.run(policy)
    assert [one.foreign for one in cyborg.archives] == [True, False]

    # On a client's own disk, with the key in a file that lies there.
    mine = ByHand(fleet.hosts["web2"], "/srv/mine", "keyfile-blake2")
    mine.borg("create", "{}::old", "/etc")
    before = files(fleet.hosts["web2"].root / "srv/mine")
    disk = cyborg.repositories.add(cy.Repository("disk", "/srv/backup"))
    jobs = adopt(fleet, disk, web2, path="/srv/mine")
    assert [job.status for job in jobs] == ["successful"] * 2, fleet.said()
    assert files(fleet.hosts["web2"].root / "srv/mine") == before
    # From now on nobody needs that file.
    fleet.hosts["web2"].run(["rm", "-r", "/root/.config/borg"])
    policy = cyborg.policies.add(cy.Policy("own", "config", repository=disk, clients=[web2]))
    fleet.run(policy)
    job = fleet.restore("old", ("/etc/hostname",), to=again)
    assert job.status == "successful", fleet.said()
    assert fleet.hosts["web1"].read(f"/var/tmp/cyborg-restore-{job.id}/etc/hostname") == b"web2\n"
