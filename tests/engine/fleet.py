"""A fleet to work with, an executor that a test drives by hand, and a thread that works meanwhile."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import attrs

import cyborglib as cy
from cyborglib import launching
from cyborglib.executor import ArchiveMade, Control, HostRun, Run

#: Seconds after which a test that waits for something has failed: long, as the machine may be busy.
LONG = 150.0


class Fleet:
    """Some clients, a repository and a policy, and everything that was told."""

    def __init__(self, cyborg: cy.Cyborg, clients: int = 1, **policy: object) -> None:
        self.cyborg = cyborg
        cyborg.settings = attrs.evolve(cyborg.settings, retry_delays=(0,))
        self.clients = [cyborg.clients.add(cy.Client(f"web{n}")) for n in range(1, clients + 1)]
        self.repository = cyborg.repositories.add(cy.Repository("vault", "borg@nas:/srv/borg/{client}"))
        self.policy = self.add_policy("etc", **policy)
        self.told: list[cy.Event] = []
        cyborg.on(cy.Event)(self.told.append)

    def add_policy(self, name: str, **more: object) -> cy.Policy:
        values = {"type": "config", "repository": self.repository, "clients": self.clients} | more
        return self.cyborg.policies.add(cy.Policy(name, **values))  # type: ignore[arg-type]

    def ready(self) -> Fleet:
        """As if everything had been prepared, so that a launch is a backup and its listing."""
        store = self.cyborg._store
        for client in self.clients:
            vault = launching.vault_of(store, self.repository, client, self.cyborg._clock())
            store.vaults.observe(vault.id, ready=True, borg_id=f"{vault.id:064x}")
            store.clients.observe(client.id, ready=True, access=(vault.id,))
        return self

    def set(self, **settings: object) -> None:
        self.cyborg.settings = attrs.evolve(self.cyborg.settings, **settings)

    def of(self, job: cy.Job | int) -> list[str]:
        """The names of the events of one job, in order."""
        number = job if isinstance(job, int) else job.id
        mine = [event for event in self.told if isinstance(event, cy.JobEvent) and event.job.id == number]
        return [type(event).__name__ for event in mine]

    def statuses(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for job in self.cyborg.jobs:
            found[job.status.value] = found.get(job.status.value, 0) + 1
        return found

    def kind(self, kind: str) -> list[cy.Job]:
        return self.cyborg.jobs.find(kind=kind)


def sql(cyborg: cy.Cyborg, statement: str) -> list[Any]:
    with cyborg._store.transaction() as connection:
        done = connection.exec_driver_sql(statement)
        return list(done.all()) if done.returns_rows else []


def assert_settled(cyborg: cy.Cyborg) -> None:
    """Nothing is left over: no row unfinished, nothing held, nothing owned."""
    assert {job.id: job.status for job in cyborg.jobs if not job.finished} == {}
    assert sql(cyborg, "SELECT * FROM cyborg_holds") == []
    assert sql(cyborg, "SELECT * FROM cyborg_job_keys") == []
    assert sql(cyborg, "SELECT id FROM cyborg_jobs WHERE owner IS NOT NULL OR lease_until IS NOT NULL") == []
    assert cyborg._engine.busy == 0


def let_leases_pass(cyborg: cy.Cyborg) -> None:
    """As if the engines of all jobs at work had been silent for a day."""
    sql(cyborg, "UPDATE cyborg_jobs SET lease_until = lease_until - 86400000 WHERE lease_until IS NOT NULL")


class Given:
    """A run that stands still until the test lets it end."""

    def __init__(self, run: Run, control: Control) -> None:
        self.run = run
        self.control = control
        self.problem: BaseException | None = None
        self._over = threading.Event()

    @property
    def jobs(self) -> list[int]:
        return [host.job for host in self.run.hosts]

    @property
    def host(self) -> HostRun:
        (host,) = self.run.hosts
        return host

    def start(self) -> Given:
        for job in self.jobs:
            self.control.started(job)
        return self

    def succeed(self) -> Given:
        """Every backup of the run made its archive."""
        for host in self.run.hosts:
            assert self.control.ended(host.job, made(host))
        return self

    def lose(self, *, gone: bool) -> Given:
        """The host knows nothing of the jobs any more; or (not `gone`) it cannot be asked."""
        for job in self.jobs:
            error = cy.JobError("lost", "it was restarted" if gone else "no route to it")
            assert not self.control.ended(job, cy.Outcome(error=error, gone=gone)), "nobody may forget it yet"
        return self

    def find(self, *names: str, missing: tuple[str, ...] = ()) -> Given:
        """It is a look into the vault, and these archives are there."""
        assert self.run.playbook == "recover"
        found = [
            {"name": name, "id": f"{number:064x}", "files": 3, "bytes": 1000, "missing": list(missing)}
            for number, name in enumerate(names, 0xAA)
        ]
        assert self.control.ended(self.host.job, cy.Outcome(facts={"found": found}))
        return self

    def leave(self, problem: BaseException | None = None) -> None:
        """Let `execute` return, or raise."""
        self.problem = problem
        self._over.set()

    def stand(self) -> None:
        assert self._over.wait(LONG), "the test forgot this run"
        if self.problem is not None:
            raise self.problem


class ByHand:
    """An executor that hands each run to the test: `given = executor.next()`."""

    def __init__(self) -> None:
        self._given: SimpleQueue[Given] = SimpleQueue()
        self._open: list[Given] = []
        self.closed = 0

    def execute(self, run: Run, control: Control) -> None:
        given = Given(run, control)
        self._open.append(given)
        self._given.put(given)
        given.stand()

    def next(self) -> Given:
        return self._given.get(timeout=LONG)

    @property
    def idle(self) -> bool:
        return self._given.empty()

    def close(self) -> None:
        self.closed += 1
        for given in self._open:
            given.leave()


def made(host: HostRun, borg_id: str = "") -> cy.Outcome:
    """That a backup made the archive it was told to make."""
    name = str(host.variables["borg_archive"])
    stats = cy.Stats(files=3, original_bytes=1000)
    borg_id = borg_id or f"{host.job:064x}"
    return cy.Outcome(archives=(ArchiveMade(name=name, borg_id=borg_id, stats=stats),), stats=stats)


class Meanwhile:
    """A call in a thread of its own: `with Meanwhile(cyborg.serve): …`; joined at the end, its error raised there."""

    def __init__(self, call: Callable[[], object]) -> None:
        self.result: object = None
        self.problem: BaseException | None = None
        self._call = call
        self._thread = threading.Thread(target=self._do, daemon=True)

    def _do(self) -> None:
        try:
            self.result = self._call()
        except BaseException as problem:
            self.problem = problem

    def __enter__(self) -> Meanwhile:
        self._thread.start()
        return self

    @property
    def over(self) -> bool:
        return not self._thread.is_alive()

    def join(self) -> object:
        self._thread.join(LONG)
        assert self.over, "it does not end"
        if self.problem is not None:
            raise self.problem
        return self.result

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.join()


def until(condition: Callable[[], object], what: str = "") -> None:
    """Wait for something that comes soon; the test fails if it does not."""
    waiting = threading.Event()
    for _ in range(int(LONG / 0.01)):
        if condition():
            return
        waiting.wait(0.01)
    raise AssertionError(f"it did not come: {what or condition}")
