"""An engine that is killed while a policy's prehook is at work, or after it: what was quieted is let go again."""

from __future__ import annotations

import signal
import subprocess
import sys

import attrs
import pytest

import cyborglib as cy
from tests.hosts import killed
from tests.hosts.conftest import Fleet

pytestmark = [pytest.mark.hosts, pytest.mark.usefixtures("unlisted")]

PRE = "echo before >> /root/hooks; sleep 15; echo quiet >> /root/hooks"
POST = 'echo "$CYBORG_OUTCOME" >> /root/hooks'


def die(fleet: Fleet) -> None:
    """An engine takes the queue up, and is killed when the first backup has begun."""
    fleet.cyborg.settings = attrs.evolve(fleet.cyborg.settings, lease=5)
    fleet.cyborg.close()
    argv = [f"sqlite:///{fleet.database}", fleet.folder / "seal.key", fleet.folder / "state", killed.BEGUN]
    done = subprocess.run([sys.executable, "-m", "tests.hosts.killed", *argv], timeout=240)
    assert done.returncode == -signal.SIGKILL
    fleet.open()


def test_the_next_engine_waits_for_the_prehook_and_makes_the_backup(fleet: Fleet) -> None:
    client, vault = fleet.client("web1"), fleet.repository()
    host = fleet.hosts["web1"]
    for kind, variables in (("piped", {"command": "cat /root/hooks"}), ("folders", {"folders": ["/root"]})):
        host.run(["rm", "-f", "/root/hooks"])
        policy = fleet.cyborg.policies.add(
            cy.Policy(kind, kind, vault, clients=[client], extra_vars=variables, retries=0, prehook=PRE, posthook=POST)
        )
        [job] = fleet.cyborg.launch(policy)
        die(fleet)
        assert host.read("/root/hooks") == b"before\n"
        fleet.cyborg.work()
        job = fleet.cyborg.jobs.get(job.id)
        assert (job.status, job.attempt) == ("successful", 1), fleet.said()
        assert host.read("/root/hooks") == b"before\nquiet\nsuccessful\n"


def test_a_cancel_that_comes_with_the_next_engine_ends_what_is_at_work(fleet: Fleet) -> None:
    client, vault = fleet.client("web1"), fleet.repository()
    host = fleet.hosts["web1"]
    policy = fleet.cyborg.policies.add(
        cy.Policy("piped", "piped", vault, clients=[client], extra_vars={"command": "exec -a canary sleep 600"},
                  retries=0, posthook=POST)
    )  # fmt: skip
    [job] = fleet.cyborg.launch(policy)
    die(fleet)
    fleet.cyborg.cancel(job)
    fleet.cyborg.work()
    job = fleet.cyborg.jobs.get(job.id)
    assert job.status == "canceled", fleet.said()
    assert host.read("/root/hooks") == b"canceled\n"
    assert "canary" not in host.run(["ps", "-eo", "args"]).stdout
