"""Prune and compact of real vaults: what goes, and what somebody with a client's key never gets made final."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import evolve

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.hosts.test_attacks import Intruder, follow_append_only
from tests.hosts.trees import compare
from tests.lab import Host

pytestmark = pytest.mark.hosts

#: Bytes of the folder that is backed up, none of which compress.
SIZE = 3_000_000


def backed_up(
    fleet: Fleet, count: int, client: Mapping[str, object] | None = None, path: str = ""
) -> cy.Policy:
    """A client with a folder, and some backups of it, each of them a day older than the next."""
    vault = fleet.cyborg.repositories.add(cy.Repository("vault", path)) if path else fleet.repository()
    policy = data_policy(fleet, vault, fleet.client("web1", **(client or {})))
    for _ in range(count):
        another_day(fleet, policy)
    return policy


def data_policy(fleet: Fleet, vault: cy.Repository, client: cy.Client) -> cy.Policy:
    """The backup of a folder that does not compress. One file is in all archives, and one in each alone."""
    fleet.cyborg.settings = evolve(fleet.cyborg.settings, max_prune_share=1.0, lock_wait=30)
    write_random(fleet.hosts["web1"], "/srv/data/always", SIZE)
    return fleet.cyborg.policies.add(
        cy.Policy(
            "data", "folders", repository=vault, clients=[client], retries=0, retention=cy.Retention(daily=2),
            extra_vars={"folders": ["/srv/data"]},
        )
    )  # fmt: skip


def another_day(fleet: Fleet, policy: cy.Policy) -> cy.Archive:
    """One more backup, before which all others became a day older."""
    host, shelf = fleet.hosts["web1"], fleet.cyborg._store.archives
    number = len(fleet.cyborg.archives)
    for archive in fleet.cyborg.archives:
        shelf.observe(archive.id, recorded_at=archive.recorded_at - timedelta(days=1))
    host.run(["rm", "-f", f"/srv/data/{number - 1}"])
    write_random(host, f"/srv/data/{number}", SIZE)
    [job] = fleet.run(policy)
    return fleet.only(job)


def write_random(host: Host, path: str, size: int) -> None:
    host.run(["sh", "-c", f"mkdir -p $(dirname {path}); head -c {size} /dev/urandom > {path}"])


def size_of(fleet: Fleet) -> int:
    """Bytes of the only vault's data."""
    [vault] = fleet.cyborg.vaults
    said = fleet.hosts["nas"].run(["du", "-s", "-B1", "--apparent-size", f"{vault.where.path}/data"]).stdout
    return int(said.split()[0])


def done(fleet: Fleet, jobs: list[cy.Job]) -> cy.Job:
    [job] = fleet.cyborg.finish(jobs)
    return job


def names(fleet: Fleet) -> list[str]:
    """The archives that lie in the only vault, as Borg on the client lists them."""
    return sorted(Intruder(fleet, "web1").borg("list", "--short", "{}").stdout.split())


def test_a_prune_and_a_compact_free_what_was_to_go_and_the_rest_restores(fleet: Fleet) -> None:
    policy = backed_up(fleet, 4, client={"bandwidth_limit": 3000})
    cyborg = fleet.cyborg
    first, *_others = cyborg.archives
    before = size_of(fleet)
    # One more was killed after some checkpoints, which is no attack.
    make_mortal(fleet.hosts["web1"])
    write_random(fleet.hosts["web1"], "/srv/data/large", 8 * SIZE)
    known = transactions(fleet)
    killer = threading.Thread(target=kill_after_a_checkpoint, args=(fleet, known))
    killer.start()
    [killed] = cyborg.run(policy)
    killer.join()
    assert killed.status == "failed", fleet.said()
    fleet.hosts["web1"].run(["rm", "/srv/data/large", "/root/kill"])
    kept = sorted(verdict.archive.name for verdict in cyborg.prune_plan(policy) if verdict.keep)
    assert len(kept) == 2
    left = Intruder(fleet, "web1").borg("list", "--short", "--consider-checkpoints", "{}").stdout
    assert ".checkpoint" in left
    job = done(fleet, cyborg.prune(policy))
    assert job.status == "successful", fleet.said()
    assert names(fleet) == kept
    assert ".checkpoint" not in Intruder(fleet, "web1").borg("list", "--short", "--consider-checkpoints", "{}").stdout
    assert size_of(fleet) >= before, "a prune makes nothing final"
    [vault] = cyborg.vaults
    assert vault.baseline is not None
    assert vault.baseline.freeable_bytes > 2 * SIZE
    assert vault.deleted_at is not None
    assert vault.unsettled_at is None
    skipped = done(fleet, cyborg.compact("vault"))
    assert (skipped.status, "compact_after" in skipped.reason) == ("skipped", True), fleet.said()
    # The client is let in again; and our own deletions are no alarm.
    [newest] = fleet.run(policy)
    cyborg.settings = evolve(cyborg.settings, compact_after=0)
    job = done(fleet, cyborg.compact("vault"))
    assert job.status == "successful", fleet.said()
    assert size_of(fleet) < before - 2 * SIZE + 200_000
    [vault] = cyborg.vaults
    assert (vault.deleted_at, vault.suspect) == (None, "")
    assert vault.baseline is not None
    assert vault.baseline.freeable_bytes < 1_000_000
    back = fleet.folder / "back"
    assert fleet.restore(fleet.only(newest), destination=back).status == "successful", fleet.said()
    compare(fleet.hosts["web1"].root / "srv/data", back / "srv/data")
    with pytest.raises(cy.Invalid, match="was pruned"):
        cyborg.restore(first, destination=fleet.folder / "no")
    assert all(archive.missing_at is None for archive in cyborg.archives if archive.pruned_at is None)
    # No key of the controller's is left, and no passphrase came to the host of the vault.
    assert vault.passphrase is not None
    nas = fleet.hosts["nas"].root
    canary = vault.passphrase.reveal().encode()
    for folder in ("var/lib/cyborg", "var/tmp", "tmp", "home", "root", "run", "var/log"):
        files = [path for path in (nas / folder).rglob("*") if path.is_file() and not path.is_symlink()]
        assert not [path for path in files if canary in path.read_bytes()]
    assert not list((nas / "var/lib/cyborg/closed").iterdir())


@pytest.mark.parametrize(
    "how", ["both", pytest.param("put", marks=pytest.mark.faults), pytest.param("delete", marks=pytest.mark.faults)]
)
def test_what_a_client_overwrote_or_deleted_is_never_made_final(fleet: Fleet, how: str) -> None:
    policy = backed_up(fleet, 3)
    cyborg = fleet.cyborg
    last = list(cyborg.archives)[-1]
    tree = fleet.folder / "tree"
    subprocess.run(["cp", "-a", str(fleet.hosts["web1"].root / "srv/data"), str(tree)], check=True)
    time.sleep(1.1)  # a transaction's time has no fractions
    attacked(fleet, how)
    before, listed = size_of(fleet), names(fleet)
    # The listing before it goes well: a list of archives does not show it.
    job = done(fleet, cyborg.prune(policy))
    assert (job.status, job.error.code) == ("failed", "vault_tampered"), fleet.said()
    assert "deleted or overwritten" in str(job.error)
    [vault] = cyborg.vaults
    assert vault.suspect == [event.reason for event in fleet.told if isinstance(event, cy.VaultSuspected)][-1]
    assert (size_of(fleet), names(fleet)) == (before, listed)
    assert [archive.pruned_at for archive in cyborg.archives] == [None] * 3
    # Nor a compact, also where somebody said without looking that the vault is good: then all data is verified.
    cyborg.set_ready(vault)
    cyborg.settings = evolve(cyborg.settings, compact_after=0)
    job = done(fleet, cyborg.compact("vault"))
    assert (job.status, job.error.code) == ("failed", "vault_damaged"), fleet.said()
    assert size_of(fleet) == before
    follow_append_only(fleet, vault, last)
    back = fleet.folder / "back"
    assert fleet.restore(last, destination=back).status == "successful", fleet.said()
    compare(tree, back / "srv/data")
    # And all goes on.
    job = done(fleet, cyborg.prune(policy))
    assert job.status == "successful", fleet.said()
    # Archives that look like newer ones of ours push no real one out, whatever their dates.
    real = names(fleet)
    assert len(real) == 2
    intruder = Intruder(fleet, "web1")
    for number in range(3):
        forged = f"{{}}::data+web1+20990{number + 1}01T000000Z+{900 + number}.1"
        said = intruder.borg("create", "--timestamp", f"2099-0{number + 1}-01T00:00:00", forged, "/etc/hostname")
        assert said.returncode == 0, said
    job = done(fleet, cyborg.prune(policy))
    assert (job.status, job.reason) == ("skipped", "the retention keeps all that is there"), fleet.said()
    assert len([event for event in fleet.told if isinstance(event, cy.ArchiveForeign)]) == 3
    assert sorted({*names(fleet)} & {*real}) == real


def test_a_vault_in_a_folder_of_the_client_is_checked_instead(fleet: Fleet) -> None:
    """There is no other host to ask: Borg checks the archives before a prune, and all data before a compact."""
    policy = backed_up(fleet, 3, path="/srv/backup")
    cyborg, host = fleet.cyborg, fleet.hosts["web1"]
    job = done(fleet, cyborg.prune(policy))
    assert job.status == "successful", fleet.said()
    assert [archive.pruned_at is not None for archive in cyborg.archives] == [True, False, False]
    assert any("Checking" in line for line in cyborg.output(job))
    cyborg.settings = evolve(cyborg.settings, compact_after=0)
    [vault] = cyborg.vaults
    before = int(host.run(["du", "-s", "-B1", vault.location]).stdout.split()[0])
    job = done(fleet, cyborg.compact("vault"))
    assert job.status == "successful", fleet.said()
    assert any("all of its data too" in line for line in cyborg.output(job))
    assert int(host.run(["du", "-s", "-B1", vault.location]).stdout.split()[0]) < before - SIZE // 2
    # One bit of data that is not what it was: nothing more is made final.
    segments = (host.root / vault.location.lstrip("/") / "data").rglob("[0-9]*")
    segment = max(segments, key=lambda path: path.stat().st_size if path.is_file() else 0)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    job = done(fleet, cyborg.compact("vault"))
    assert (job.status, job.error.code) == ("failed", "vault_damaged"), fleet.said()
    assert cyborg.vaults.get(1).suspect


def test_a_storage_box_is_checked_by_borg_and_adopted_by_another_library(fleet: Fleet) -> None:
    """Nobody may log in there: Borg alone, over ssh with the controller's key. Borg 1.4 at both far ends."""
    box = fleet.hosts["nas"] = fleet._make("box", borg="1.4")
    box.run(["useradd", "--create-home", "borg"])
    web1 = fleet.client("web1", borg="1.4")
    host = fleet.hosts["web1"]

    def repository() -> cy.Repository:
        address = f"ssh://borg@{box.address}:{box.port}/./backup/{{client}}"
        return fleet.cyborg.repositories.add(cy.Repository("vault", address, managed=False, host_key=box.host_key))

    def let_in() -> None:
        """As a person does whom the failed preparation told so."""
        keys = host.run(["sh", "-c", "cat /etc/cyborg/keys/*.pub"]).stdout + box.lab.public_key + "\n"
        box.write("/home/borg/.ssh/authorized_keys", keys, 0o600)
        box.run(["sh", "-c", "chown -R borg: /home/borg; chmod 0700 /home/borg/.ssh"])

    policy = data_policy(fleet, repository(), web1)
    [first] = fleet.cyborg.run(policy)
    assert first.status == "skipped", fleet.said()
    let_in()
    days = [another_day(fleet, policy) for _ in range(3)]
    [vault] = fleet.cyborg.vaults
    stored = f"/home/borg/backup/{vault.location.rpartition('/')[2]}"

    def size() -> int:
        return int(box.run(["du", "-s", "-B1", "--apparent-size", f"{stored}/data"]).stdout.split()[0])

    before = size()
    job = done(fleet, fleet.cyborg.prune(policy))
    assert job.status == "successful", fleet.said()
    assert any("Checking" in line for line in fleet.cyborg.output(job)), "there is no other host to ask"
    assert [archive.pruned_at is not None for archive in fleet.cyborg.archives] == [True, False, False]
    assert size() >= before
    fleet.cyborg.settings = evolve(fleet.cyborg.settings, compact_after=0)
    job = done(fleet, fleet.cyborg.compact("vault"))
    assert job.status == "successful", fleet.said()
    assert any("all of its data too" in line for line in fleet.cyborg.output(job))
    assert size() < before - SIZE // 2
    there = {archive.name: archive.borg_id for archive in fleet.cyborg.archives if archive.pruned_at is None}
    assert len(there) == 2

    # The database is lost; the passphrase is in the kit, the repository where it was.
    fleet.cyborg.close()
    fleet.url = f"sqlite:///{fleet.folder}/another.db"
    fleet.open()
    web1 = fleet.cyborg.clients.add(evolve(web1, id=None))
    found = repository()
    assert vault.passphrase is not None
    path = vault.where.path
    jobs = fleet.cyborg.finish(fleet.cyborg.adopt(found, web1, passphrase=vault.passphrase.reveal(), path=path))
    if jobs[0].status == "failed":
        assert jobs[0].error.code == "key_not_authorized", fleet.said()
        let_in()
        jobs = fleet.cyborg.finish(fleet.cyborg.adopt(found, web1, passphrase=vault.passphrase.reveal(), path=path))
    assert {job.status for job in jobs} == {"successful"}, fleet.said()
    assert {archive.name: archive.borg_id for archive in fleet.cyborg.archives} == there
    assert all(archive.foreign for archive in fleet.cyborg.archives)
    back = fleet.folder / "back"
    assert fleet.restore(days[-1].name, destination=back).status == "successful", fleet.said()
    compare(host.root / "srv/data", back / "srv/data")
    fleet.run(data_policy(fleet, found, web1))


#: Borg that makes a checkpoint each second, and is killed after as many seconds as the file says, if there is one.
MORTAL = """#!/usr/bin/python3
import os, subprocess, sys, time
argv = ["/usr/bin/borg.real", *["1" if word == "1800" else word for word in sys.argv[1:]]]
if "create" in argv:
    child, began = subprocess.Popen(argv, close_fds=False), time.monotonic()
    while child.poll() is None:
        if os.path.exists("/root/kill") and time.monotonic() - began > float(open("/root/kill").read() or 99):
            child.kill()
            child.wait()
            os.kill(os.getpid(), 9)
        time.sleep(0.05)
    sys.exit(child.returncode)
os.execv(argv[0], argv)
"""


def transactions(fleet: Fleet) -> int:
    """How many there were of the client's."""
    [vault] = fleet.cyborg.vaults
    return len(fleet.hosts["nas"].read(f"{vault.where.path}/transactions").splitlines())


def kill_after_a_checkpoint(fleet: Fleet, known: int) -> None:
    """Wait until the backup that is at work has made one, and end its Borg."""
    until = time.monotonic() + 60
    while transactions(fleet) <= known and time.monotonic() < until:
        time.sleep(0.1)
    fleet.hosts["web1"].write("/root/kill", "0")


def make_mortal(host: Host) -> None:
    host.run(["mv", "/usr/bin/borg", "/usr/bin/borg.real"])
    host.write("/usr/bin/borg", MORTAL, 0o755)


@pytest.mark.faults
@pytest.mark.timeout(3600)
def test_honest_runs_with_kills_and_checkpoints_raise_no_alarm(fleet: Fleet) -> None:
    runs = 30
    # Slow enough for some checkpoints in each run.
    policy = backed_up(fleet, 1, client={"bandwidth_limit": 1500})
    cyborg, host = fleet.cyborg, fleet.hosts["web1"]
    make_mortal(host)
    ended = []
    for number in range(runs):
        write_random(host, f"/srv/data/more-{number}", SIZE)
        if number % 2:
            host.write("/root/kill", str(0.8 + number % 5 * 0.5))
        else:
            host.run(["rm", "-f", "/root/kill"])
        ended += [job.status for job in cyborg.run(policy)]
    assert ended.count("successful") >= runs // 2, fleet.said()
    assert "failed" in ended, "some were killed"
    host.run(["rm", "-f", "/root/kill"])
    for archive in list(cyborg.archives)[:-2]:
        cyborg._store.archives.observe(archive.id, recorded_at=datetime.now(UTC) - timedelta(days=archive.id))
    job = done(fleet, cyborg.prune(cyborg.policies.replace(evolve(policy, retention=cy.Retention(daily=1)))))
    assert job.status == "successful", fleet.said()
    cyborg.settings = evolve(cyborg.settings, compact_after=0)
    job = done(fleet, cyborg.compact("vault"))
    assert job.status == "successful", fleet.said()
    assert not [event for event in fleet.told if isinstance(event, cy.VaultSuspected)]
    [job] = fleet.run(policy)
    back = fleet.folder / "back"
    assert fleet.restore(fleet.only(job), destination=back).status == "successful", fleet.said()
    compare(host.root / "srv/data", back / "srv/data")


def attacked(fleet: Fleet, how: str) -> None:
    """Let the script do its work on the client, with what lies there."""
    intruder = Intruder(fleet, "web1")
    host = fleet.hosts["web1"]
    host.write("/root/attack.py", Path(__file__).with_name("attack.py").read_bytes())
    assert intruder.vault.passphrase is not None
    env = {
        "HOME": "/root", "BORG_RSH": " ".join(intruder.ssh), "BORG_PASSPHRASE": intruder.vault.passphrase.reveal(),
        "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
    }  # fmt: skip
    said = host.run(["/usr/bin/python3", "/root/attack.py", how, intruder.vault.location], env=env)
    assert int(said.stdout) > 0
