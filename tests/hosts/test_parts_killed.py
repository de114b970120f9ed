"""A backup of several databases whose engine is killed in the middle: the next one follows it to its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import attrs
import pytest

import cyborglib as cy
from tests.hosts import killed
from tests.hosts.conftest import Fleet
from tests.lab.mariadb import MariaDB

pytestmark = pytest.mark.hosts

NAMES = ["alpha", "beta", "gamma"]


def test_the_next_engine_makes_of_it_what_it_was_to_be(fleet: Fleet) -> None:
    # So slow that there is a middle.
    client = fleet.client("db1", servers="databases", bandwidth_limit=1000)
    vault = fleet.repository()
    host = fleet.hosts["db1"]
    MariaDB(host)
    for name in NAMES:
        rows = 60_000 if name == "beta" else 10
        table = f"create table t as select seq, hex(random_bytes(60)) x from seq_1_to_{rows}"
        sql = f"create database {name}; use {name}; {table}"
        host.run(["mariadb", "-e", sql])
    policy = fleet.cyborg.policies.add(
        cy.Policy("dumps", "mysql", vault, clients=[client], extra_vars={"databases": NAMES}, retries=0,
                  prehook="echo before >> /root/hooks", posthook='echo "$CYBORG_OUTCOME" >> /root/hooks')
    )  # fmt: skip
    fleet.cyborg.settings = attrs.evolve(fleet.cyborg.settings, lease=5)
    [job] = fleet.cyborg.launch(policy)
    fleet.cyborg.close()
    argv = [f"sqlite:///{fleet.database}", fleet.folder / "seal.key", fleet.folder / "state", killed.STREAMING]
    done = subprocess.run([sys.executable, "-m", "tests.hosts.killed", *argv], timeout=240)
    assert done.returncode == -signal.SIGKILL
    fleet.open()
    assert fleet.cyborg.jobs.get(job.id).status == "running"
    fleet.cyborg.work()
    job = fleet.cyborg.jobs.get(job.id)
    assert (job.status, job.attempt) == ("successful", 1), fleet.said()
    archives = [fleet.cyborg.archives.get(archive) for archive in job.archives]
    assert [archive.part for archive in archives] == NAMES
    assert all(archive.confirmed_at for archive in archives)
    kept = fleet.cyborg._store.vaults.get(archives[0].vault)
    env = {"BORG_PASSPHRASE": kept.passphrase.reveal()}
    listed = json.loads(fleet.hosts["nas"].run(["borg", "list", "--json", kept.where.path], env=env).stdout)
    assert {archive["name"] for archive in listed["archives"]} == {archive.name for archive in archives}
    assert host.read("/root/hooks") == b"before\nsuccessful\n"
    # Nothing of it stays on the host, once the library has it.
    fleet.run(policy)
    folders = host.run(["sh", "-c", "ls /run/cyborg"]).stdout.split()
    assert not [name for name in folders if f".{job.id}." in name], folders
