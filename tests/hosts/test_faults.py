"""Whatever is killed while a backup is at work: it ends as what it is, nothing is left, and the next one goes well."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import cyborglib as cy
from tests.conftest import HostFactory
from tests.hosts.faults import KINDS, MOMENTS, QUESTIONS, WHEN, Faulty, assert_settled, on_a_server, there

pytestmark = [pytest.mark.hosts, pytest.mark.timeout(1800)]

#: The short list: each sort of process, in the middle of its work.
SHORT = (
    "engine", "ansible-playbook", "ansible's worker", "ssh", "borg", "supervisor", "client", "repository's host",
    "database server",
)  # fmt: skip


@pytest.fixture
def faulty(tmp_path: Path, host_factory: HostFactory) -> Iterator[Faulty]:
    """A fleet on a database server of its own."""
    with on_a_server(tmp_path, host_factory) as (fleet, server):
        yield Faulty(fleet, server)


def test_each_sort_of_process_killed_in_the_middle(faulty: Faulty) -> None:
    # The moments are all that a backup tells; of its progress nothing may come where there is so little.
    assert faulty.heard - QUESTIONS | {"progress"} == set(MOMENTS)
    for what in SHORT:
        faulty.killing(what, "progress", "after")


@pytest.mark.faults
@pytest.mark.parametrize("what", KINDS)
def test_killed_at_every_moment(faulty: Faulty, what: str) -> None:
    for moment in MOMENTS:
        for when in WHEN:
            faulty.killing(what, moment, when)


def test_an_engine_that_stands_still_beyond_its_lease(faulty: Faulty) -> None:
    """Another engine follows its Borg and starts none; when it goes on, what it writes is refused."""
    fleet, job = faulty.fleet, faulty.launch()
    fleet.cyborg.close()
    argv = [fleet.url, fleet.folder / "seal.key", fleet.folder / "state", "none"]
    with subprocess.Popen([sys.executable, "-m", "tests.hosts.killed", *argv]) as first:
        fleet.open()
        deadline = time.monotonic() + 60
        while not there(faulty.web1, "borg", "create"):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        os.kill(first.pid, signal.SIGSTOP)
        [borg] = [pid for pid in there(faulty.web1, "borg", "create") if "python" not in str(pid)]
        seen: set[int] = set()
        fleet.cyborg.on(cy.Event)(lambda _event: seen.update(there(faulty.web1, "borg", "create")))
        fleet.cyborg.work()
        found = fleet.cyborg.jobs.get(job.id)
        assert (found.status, found.attempt) == ("successful", 1), fleet.said()
        assert seen <= {borg}, "a second Borg beside the first"
        os.kill(first.pid, signal.SIGCONT)
        assert first.wait(60) == 0
    assert fleet.cyborg.jobs.get(job.id) == found, "what the first engine says of it no longer counts"
    assert len(fleet.cyborg.archives.find(job=job.id)) == 1
    assert_settled(fleet)
