"""A client with a PostgreSQL server that runs, its vault, and what tests do with them."""

from __future__ import annotations

import time
from pathlib import Path

import attrs

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.lab import Host, Lab
from tests.lab.cluster import Cluster
from tests.lab.machine import kill

#: A name with all that tempts somebody to quote, split, expand or take it for a connection string.
ODD = "a b'c\"{{ 7*7 }} =x host=nowhere ü"
#: What a shop has: rows, sequences, a view, routines, an owner and rights, a large object, rows of 8 bits.
SHOP = """
    create schema stock;
    create table orders (id serial primary key, note text, amount numeric, placed timestamptz default now());
    insert into orders (note, amount) select 'ä ' || md5(n::text), n / 7.0 from generate_series(1, 2000) n;
    create table stock.items (id int generated always as identity, data bytea);
    insert into stock.items (data) select decode(md5(n::text), 'hex') from generate_series(1, 100) n;
    create view large as select * from orders where amount > 200;
    create materialized view total as select sum(amount) from orders;
    create function twice(int) returns int language sql as 'select $1 * 2';
    create procedure clear() language sql as 'delete from orders where false';
    create sequence lone start 70;
    select nextval('lone'), lo_from_bytea(4711, '\\x00ff00');
    alter table orders owner to keeper;
    grant select on orders to "read er";
"""
TABLES = ("orders", "stock.items", "large", "total")


class Scene(Fleet):
    """A client with a running server, its vault, and what the tests do with them."""

    def __init__(self, folder: Path, lab: Lab) -> None:
        self.made: list[Host] = []

        def make(name: str | None = None, **asked: object) -> Host:
            self.made.append(lab.host(name, **asked))  # type: ignore[arg-type]
            return self.made[-1]

        super().__init__(folder, make)
        self.db1 = self.client("db1", servers="databases")
        self.server = Cluster(self.hosts["db1"]).start()
        self.vault = self.repository()
        # `sound` looks at the vault, more closely than a catalog does.
        self.cyborg.settings = attrs.evolve(self.cyborg.settings, catalog=False)

    def policy(self, name: str, **options: object) -> cy.Policy:
        return self.cyborg.policies.add(
            cy.Policy(name, type="postgresql", repository=self.vault, clients=[self.db1], retries=0, extra_vars=options)
        )

    def failed(self, policy: cy.Policy, code: str) -> cy.Job:
        """A run that must not go well; the vault is whole and open afterwards."""
        [job] = self.cyborg.run(policy)
        assert (job.status, job.error and job.error.code) == ("failed", code), self.said()
        self.sound()
        return job

    def archives(self, job: cy.Job) -> dict[str, cy.Archive]:
        """Of a job, by what they are of."""
        return {archive.part: archive for archive in map(self.cyborg.archives.get, job.archives)}

    def back(self, archive: cy.Archive, *, overwrite: bool = False, **options: object) -> cy.Job:
        return self.restore(archive, to=self.db1, overwrite=overwrite, options=options)

    def sound(self) -> None:
        """All archives of the vault are whole, and nobody holds a lock on it."""
        [vault] = self.cyborg.vaults.find(repository=self.vault.id)
        nas, path = self.hosts["nas"], vault.where.path
        assert not nas.run(["sh", "-c", 'ls -d "$1"/lock.*', "sh", path], check=False).stdout
        env = {"BORG_PASSPHRASE": vault.passphrase.reveal(), "BORG_BASE_DIR": "/tmp/borg", "LANG": "C.UTF-8"}
        argv = ["borg", "check", "--verify-data", path]
        checked = nas.run(
            argv, user="borg", env=env | {"BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}, check=False
        )
        assert checked.returncode == 0, checked.stderr

    def drop(self) -> None:
        """Every database but the server's own."""
        self.server.drop(*self.server.databases())


def random_rows(megabytes: int) -> str:
    """A query whose rows nothing can compress: so many megabytes of text, more or less.

    The inner query names ``n``: one that does not is worked out once, and all rows are the same.
    """
    return (
        "select n, (select string_agg(encode(sha512((random()::text || n || m)::bytea), 'hex'), '') "
        f"from generate_series(1, 8) m) as data from generate_series(1, {megabytes * 1000}) n"
    )


def kill_when(host: Host, word: str, written: int) -> None:
    """Kill a process of a host as soon as it has read or written so many bytes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for pid in host._inner():
            try:
                argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if word.encode() in argv[0] or word.encode() in argv[1:]:
                    counts = dict(line.split(": ") for line in Path(f"/proc/{pid}/io").read_text().splitlines())
                    if max(int(counts["rchar"]), int(counts["wchar"])) > written:
                        kill([pid])
                        return
            except (OSError, IndexError):
                continue
        time.sleep(0.005)
    raise AssertionError(f"nothing with {word} in its command line came so far")
