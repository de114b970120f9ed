"""Drills of real archives: of files, streams and databases; what they find, and what they leave behind: nothing."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.hosts.postgresql import SHOP
from tests.hosts.test_checks import flip
from tests.hosts.test_mysql import ODD
from tests.lab import Host
from tests.lab.cluster import Cluster
from tests.lab.mariadb import MariaDB, literal

pytestmark = pytest.mark.hosts


def drilled(fleet: Fleet, what: cy.Policy | cy.Archive) -> tuple[cy.Job, cy.Proof | None, cy.Archive]:
    """The one drill of something: its ended job, what it proved, and the archive."""
    [job] = fleet.cyborg.finish(fleet.cyborg.drill(what))
    proofs = fleet.cyborg.proofs.find(job=job.id)
    return job, (proofs[0] if proofs else None), fleet.cyborg.archives.get(job.archive)


def scratch(fleet: Fleet) -> list[Path]:
    """What drills have left on the controller."""
    return [path for path in (fleet.folder / "state/drills").glob("*") if path.exists()]


def changed(fleet: Fleet, policy: cy.Policy, **drill: object) -> cy.Policy:
    policy = fleet.cyborg.policies.get(policy.id)
    return fleet.cyborg.policies.replace(attrs.evolve(policy, drill=cy.Drill(**drill)))  # type: ignore[arg-type]


_TREE = """
mkdir -p /srv/www/deep
for n in $(seq 60); do head -c 20000 /dev/urandom > /srv/www/deep/$n; done
printf secret > /srv/www/closed; chmod 0 /srv/www/closed
printf x > '/srv/www/{{ 7*7 }} it'\\''s "odd"'
printf x > "$(printf '/srv/www/not \\377 utf-8')"
ln -s /etc/passwd /srv/www/link; ln /srv/www/deep/1 /srv/www/hard; mkfifo /srv/www/fifo
truncate -s 3M /srv/www/holes
chmod u+s /srv/www/deep/2
"""


def test_files_and_streams(fleet: Fleet) -> None:
    repository = fleet.repository(borg="1.4")
    web1, proof1 = fleet.client("web1"), fleet.client("proof1")
    host: Host = fleet.hosts["web1"]
    host.run(["bash", "-c", _TREE])
    www = fleet.cyborg.policies.add(
        cy.Policy("www", "folders", repository=repository, clients=[web1], extra_vars={"folders": "/srv/www"},
                  drill={"files": 20})
    )  # fmt: skip
    [backup] = fleet.run(www)
    archive = fleet.only(backup)

    job, proof, archive = drilled(fleet, www)
    assert job.status == "successful", fleet.said()
    assert proof is not None
    assert (proof.how, proof.files, proof.archive) == ("sample", 20, archive.id)
    assert proof.seconds > 0
    assert archive.proved_at == proof.proved_at
    assert any("whose names Borg cannot show" in warning for warning in job.warnings)
    # All of it, of which one may not read everything.
    www = changed(fleet, www, whole=True)
    job, proof, _ = drilled(fleet, archive)
    assert job.status == "successful", fleet.said()
    assert proof is not None
    assert (proof.how, proof.files >= 63, proof.bytes > 3_000_000 + 60 * 20_000) == ("all", True, True)
    # On another host, which is let in for as long as it takes, and knows nothing more of the vault then.
    fleet.cyborg.finish(fleet.cyborg.prepare(proof1))
    keys = fleet.hosts["nas"].read("/var/lib/borg/.ssh/authorized_keys")
    kit = fleet.cyborg.vaults.get(1).rekeyed_at
    www = changed(fleet, www, files=5, host=proof1)
    # Canceled as soon as it is at work there: it proves nothing, says nothing against the archive, and leaves nothing.
    cancel = [fleet.cyborg.cancel]
    fleet.cyborg.on(cy.JobStarted)(lambda event: cancel and cancel.pop()(event.job))
    job, proof, archive = drilled(fleet, archive)
    assert (job.status, proof, archive.doubtful) == ("canceled", None, ""), fleet.said()
    assert fleet.hosts["nas"].read("/var/lib/borg/.ssh/authorized_keys") == keys
    assert fleet.hosts["proof1"].run(["ls", "-A", "/var/tmp/cyborg-drills"]).stdout == ""
    job, proof, _ = drilled(fleet, archive)
    assert job.status == "successful", fleet.said()
    assert (job.client, proof is not None and proof.files) == (proof1.id, 5)
    assert fleet.hosts["nas"].read("/var/lib/borg/.ssh/authorized_keys") == keys
    assert fleet.cyborg.vaults.get(1).rekeyed_at == kit, "the kit is as good as before"
    assert fleet.hosts["proof1"].run(["ls", "-A", "/var/tmp/cyborg-drills"]).stdout == ""
    left = fleet.hosts["proof1"].run(["ls", "/etc/cyborg/keys"]).stdout
    assert "drill" not in left
    assert scratch(fleet) == []

    # What a command printed: read to its end twice, or looked at by a command.
    piped = fleet.cyborg.policies.add(
        cy.Policy("users", "piped", repository=repository, clients=[web1], extra_vars={"command": "seq 100000"})
    )
    fleet.run(piped)
    job, proof, stream = drilled(fleet, piped)
    assert job.status == "successful", fleet.said()
    assert proof is not None
    assert (proof.how, proof.bytes) == ("read", len("".join(f"{n}\n" for n in range(1, 100001))))
    piped = changed(fleet, piped, options={"command": "sort -nc && echo 'in order'"})
    job, proof, _ = drilled(fleet, stream)
    assert (job.status, proof is not None and proof.how) == ("successful", "verified"), fleet.said()
    piped = changed(fleet, piped, options={"command": "grep -q nowhere"})
    job, proof, stream = drilled(fleet, stream)
    assert (job.status, job.error.code, proof) == ("failed", "load_failed", None), fleet.said()
    assert stream.doubtful.startswith("a restore drill failed: ")
    [vault] = fleet.cyborg.vaults
    assert vault.suspect == "", "Borg said nothing of damage"

    # A byte that flipped: whatever file of it is in the sample.
    flip(fleet.hosts["nas"], vault.where.path)
    changed(fleet, www, whole=True)
    job, proof, archive = drilled(fleet, archive)
    assert (job.status, job.error.code, proof) == ("failed", "vault_damaged", None), fleet.said()
    assert archive.doubtful.startswith("a restore drill failed: ")
    assert archive.proved_at is not None, "that it was whole once stays true"
    [vault] = fleet.cyborg.vaults
    assert "damaged" in vault.suspect
    [refused] = fleet.cyborg.run(www)
    assert refused.error.code == "vault_damaged"
    again, _, _ = drilled(fleet, archive)
    assert "would prove nothing" in str(again.error)
    assert scratch(fleet) == []
    events = [type(event).__name__ for event in fleet.told]
    assert (events.count("ArchiveProved"), events.count("ArchiveDoubtful")) == (5, 2)


def test_databases(fleet: Fleet) -> None:
    repository = fleet.repository()
    db1, proof1 = (fleet.client(name, servers="databases") for name in ("db1", "proof1"))
    mariadb, postgresql = MariaDB(fleet.hosts["db1"]), Cluster(fleet.hosts["db1"]).start()
    there, over_there = MariaDB(fleet.hosts["proof1"]), Cluster(fleet.hosts["proof1"]).start()
    mariadb.fill(ODD)
    postgresql.sql('create role keeper; create role "read er";')
    postgresql.create("shop", SHOP)
    fleet.cyborg.finish(fleet.cyborg.prepare(proof1))
    policies = {
        kind: fleet.cyborg.policies.add(
            cy.Policy(kind, kind, repository=repository, clients=[db1], retries=0, drill={"host": proof1},
                      extra_vars={"databases": [name]})
        )
        for kind, name in (("mysql", ODD), ("postgresql", "shop"))
    }  # fmt: skip
    for policy in policies.values():
        fleet.run(policy)

    job, proof, archive = drilled(fleet, policies["mysql"])
    assert job.status == "successful", fleet.said()
    assert proof is not None
    counts = mariadb.sql(
        f"SELECT CONCAT('SELECT COUNT(*) FROM `', REPLACE(TABLE_NAME, '`', '``'), '`;') FROM information_schema.TABLES"
        f" WHERE TABLE_SCHEMA = {literal(ODD)} AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"
    )
    rows = [int(row[0]) for [query] in counts for row in mariadb.sql(query, ODD)]
    assert (proof.how, proof.tables, proof.rows) == ("loaded", len(rows), sum(rows))
    assert sum(rows) > 0
    assert (archive.part, archive.proved_at) == (ODD, proof.proved_at)
    assert there.databases() == set()
    # A server that would run the dump's events is none for drills.
    there.sql("SET GLOBAL event_scheduler = ON")
    job, proof, archive = drilled(fleet, archive)
    assert (job.error.code, proof, archive.doubtful) == ("unsupported", None, ""), fleet.said()
    there.sql("SET GLOBAL event_scheduler = OFF")

    jobs = fleet.cyborg.finish(fleet.cyborg.drill(policies["postgresql"]))
    seen = {fleet.cyborg.archives.get(job.archive).part for job in jobs}
    again = [one for one in fleet.cyborg.archives.find(policy=policies["postgresql"].id) if one.part not in seen]
    jobs += fleet.cyborg.finish([job for one in again for job in fleet.cyborg.drill(one)])
    assert [job.status for job in jobs] == ["successful"] * len(jobs), fleet.said()
    shop = next(one for one in fleet.cyborg.archives if one.part == "shop")
    [proof] = fleet.cyborg.proofs.find(archive=shop.id)
    assert (proof.how, proof.tables, proof.rows) == ("loaded", 2, 2100)
    assert over_there.databases() == []

    # A dump that is whole, and does not load: what the constraint says now, rows from before do not keep.
    postgresql.sql(
        "create function fits(int) returns bool language sql immutable as 'select true';"
        "create table odd (n int check (fits(n))); insert into odd values (7);"
        "create or replace function fits(int) returns bool language sql immutable as 'select $1 > 7';",
        "shop",
    )
    [backup] = fleet.run(policies["postgresql"])
    broken = next(one for one in map(fleet.cyborg.archives.get, backup.archives) if one.part == "shop")
    job, none, broken = drilled(fleet, broken)
    assert (job.status, job.error.code, none) == ("failed", "load_failed", None), fleet.said()
    assert "violates check constraint" in str(job.error)
    assert broken.doubtful.startswith("a restore drill failed: ")
    assert broken.proved_at is None
    assert over_there.databases() == []
    [vault] = fleet.cyborg.vaults
    assert vault.suspect == ""
