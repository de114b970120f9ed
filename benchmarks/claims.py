"""How long a claim takes with a long queue and a long history: 100 000 jobs pending, 1 000 000 finished.

    python -m benchmarks.claims [--pending 100000] [--finished 1000000] [--claims 2000] [--only sqlite|postgresql]

12 000 clients, each with a vault and several policies whose backups are pending at once, so that jobs wait for a key
that another holds. An engine has 20 at work; each time one ends, the next is claimed, which is measured: from the call
to the committed claim with the job read. Then the tick over 12 policies of 1000 clients each, with nothing due and with
all of them due.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Column, Integer, String, cast, insert, literal, select, text

import cyborglib as cy
from cyborglib.sealing import Sealer
from cyborglib.store import Store, schema
from cyborglib.testing import FakeExecutor, FixedClock
from tests.lab.postgresql import PostgreSQL

CLIENTS, AT_WORK, LEASE = 12_000, 20, 60
NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def numbers(count: int):
    """A table of the numbers from 0, made by the database."""
    recursive = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :most) SELECT i FROM n"
    return text(recursive).bindparams(most=count - 1).columns(Column("i", Integer)).subquery("numbers")


def fill(store: Store, pending: int, finished: int) -> None:
    """The queue and its history, without the long way through the verbs."""
    jobs = schema.jobs.c
    with store.transaction() as connection:
        for status, count in (("successful", finished), ("pending", pending)):
            n = numbers(count)
            client = n.c.i % CLIENTS + 1
            values = {
                jobs.kind: literal("backup", jobs.kind.type),
                jobs.status: literal(status, jobs.status.type),
                jobs.policy: (n.c.i - n.c.i % CLIENTS) // CLIENTS + 1,
                jobs.client: client,
                jobs.repository: literal(1),
                jobs.vault: client,
                jobs.launched_by: literal("schedule"),
                jobs.attempt: literal(0 if status == "pending" else 1),
                jobs.attempts: literal(3),
                jobs.timeout: literal(86400),
                jobs.created_at: literal(NOW, jobs.created_at.type),
                jobs.ended_at: literal(None if status == "pending" else NOW, jobs.ended_at.type),
                jobs.cancel_requested: literal(False),
                jobs.reason: literal(""),
                jobs.warnings: literal((), jobs.warnings.type),
                jobs.policy_name: literal("etc"),
                jobs.client_name: "web" + cast(client, String),
                jobs.repository_name: literal("vault"),
                jobs.fence: literal(0),
                jobs.parked: literal("" if status == "pending" else None),
            }
            columns = [column.name for column in values]
            connection.execute(insert(schema.jobs).from_select(columns, select(*values.values())))
        keys = schema.job_keys.c
        for kind in ("client", "vault"):
            name = kind + ":" + cast(jobs.client, String)
            wanted = select(jobs.id, name, literal(True)).where(text("status = 'pending'"))
            connection.execute(insert(schema.job_keys).from_select([keys.job, keys.key, keys.exclusive], wanted))
    with store.transaction() as connection:
        connection.execute(text("ANALYZE"))


def claims(store: Store, count: int) -> tuple[list[float], list[float]]:
    """Seconds of each claim: of the first, which finds 20 places free, and of those for the place of one that ended."""
    first, steady = [], []
    held = []
    for n in range(count):
        limit = AT_WORK - len(held)
        began = time.perf_counter()
        got = store.jobs.claim("bench", limit=limit, now=NOW, lease=LEASE)
        (first if n == 0 else steady).append(time.perf_counter() - began)
        assert len(got) == limit
        held += got
        done = held.pop(0)
        store.jobs.started(done.job.id or 0, done.fence)
        store.jobs.succeed(done.job.id or 0, done.fence)
    return first, steady


def tick(bind: str) -> tuple[float, float]:
    """Seconds of a tick over 12 000 policies: with nothing due, and with all of them due."""
    clock = FixedClock(NOW)
    with cy.Cyborg(bind, key=Sealer.generate_key(), executor=FakeExecutor(), clock=clock) as cyborg:
        repository = cyborg.repositories.add(cy.Repository("vault", "borg@nas:/srv/borg/{client}"))
        night = cyborg.schedules.add(cy.Schedule("nightly", "0 2 * * *"))
        clients = [cyborg.clients.add(cy.Client(f"web{n}")) for n in range(CLIENTS)]
        for start in range(0, CLIENTS, 1000):
            cyborg.policies.add(
                cy.Policy(f"etc{start}", type="config", repository=repository, schedule=night,
                          clients=clients[start : start + 1000])
            )  # fmt: skip
        began = time.perf_counter()
        assert cyborg.tick() == []
        nothing = time.perf_counter() - began
        clock.forward(days=1)
        began = time.perf_counter()
        assert len(cyborg.tick()) == CLIENTS
        return nothing, time.perf_counter() - began


@contextmanager
def databases(only: str | None) -> Iterator[dict[str, Callable[[], str]]]:
    """Makers of URLs of empty databases."""
    with tempfile.TemporaryDirectory(prefix="cyborglib-claims-") as folder:
        count = iter(range(9))
        found = {"sqlite": lambda: f"sqlite:///{Path(folder)}/{next(count)}.db"}
        server = None
        if only != "sqlite":
            server = PostgreSQL()
            found["postgresql"] = server.database
        try:
            yield {name: make for name, make in found.items() if only in (None, name)}
        finally:
            if server is not None:
                server.close()


def at(share: float, values: list[float]) -> float:
    """A percentile, in ms."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pending", type=int, default=100_000)
    parser.add_argument("--finished", type=int, default=1_000_000)
    parser.add_argument("--claims", type=int, default=2000)
    parser.add_argument("--only", choices=("sqlite", "postgresql"))
    parser.add_argument("--no-tick", action="store_true")
    given = parser.parse_args()
    print("| database | first 20, ms | claim, ms: median | 95 % | 99 % | worst | tick, s: nothing due | 12 000 due |")
    print("|---|---|---|---|---|---|---|---|")
    with databases(given.only) as urls:
        for name, make in urls.items():
            store = Store(make(), key=Sealer([Sealer.generate_key()]), clock=lambda: NOW)
            fill(store, given.pending, given.finished)
            first, steady = claims(store, given.claims)
            store.close()
            ticks = ("", "") if given.no_tick else tuple(f"{seconds:.2f}" for seconds in tick(make()))
            print(
                f"| {name} | {first[0] * 1000:.1f} | {statistics.median(steady) * 1000:.2f} "
                f"| **{at(0.95, steady):.2f}** | {at(0.99, steady):.2f} | {max(steady) * 1000:.1f} "
                f"| {ticks[0]} | {ticks[1]} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
