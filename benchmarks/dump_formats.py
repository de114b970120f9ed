"""What a second and a third day of a PostgreSQL database cost in a vault, by the dump's format. Run as root.

    python benchmarks/dump_formats.py [--megabytes 500]

A server of its own (Debian's programs, a temporary folder) holds orders, customers and events. Each day one row in a
hundred is changed, and a few hundred come in. Each format has a vault of its own for each way of cutting (Borg's
chunker); Borg compresses as the library does by default (zstd,3).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.postgresql import PostgreSQL

FORMATS = {
    "plain": ["--format=plain"],
    "custom, compressed (the default)": ["--format=custom"],
    "custom, -Z0": ["--format=custom", "--compress=0"],
    "tar": ["--format=tar"],
}
#: How Borg cuts: by its own default, which is ours (pieces of 2 MiB), and finer.
CHUNKERS = {"2 MiB": "buzhash,19,23,21,4095", "128 KiB": "buzhash,14,23,17,4095"}
WORDS = [
    "amber", "anchor", "autumn", "basket", "beacon", "bridge", "candle", "canyon", "cellar",
    "copper", "cotton", "desert", "dinner", "engine", "falcon", "feather", "forest", "garden",
    "ginger", "hammer", "harbor", "island", "jacket", "kettle", "ladder", "lantern", "market",
    "meadow", "mirror", "needle", "orchard", "paper", "pepper", "pillow", "planet", "pocket",
    "rabbit", "ribbon", "river", "saddle", "silver", "simple", "summer", "temple", "thunder",
    "timber", "travel", "tunnel", "valley", "velvet", "village", "violin", "walnut", "window",
    "winter", "wonder", "yellow", "zipper",
]  # fmt: skip
SCHEMA = f"""
    create function words(n int) returns text language sql volatile as $$
        select string_agg((array{WORDS!r})[1 + floor(random() * {len(WORDS)})::int], ' ') from generate_series(1, n) $$;
    create table customers (id serial primary key, name text, email text, city text, since timestamptz);
    create table orders (id bigserial primary key, customer int, status text, amount numeric(10, 2), placed timestamptz,
        changed timestamptz, note text);
    create table events (id bigserial primary key, at timestamptz, kind text, body jsonb);
    create index on orders (customer);
    create index on events (at);
"""
#: One unit is about a megabyte of the database's size.
FILL = """
    insert into customers (name, email, city, since) select words(2), md5(random()::text) || '@example.org', words(1),
        timestamptz '2020-01-01' + random() * interval '1000 days' from generate_series(1, 200 * :units);
    insert into orders (customer, status, amount, placed, changed, note) select 1 + floor(random() * 200 * :units),
        (array['new', 'paid', 'sent', 'back'])[1 + floor(random() * 4)], random() * 1000,
        timestamptz '2022-01-01' + n * interval '40 seconds', timestamptz '2022-01-02' + n * interval '40 seconds',
        words(4 + (n %% 20)::int) from generate_series(1, 2400 * :units) n;
    insert into events (at, kind, body) select timestamptz '2022-01-01' + n * interval '60 seconds', words(1),
        jsonb_build_object('who', floor(random() * 1e6), 'what', words(3), 'key', md5(random()::text))
        from generate_series(1, 1600 * :units) n;
""".replace("%%", "%")
#: A day: which rows change.
SPREAD = """
    update orders set status = 'sent', changed = now(), amount = amount + 1 where random() < 0.01;
    update customers set city = words(1) where random() < 0.01;
    update events set kind = words(1) where random() < 0.01;
"""
#: As many rows, but neighbours: what came in together changes together.
NEIGHBOURS = """
    update orders set status = 'sent', changed = now(), amount = amount + 1 where id / 2400 %% 100 = :day;
    update customers set city = words(1) where id / 200 %% 100 = :day;
    update events set kind = words(1) where id / 1600 %% 100 = :day;
""".replace("%%", "%")
COMES_IN = """
    insert into orders (customer, status, amount, placed, changed, note)
        select 1, 'new', random() * 1000, now(), now(), words(12) from generate_series(1, 500);
"""


class Bench:
    """A database, and a vault for each format and chunker."""

    def __init__(self, server: PostgreSQL, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.name = server.database().partition("@/")[2].partition("?")[0]
        self.reach = ["-h", str(server.folder), "-U", server.user, "-d", self.name]

    def sql(self, text: str, **variables: int) -> str:
        """Run statements, each committed by itself."""
        given = [word for name, value in variables.items() for word in ("-v", f"{name}={value}")]
        argv = ["psql", *self.reach, "-v", "ON_ERROR_STOP=1", "-XqAt", *given]
        return subprocess.run(argv, input=text, text=True, capture_output=True, check=True).stdout.strip()

    def dump(self, kind: str, chunker: str, day: int) -> dict[str, float]:
        """One day's archive; what it cost."""
        vault = self.folder / f"{kind}-{chunker}".replace(" ", "_").replace("/", "_")
        env = {
            "PATH": os.environ["PATH"], "BORG_PASSPHRASE": "x", "BORG_BASE_DIR": str(self.folder / "borg"),
            "LANG": "C.UTF-8",
        }  # fmt: skip
        if day == 1:
            subprocess.run(
                ["borg", "init", "-e", "repokey-blake2", str(vault)], env=env, check=True, capture_output=True
            )
        began = time.monotonic()
        argv = [
            "borg", "create", "--json", "--compression=zstd,3", f"--chunker-params={CHUNKERS[chunker]}",
            "--stdin-name=dump", "--content-from-command", "--", f"{vault}::day{day}",
        ]  # fmt: skip
        done = subprocess.run(
            [*argv, "pg_dump", *self.reach, *FORMATS[kind]], env=env, check=True, capture_output=True, text=True
        )
        stats = json.loads(done.stdout)["archive"]["stats"]
        seconds = time.monotonic() - began
        return {"original": stats["original_size"], "new": stats["deduplicated_size"], "seconds": seconds}


def days(bench: Bench, units: int, change: str, chunkers: list[str]) -> Iterator[str]:
    """Three days; a line of a table for each way."""
    bench.sql(SCHEMA + "select setseed(0.42);" + FILL + "vacuum analyze;", units=units)
    size = int(bench.sql("select pg_database_size(current_database())"))
    yield f"Database: {size / 1e6:.0f} MB"
    figures: dict[tuple[str, str], list[dict[str, float]]] = {}
    for day in (1, 2, 3):
        if day > 1:
            bench.sql(f"select setseed(0.{day});" + change + COMES_IN + "vacuum;", day=day)
        for kind in FORMATS:
            for chunker in chunkers:
                figures.setdefault((kind, chunker), []).append(bench.dump(kind, chunker, day))
    yield "| format | pieces | dump MB | first day MB | second day MB | third day MB | s |"
    yield "|---|---|---|---|---|---|---|"
    for (kind, chunker), (first, *later) in figures.items():
        costs = " | ".join(f"{one['new'] / 1e6:.1f}" for one in (first, *later))
        took = sorted(one["seconds"] for one in (first, *later))[1]
        yield f"| {kind} | {chunker} | {first['original'] / 1e6:.0f} | {costs} | {took:.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500)
    asked = parser.parse_args()
    server = PostgreSQL()
    try:
        for name, change in (("changes spread evenly", SPREAD), ("changes among neighbours", NEIGHBOURS)):
            with tempfile.TemporaryDirectory(prefix="cyborglib-formats-") as folder:
                print(f"\n{name}")
                for line in days(Bench(server, Path(folder)), asked.megabytes, change, list(CHUNKERS)):
                    print(line, flush=True)
    finally:
        server.close()


if __name__ == "__main__":
    main()
