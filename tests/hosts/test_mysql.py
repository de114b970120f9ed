"""Databases of a real MariaDB on a real host: backed up and brought back by the library, and all that can go wrong."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import attrs
import pytest
from cryptography.fernet import Fernet

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.hosts.test_canary import canary, job_folders, token
from tests.hosts.test_trouble import unlocked
from tests.hosts.watcher import watching
from tests.lab import Host, Lab, LabError
from tests.lab.mariadb import MariaDB

pytestmark = pytest.mark.hosts

ODD = "it's a `db` {{ 7*7 }} \\ é"
WAITING = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE STATE"
LOCK = "LOCK TABLES z WRITE; SELECT SLEEP(100)"


class Databases:
    """A fleet of one client with a MariaDB, and policies of it."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.client = fleet.client("db1", servers="databases")
        self.vault = fleet.repository()
        self.host: Host = fleet.hosts["db1"]
        self.server = MariaDB(self.host)
        self._names = count(1)

    def policy(self, **options: object) -> cy.Policy:
        return self.fleet.cyborg.policies.add(
            cy.Policy(f"db{next(self._names)}", type="mysql", repository=self.vault, clients=[self.client], retries=0,
                      extra_vars=options)
        )  # fmt: skip

    def fails(self, policy: cy.Policy, code: str, *made: str) -> cy.Job:
        """Run a policy that fails with this code, and makes these archives nevertheless."""
        [job] = self.fleet.cyborg.run(policy)
        assert job.error is not None, self.fleet.said()
        assert (job.status, job.error.code) == ("failed", code), self.fleet.said()
        assert {archive.part for archive in self.archives(job)} == set(made)
        assert not [argv for argv in self.host.processes() if "dump" in argv[0] or "borg" in argv[0]]
        [vault] = self.fleet.cyborg.vaults
        assert unlocked(self.fleet, vault)
        return job

    def archives(self, job: cy.Job) -> list[cy.Archive]:
        return [self.fleet.cyborg.archives.get(archive) for archive in job.archives]

    def of(self, job: cy.Job, name: str) -> cy.Archive:
        [found] = [archive for archive in self.archives(job) if archive.part == name]
        return found

    def restore(self, archive: cy.Archive, **arguments: object) -> cy.Job:
        return self.fleet.restore(archive, to=self.client, **arguments)

    def borg(self, *arguments: str) -> str:
        """What Borg says on the repository's host of the vault."""
        [vault] = self.fleet.cyborg.vaults
        kept = self.fleet.cyborg._store.vaults.get(vault.id)
        env = {"BORG_PASSPHRASE": kept.passphrase.reveal(), "LANG": "C.UTF-8", "BORG_BASE_DIR": "/var/tmp/looks"}
        words = [word.replace("VAULT", str(vault.where.path)) for word in arguments]
        # Not as root: what it writes there has to stay the repository's own.
        return self.fleet.hosts["nas"].run(["borg", *words], env=env, user="borg").stdout

    def blocked(self, then: Callable[[], object]) -> threading.Thread:
        """Hold the dump of `shop` up at its last table, z, and do something as soon as it stands there."""
        holder = subprocess.Popen(
            [*self.host.enter, "mariadb", "shop", "-e", LOCK], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

        def act() -> None:
            self._await(f"{WAITING} LIKE 'Waiting for table m%'")
            then()
            # It may have died with the server.
            with suppress(LabError):
                self.server.sql(f"KILL {number}")
            holder.wait()

        self._await(f"{WAITING} = 'User sleep'")
        [[number]] = self.server.sql(f"{WAITING} = 'User sleep'".replace("COUNT(*)", "ID"))
        thread = threading.Thread(target=act)
        thread.start()
        return thread

    def _await(self, question: str) -> None:
        deadline = time.monotonic() + 120
        while self.server.sql(question) == [["0"]]:
            assert time.monotonic() < deadline, question
            time.sleep(0.05)

    def pids(self, program: str) -> list[str]:
        """The ids in the host of a program's processes."""
        script = 'for p in /proc/[0-9]*; do [ "$(readlink $p/exe)" = "$1" ] && echo ${p#/proc/}; done; true'
        return self.host.run(["sh", "-c", script, "sh", program]).stdout.split()

    def shop(self) -> None:
        """A small database with a table at its end that can be locked."""
        self.server.drop(*self.server.databases())
        self.server.sql(
            "CREATE DATABASE shop; USE shop; CREATE TABLE a (i INT, t TEXT); CREATE TABLE z (i INT);"
            "INSERT INTO a SELECT seq, REPEAT(MD5(seq), 20) FROM seq_1_to_2000; INSERT INTO z VALUES (1);"
        )


@pytest.fixture(scope="module")
def databases(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Shared: a host with databases takes longer to prepare than most tests here."""
    folder: Path = tmp_path_factory.mktemp("fleet")
    key = folder / "seal.key"
    key.touch(mode=0o600)
    key.write_bytes(Fernet.generate_key())
    hosts: list[Host] = []

    def make(name: str | None = None, **asked: object) -> Host:
        hosts.append(lab.host(name, **asked))  # type: ignore[arg-type]
        return hosts[-1]

    made = Databases(Fleet(folder, make))
    yield made
    made.fleet.cyborg.close()
    for host in hosts:
        host.remove()


def test_all_of_a_server_and_back(databases: Databases) -> None:
    server, fleet = databases.server, databases.fleet
    databases.shop()
    server.fill(ODD)
    policy = databases.policy()
    [job] = fleet.run(policy)
    assert {archive.part for archive in databases.archives(job)} == {"shop", ODD, "mysql"}
    assert all(archive.confirmed_at for archive in databases.archives(job))
    assert any("without transactions" in warning for warning in job.warnings), job.warnings
    # One look into the vault is enough for all that follows.
    fleet.cyborg.settings = attrs.evolve(fleet.cyborg.settings, catalog=False)
    [again] = fleet.run(policy)
    assert len(again.archives) == 3, "within the same minute"
    before = {name: server.state(name) for name in ("shop", ODD)}
    server.drop("shop", ODD)
    for name, held in before.items():
        back = databases.restore(databases.of(job, name), options={"into": name})
        assert back.status == "successful", fleet.said()
        assert server.state(name) == held
    server.sql("DROP TABLE z; CREATE TABLE other (i INT)", "shop")
    back = databases.restore(databases.of(again, "shop"), overwrite=True)
    assert back.status == "successful", fleet.said()
    assert server.state("shop") == before["shop"]
    back = databases.restore(databases.of(job, ODD))
    assert back.status == "successful", fleet.said()
    refused = databases.restore(databases.of(job, ODD), options={"into": "shop"})
    assert refused.error is not None
    assert refused.error.code == "database_exists"
    [beside] = server.databases() - {"shop", ODD}
    assert str(back.id) in beside
    assert server.state(beside) == before[ODD]
    # As a file, for whoever wants to look.
    here = fleet.folder / "here"
    back = fleet.restore(databases.of(job, "shop"), destination=here)
    assert back.status == "successful", fleet.said()
    assert "-- Dump completed" in (here / "mysql/shop.sql").read_text()
    with pytest.raises(cy.Invalid, match="into"):
        databases.restore(databases.of(job, "shop"), options={"intoo": "x"})


def test_no_server_and_a_wrong_password(databases: Databases) -> None:
    databases.shop()
    databases.server.sql("CREATE USER IF NOT EXISTS b@localhost IDENTIFIED BY 'right'")
    job = databases.fails(databases.policy(user="b", password="wrong"), "server_denied")
    assert "Check user and password" in str(job.error)
    job = databases.fails(databases.policy(user="b", password="right"), "grants_missing")
    assert "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.* TO `b`@`localhost`;" in str(job.error)
    databases.server.stop()
    job = databases.fails(databases.policy(), "server_unreachable")
    assert "Start it" in str(job.error)
    databases.server.start()


def test_what_breaks_in_the_middle_of_a_dump_costs_no_other_archive(databases: Databases) -> None:
    databases.shop()
    server, fleet = databases.server, databases.fleet
    server.sql("CREATE DATABASE able; CREATE TABLE able.t (i INT)")
    policy = databases.policy(databases=["able", "shop"])
    [whole] = fleet.run(policy)
    # The dump is killed at half of what there is.
    thread = databases.blocked(lambda: databases.host.run(["kill", "-KILL", *databases.pids("/usr/bin/mariadb-dump")]))
    job = databases.fails(policy, "dump_failed", "able")
    thread.join()
    assert "shop: The command was killed by signal 9" in str(job.error)
    assert "1 of 2 archives were made and stay" in str(job.error)
    # The server dies.
    thread = databases.blocked(server.kill)
    job = databases.fails(policy, "dump_failed", "able")
    thread.join()
    assert "in the middle of the dump" in str(job.error)
    server.start()
    # One of them cannot be dumped at all.
    server.sql("CREATE TABLE gone (i INT); CREATE VIEW broken AS SELECT * FROM gone; DROP TABLE gone", "shop")
    job = databases.fails(policy, "dump_failed", "able")
    assert "shop.broken" in str(job.error)
    databases.borg("check", "--verify-data", "VAULT")
    before = server.state("able")
    server.drop("able", "shop")
    for name in ("able", "shop"):
        assert databases.restore(databases.of(whole, name), options={"into": name}).status == "successful"
    assert server.state("able") == before


def test_a_full_disk_at_either_end(databases: Databases) -> None:
    databases.shop()
    server, fleet = databases.server, databases.fleet
    policy = databases.policy(databases=["shop"])
    [whole] = fleet.run(policy)
    server.sql("CREATE TABLE l (b LONGBLOB); INSERT INTO l SELECT RANDOM_BYTES(1000) FROM seq_1_to_6000", "shop")
    [vault] = fleet.cyborg.vaults
    nas, path = fleet.hosts["nas"], vault.where.path
    # The vault moves onto a disk with little room left.
    move = 'mv "$1" "$1.old" && mkdir "$1" && mount -t tmpfs -o size=3m full "$1" && cp -a "$1.old/." "$1"'
    nas.run(["sh", "-c", move, "sh", path])
    try:
        databases.fails(policy, "vault_full")
        # To look at it, Borg needs room.
        nas.run(["mount", "-o", "remount,size=30m", path])
        databases.borg("check", "--verify-data", "VAULT")
        assert {archive.part for archive in databases.archives(whole)} == {"shop"}
    finally:
        nas.run(["sh", "-c", 'umount "$1" && rmdir "$1" && mv "$1.old" "$1"', "sh", path])
    # Borg's own memory on the client has none.
    databases.host.run(["sh", "-c", "mkdir -p /root/.cache/borg && mount -t tmpfs -o size=64k full /root/.cache/borg"])
    try:
        databases.fails(policy, "client_full")
    finally:
        databases.host.run(["umount", "/root/.cache/borg"])
    databases.borg("check", "--verify-data", "VAULT")
    fleet.run(policy)


def test_the_password_is_seen_nowhere(databases: Databases) -> None:
    databases.shop()
    server, fleet = databases.server, databases.fleet
    mark = token()
    password = canary(mark)
    began = time.time() - 1
    text = password.replace("\\", "\\\\").replace("'", "''")
    server.sql(
        f"CREATE USER keeper@localhost IDENTIFIED BY '{text}';"
        "GRANT SELECT, SHOW VIEW, TRIGGER, EVENT ON *.* TO keeper@localhost;"
        f"CREATE USER owner@localhost IDENTIFIED BY '{text}'; GRANT ALL ON *.* TO owner@localhost;"
    )
    policy = databases.policy(databases=["shop"], user="keeper", password=password)
    looked = [str(fleet.folder), *(place for host in fleet.hosts.values() for place in job_folders(host))]
    with watching([mark], looked) as result:
        # While the dump stands still, there is all the time to look.
        thread = databases.blocked(lambda: time.sleep(1))
        [job] = fleet.run(policy)
        thread.join()
        back = databases.restore(
            databases.of(job, "shop"), options={"into": "beside", "user": "owner", "password": password}
        )
        assert back.status == "successful", fleet.said()
        back = databases.restore(
            databases.of(job, "shop"), options={"into": "beside", "user": "owner", "password": password}, overwrite=True
        )
        assert back.status == "successful", fleet.said()
    assert result["hits"] == []
    assert {"mariadb-dump", "mariadb"} <= set(result["seen"])
    assert mark not in databases.borg("info", "--json", f"VAULT::{databases.of(job, 'shop').name}")
    assert mark not in fleet.said()
    assert mark not in repr([policy, job, back, fleet.told])
    places = f"/etc /root /run /tmp /var /srv -xdev -type f -newermt @{began:.0f}"
    look = f"find {places} -print0 | xargs -0 grep -al {mark} || true"
    for host in fleet.hosts.values():
        assert host.run(["sh", "-c", look]).stdout == ""
    assert server.state("beside") == server.state("shop")
    server.sql("DROP DATABASE beside; DROP USER keeper@localhost, owner@localhost")
