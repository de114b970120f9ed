"""Whatever is killed while archives are deleted or their space is freed: no archive that stays is lost, no alarm."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import evolve

import cyborglib as cy
from tests.conftest import HostFactory
from tests.hosts import killed
from tests.hosts.conftest import Fleet
from tests.hosts.faults import (
    assert_settled,
    kill_engine,
    on_a_server,
    ours,
    restart,
    restart_server,
    shot,
    there,
    words,
)
from tests.hosts.test_upkeep import another_day, backed_up, done, names
from tests.hosts.trees import compare
from tests.lab.postgresql import PostgreSQL

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(1800)]


class Aging:
    """A vault that grows older by a day before each prune, so that there is always one archive to delete."""

    def __init__(self, fleet: Fleet, server: PostgreSQL) -> None:
        self.fleet, self.server = fleet, server
        #: Set while no job is at work in which something is to be killed.
        self.over = threading.Event()
        self.policy = backed_up(fleet, 2)
        settings = fleet.cyborg.settings
        fleet.cyborg.settings = evolve(settings, lease=5, retry_delays=(1, 2), lock_wait=60, compact_after=0)
        self.nas = fleet.hosts["nas"]

    def killing(self, kind: str, what: str, moment: str, when: str) -> None:
        """A prune or compact in which something is killed; then another one, after which all is as it should be."""
        fleet, cyborg = self.fleet, self.fleet.cyborg
        case = f"{kind}: {what} {when} {moment}"
        newest = another_day(fleet, self.policy)
        plan = cyborg.prune_plan(self.policy)
        kept = sorted(verdict.archive.name for verdict in plan if verdict.keep)
        assert (len(kept), len(plan)) == (2, 3), case
        if kind == "compact":
            assert self.upkeep("prune").status == "successful", fleet.said()
        [job] = self.queue(kind)
        if what == "engine":
            kill_engine(fleet, f"{kind}/{moment}/{when}")
        else:
            shots: list[int] = []
            self.over.clear()
            undo = killed.at(moment, when, lambda: shots.append(len(KINDS[what](self))), kind=kind)
            try:
                cyborg.work()
            finally:
                self.over.set()
                undo()
            assert shots, f"{case}: it never came"
            assert shots[0] > 0, f"{case}: there was nothing to kill"
        cyborg = fleet.cyborg
        job = cyborg.jobs.get(job.id)
        assert job.finished, case
        if job.status != "successful":
            # It says what it came to, and a person or the next one by schedule does the rest.
            assert job.status == "failed", f"{case}: {job.error or job.reason} {fleet.said()}"
            again = self.upkeep(kind)
            whole = again.status == "skipped" and "keeps all that is there" in again.reason
            assert whole or again.status == "successful", f"{case}: {fleet.said()}"
        assert names(fleet) == kept, case
        assert [event for event in fleet.told if isinstance(event, cy.VaultSuspected)] == [], case
        assert all(archive.missing_at is None for archive in cyborg.archives if archive.pruned_at is None), case
        assert_settled(fleet)
        assert list((self.nas.root / "var/lib/cyborg/closed").iterdir()) == [], f"{case}: the vault is closed"
        back = fleet.folder / f"back-{newest.id}"
        assert fleet.restore(newest, destination=back).status == "successful", f"{case}: {fleet.said()}"
        compare(fleet.hosts["web1"].root / "srv/data", back / "srv/data")

    def queue(self, kind: str) -> list[cy.Job]:
        cyborg = self.fleet.cyborg
        return cyborg.prune(self.policy) if kind == "prune" else cyborg.compact("vault")

    def upkeep(self, kind: str) -> cy.Job:
        return done(self.fleet, self.queue(kind))


def soon(it: Aging, find: Callable[[], list[int]]) -> list[int]:
    """Kill what will be there until the job is over: gives at once, as who waits for that holds up what is to come."""

    def watch() -> None:
        while not it.over.is_set():
            if pids := find():
                shot(pids)
                return
            time.sleep(0.005)

    threading.Thread(target=watch, daemon=True).start()
    return [1]


def deleting(it: Aging) -> list[int]:
    """The Borg on the controller that deletes in this fleet's vault, or frees there."""
    [vault] = it.fleet.cyborg.vaults
    found = []
    for pid in map(int, filter(str.isdigit, (entry.name for entry in Path("/proc").iterdir()))):
        argv = words(pid)
        if "borg" in " ".join(argv[:2]) and {"delete", "compact"} & set(argv):
            with suppress(OSError):
                environment = Path(f"/proc/{pid}/environ").read_bytes()
                if vault.location.encode() in environment or it.nas.name.encode() in environment:
                    found.append(pid)
    return found


def shooting(pids: list[int]) -> list[int]:
    shot(pids)
    return pids


#: What is killed: gives what was found. The engine is a process of its own then.
KINDS: dict[str, Callable[[Aging], list[int]]] = {
    "engine": lambda it: [],
    "ansible-playbook": lambda it: shooting(ours("waiting_playbook")),
    "borg": lambda it: soon(it, lambda: [*deleting(it), *there(it.nas, "borg", "compact")]),
    "borg serve": lambda it: soon(it, lambda: there(it.nas, "borg", "serve")),
    "repository's host": lambda it: restart(it.nas) or [1],  # type: ignore[func-returns-value]
    "database server": lambda it: restart_server(it.server) or [1],  # type: ignore[func-returns-value]
}


@pytest.fixture
def aging(tmp_path: Path, host_factory: HostFactory) -> Iterator[Aging]:
    """A vault of some days, in a database on a server of its own."""
    with on_a_server(tmp_path, host_factory) as (fleet, server):
        yield Aging(fleet, server)


def test_a_prune_killed_in_the_middle(aging: Aging) -> None:
    aging.killing("prune", "borg", "deciding", "before")


@pytest.mark.faults
@pytest.mark.parametrize("what", KINDS)
def test_killed_at_every_moment(aging: Aging, what: str) -> None:
    for kind in ("prune", "compact"):
        for moment, when in (("started", "after"), ("deciding", "before"), ("deciding", "after"), ("ended", "before")):
            aging.killing(kind, what, moment, when)
