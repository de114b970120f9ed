"""The catalogue of contents beside `borg list` alone, and how fast it answers. Run as root:

    python -m benchmarks.catalogue taking [--files 1000000] [--rounds 3] [--vault FOLDER] [--databases …]
    python -m benchmarks.catalogue asking [--files 1000000] [--archives 100] [--churn 0.02] [--databases …]

`taking`: a real vault of two archives of as many small files, of which nothing changed between; the second one with a
few changes is a third. Each round times `borg list` of the first archive into /dev/null, and a catalog job for it (the
whole job: Ansible, the look into the vault, the contents) in a new database; then one for the second archive, and one
for the third. `--vault` keeps the vault for the next time (made if it is not there; this takes many minutes).

`asking`: a database as so many archives would have left it, written directly, and then questions by the facade: folders
and archives by chance, and texts cut out of names by chance, a fifth of them such as no name holds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from cryptography.fernet import Fernet
from sqlalchemy import create_engine, insert, text

import cyborglib as cy
from cyborglib.secret import Secret
from cyborglib.store import bulk, schema
from cyborglib.store.contents_schema import contents, owners, series
from cyborglib.store.spans import BEGIN, OPEN
from tests.lab.postgresql import PostgreSQL

PASSPHRASE = "x"
WORDS = (
    "alpha", "beta", "gamma", "delta", "config", "index", "main", "module", "report", "invoice",
    "photo", "backup", "server", "client", "data", "cache", "script", "style", "image", "mail",
)  # fmt: skip
ENDINGS = ("txt", "py", "jpg", "html")
BORG = {"PATH": os.environ["PATH"], "BORG_PASSPHRASE": PASSPHRASE, "TZ": "UTC", "LANG": "C.UTF-8"}


def folders(files: int) -> Iterator[tuple[str, range]]:
    """Folders four deep, each with the numbers of the files in it: 20 on average."""
    chance, made = random.Random(7), 0
    number = 0
    while made < files:
        some = min(chance.choice((5, 10, 20, 30, 35)), files - made)
        yield (
            f"srv/{WORDS[number % 20]}-{number // 2500 % 20:02}/{WORDS[number * 7 % 20]}-{number // 50 % 50:03}/"
            f"{WORDS[number * 3 % 20]}-{number}",
            range(made, made + some),
        )
        made += some
        number += 1


def name_of(file: int) -> str:
    return f"{WORDS[file * 13 % 20]}_{WORDS[file // 20 % 20]}_{file}.{ENDINGS[file % 4]}"


# -- taking ------------------------------------------------------------------------------------------------


def made_vault(vault: Path, files: int) -> None:
    """Three archives: twice the same, then with a fiftieth of the files changed."""
    if vault.exists():
        return
    environment = BORG | {"BORG_BASE_DIR": f"{vault}.borg"}
    with tempfile.TemporaryDirectory(dir="/dev/shm") as tree:
        for folder, some in folders(files):
            os.makedirs(f"{tree}/{folder}")
            for file in some:
                Path(f"{tree}/{folder}/{name_of(file)}").write_text(f"{file % 1000}\n")

        def borg(*argv: str) -> None:
            subprocess.run(["borg", *argv], env=environment, cwd=tree, check=True)

        borg("init", "-e", "repokey-blake2", str(vault))
        for archive in ("a1", "a2"):
            borg("create", f"{vault}::{archive}", "srv")
        for folder, some in folders(files):
            for file in some:
                if file % 50 == 0:
                    Path(f"{tree}/{folder}/{name_of(file)}").write_text("changed\n")
        borg("create", f"{vault}::a3", "srv")


def listed(vault: Path) -> dict[str, str]:
    argv = ["borg", "list", "--format", "{name} {id}{NL}", str(vault)]
    environment = BORG | {"BORG_BASE_DIR": f"{vault}.borg"}
    done = subprocess.run(argv, env=environment, check=True, capture_output=True, text=True)
    return dict(line.split() for line in done.stdout.splitlines())


def alone(vault: Path, archive: str) -> float:
    """Seconds of `borg list`."""
    began = time.monotonic()
    with open("/dev/null", "wb") as nowhere:
        environment = BORG | {"BORG_BASE_DIR": f"{vault}.borg"}
        subprocess.run(["borg", "list", f"{vault}::{archive}"], env=environment, check=True, stdout=nowhere)
    return time.monotonic() - began


class Taking:
    """A store in which the archives of a vault are recorded, one after another."""

    def __init__(self, folder: Path, url: str, vault: Path) -> None:
        self.url = url
        config = (vault / "config").read_text()
        borg_id = next(line.split("=")[1].strip() for line in config.splitlines() if line.startswith("id"))
        self.cyborg = cy.Cyborg(url, key=Fernet.generate_key().decode(), state_dir=folder / "state")
        cyborg, store = self.cyborg, self.cyborg._store
        client = cyborg.clients.add(cy.Client("here", connection="local"))
        self.repository = cyborg.repositories.add(cy.Repository("disk", str(vault.parent / "{client}")))
        self.policy = cyborg.policies.add(
            cy.Policy("srv", "folders", self.repository, clients=[client], extra_vars={"folders": ["/srv"]})
        )
        self.vault = store.vaults.add(
            cy.Vault(self.repository, client, str(vault), passphrase=Secret(PASSPHRASE), borg_id=borg_id, ready=True)
        )
        store.vaults.observe(self.vault.id or 0, borg_id=borg_id, ready=True)
        store.clients.observe(client.id or 0, ready=True, access=(self.vault.id or 0,))
        self.client = client

    def record(self, ids: dict[str, str]) -> None:
        """Archives that were all pruned, as it seems: each counts from when it is taken up."""
        for name in sorted(ids):
            known = {"vault": self.vault.id or 0, "policy": self.policy.id, "client": self.client.id}
            pruned = datetime(2026, 1, 1, tzinfo=UTC)
            self.cyborg._store.archives.add(cy.Archive(name=name, borg_id=ids[name], pruned_at=pruned, **known))

    def take_up(self, name: str) -> None:
        [archive] = self.cyborg._store.archives.find(name=name)
        self.cyborg._store.archives.observe(archive.id or 0, pruned_at=None)

    def job(self) -> float:
        """Seconds of a catalog job."""
        began = time.monotonic()
        [job] = self.cyborg.finish(self.cyborg.catalog(self.repository))
        took = time.monotonic() - began
        assert job.status == "successful", (job.error, self.cyborg.output(job))
        return took

    def bytes(self) -> int:
        return size_of(self.url)


def size_of(url: str) -> int:
    """Bytes that the catalogue takes, all indexes counted; in PostgreSQL after its vacuum."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        if url.startswith("sqlite"):
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
            pages = connection.scalar(text("PRAGMA page_count")) or 0
            free = connection.scalar(text("PRAGMA freelist_count")) or 0
            size = (pages - free) * int(connection.scalar(text("PRAGMA page_size")) or 0)
        else:
            connection.execute(text("VACUUM ANALYZE"))
            tables = ("paths", "versions", "owners", "contents", "series")
            each = (f"pg_total_relation_size('cyborg_{table}')" for table in tables)
            size = connection.scalar(text(f"SELECT {' + '.join(each)}")) or 0
    engine.dispose()
    return int(size)


def peak() -> int:
    """The most memory that this process had so far, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) // 1000


def taking(options: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        vault = Path(options.vault or f"{scratch}/vault")
        made_vault(vault, options.files)
        ids = listed(vault)
        found: dict[str, Any] = {"before": peak()}
        for kind in options.databases:
            rounds = []
            for number in range(options.rounds):
                with database(kind, Path(scratch) / f"{kind}{number}") as url:
                    store = Taking(Path(scratch) / f"{kind}{number}", url, vault)
                    empty, bare = store.bytes(), alone(vault, "a1")
                    store.record(ids)
                    sizes, times = [], []
                    for archive in sorted(ids):
                        store.take_up(archive)
                        times.append(store.job())
                        sizes.append(store.bytes() - empty)
                    rounds.append({"borg list": bare, "jobs": times, "bytes": sizes, "MB": peak()})
                    print(kind, rounds[-1], flush=True)
                    store.cyborg.close()
            first = rounds[0]["bytes"]
            found[kind] = {
                "ratio": [round(one["jobs"][0] / one["borg list"], 2) for one in rounds],
                "ratio, median": round(median(one["jobs"][0] / one["borg list"] for one in rounds), 2),
                "bytes a new file": round(first[0] / options.files, 1),
                "unchanged adds": f"{(first[1] - first[0]) / first[0]:.4%}",
                "bytes a changed file": round((first[2] - first[1]) / (options.files / 50), 1)
                if len(first) > 2
                else None,
                "MB": max(one["MB"] for one in rounds),
            }
        return found


# -- asking ------------------------------------------------------------------------------------------------


def fill(cyborg: cy.Cyborg, options: argparse.Namespace) -> list[int]:
    """What so many archives leave, each of which changes a share of the files; gives the archives' ids."""
    store = cyborg._store
    client = cyborg.clients.add(cy.Client("here"))
    repository = cyborg.repositories.add(cy.Repository("disk", "borg@nas:/srv/{client}"))
    policy = cyborg.policies.add(cy.Policy("srv", "config", repository, clients=[client]))
    vault = store.vaults.add(cy.Vault(repository, client, "ssh://borg@nas/srv/here"))
    archives = [
        store.archives.add(
            cy.Archive(name=f"a{n}", borg_id=f"{n:064x}", vault=vault.id or 0, policy=policy.id, client=client.id)
        ).id or 0
        for n in range(options.archives)
    ]  # fmt: skip
    with store.transaction() as connection:
        number = connection.execute(
            insert(series).values(policy=policy.id, client=client.id, vault=vault.id, part="", stem="", old=False)
        ).inserted_primary_key[0]
        connection.execute(insert(owners).values(id=1, uid=0, gid=0, user="root", group="root"))
        for archive in archives:
            values = {"series": number, "archive": archive, "entries": options.paths, "gone": False}
            connection.execute(insert(contents).values(values))
        connection.execute(schema.archives.update().values(cataloged_at=store._database.clock()))
    chance, ids, state = random.Random(1), {"": 0}, ("-", 100, 1_764_267_000_000_000, 0o644, 1, None)
    # Over all archives each file changes so many times on average.
    changes, paths, versions = options.churn * options.archives, [], []
    for folder, some in folders(options.paths):
        parts = folder.split("/")
        for depth in range(1, len(parts) + 1):
            if (path := "/".join(parts[:depth])) not in ids:
                ids[path] = len(ids) + 10_000_000
                paths.append((ids[path], ids["/".join(parts[: depth - 1])], parts[depth - 1], None))
                versions.append((ids[path], number, BEGIN, OPEN, "d", *state[1:]))
        for file in some:
            paths.append((file + 1, ids[folder], name_of(file), None))
            times = int(changes) + (chance.random() < changes % 1)
            bounds = sorted(chance.sample(archives[1:], times))
            for first, after in zip([BEGIN, *bounds], [*bounds, OPEN], strict=True):
                last = OPEN if after == OPEN else archives[archives.index(after) - 1]
                versions.append((file + 1, number, first, last, *state[:2], state[2] + first, *state[3:]))
        if len(versions) > 50_000:
            written(cyborg, paths, versions)
            paths, versions = [], []
    written(cyborg, paths, versions)
    return archives


def written(cyborg: cy.Cyborg, paths: list[Any], versions: list[Any]) -> None:
    with cyborg._store.transaction() as connection:
        bulk.write(connection, bulk.PATHS, paths)
        bulk.write(connection, bulk.VERSIONS, versions)


def timed(ask: Callable[[], object], times: list[float]) -> object:
    began = time.perf_counter()
    found = ask()
    times.append((time.perf_counter() - began) * 1000)
    return found


def asking(options: argparse.Namespace) -> dict[str, Any]:
    found = {}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        for kind in options.databases:
            with (
                database(kind, Path(scratch) / kind) as url,
                cy.Cyborg(url, key=Fernet.generate_key().decode()) as cyborg,
            ):
                archives = fill(cyborg, options)
                size = size_of(url)
                known = [folder for folder, _ in folders(options.paths)]
                chance, times = random.Random(3), {name: [] for name in ("browse", "search", "versions")}
                for _ in range(options.questions):
                    folder, archive = chance.choice(known), chance.choice(archives)
                    above = "/".join(folder.split("/")[: chance.choice((1, 2, 3, 4, 4, 4))])
                    entries = timed(lambda f=above, a=archive: cyborg.browse(a, f), times["browse"])
                    assert entries
                    name = name_of(chance.randrange(options.paths))
                    at = chance.randrange(len(name) - 3)
                    wanted = name[at : at + chance.randrange(3, 12)]
                    wanted = wanted + "zq" if chance.random() < 0.2 else wanted
                    timed(lambda w=wanted: cyborg.search(w), times["search"])
                    timed(lambda f=folder: cyborg.versions("here", f), times["versions"])
                began = time.perf_counter()
                changes = sum(1 for _ in cyborg.diff(archives[-2], archives[-1]))
                took = time.perf_counter() - began
                found[kind] = {
                    name: {"median ms": round(median(some), 1), "95th ms": round(quantiles(some, n=20)[-1], 1)}
                    for name, some in times.items()
                } | {"diff": f"{changes} changes in {took:.1f} s", "MB of database": size // 10**6}
                print(kind, found[kind], flush=True)
    return found


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "sqlite":
        yield f"sqlite:///{folder}/cyborg.db"
        shutil.rmtree(folder)
        return
    server = PostgreSQL()
    try:
        yield server.database()
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["taking", "asking"])
    parser.add_argument("--files", "--paths", dest="files", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vault")
    parser.add_argument("--archives", type=int, default=100)
    parser.add_argument("--churn", type=float, default=0.02)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--databases", nargs="+", choices=["sqlite", "postgresql"], default=["sqlite", "postgresql"])
    options = parser.parse_args()
    options.paths = options.files
    found = taking(options) if options.what == "taking" else asking(options)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
