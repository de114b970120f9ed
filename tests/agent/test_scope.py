"""The scope of systemd, which this machine need not have: the argv, and the way through a stand-in for systemd-run."""

import os
import sys
import time

import pytest

from .test_cancel import lives

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="only root's jobs get a scope")

#: Like the real one it takes the place of its own process: same pid, same open files.
STAND_IN = """#!/bin/sh
printf '%s\\n' "$@" > {place}/argv
while [ "$1" != -- ]; do shift; done; shift
exec "$@"
"""


def booted(place, script):
    """A patch that makes the agent believe in a systemd whose systemd-run is this script."""
    (place / "bin").mkdir()
    program = place / "bin" / "systemd-run"
    program.write_text(script.replace("{place}", str(place)))
    program.chmod(0o755)
    old = """    if os.getuid() != 0 or not os.path.isdir(BOOTED):
        return None
    for folder in to_text(PATH).split(":"):
"""
    return old, f"    for folder in ['{place}/bin']:\n"


def test_the_job_goes_through_systemd_run(target, place):
    patch = booted(place, STAND_IN)
    canary = "canary-" + "x" * 100_000
    reply = target.do(
        "start", "42.1", patch=patch, argv=["sh", "-c", "cat /proc/self/fd/$S | wc -c; echo done >&2; sleep 0.3"],
        secrets={"S": canary}, scope={"CPUWeight": 50, "IOWeight": 20}, follow={"wait": 60, "quiet": 60},
    )
    assert reply["started"] is True
    assert reply["lines"][-1] == "done"
    assert reply["result"]["rc"] == 0
    assert reply["result"]["out"] == f"{len(canary)}\n"
    assert (place / "argv").read_text().splitlines() == [
        "--scope", "--collect", "--quiet", "--unit=cyborg-42.1", "--property=CPUWeight=50", "--property=IOWeight=20",
        "--", sys.executable, "-I", "-S", "-",
    ]
    assert target.do("forget", "42.1")["forgotten"] is True


def test_a_job_in_a_scope_can_be_canceled(target, place):
    target.do("start", "1.1", patch=booted(place, STAND_IN), argv=["sleep", "300"], follow=None)
    target.wait_for("1.1", "running")
    supervisor, command = map(int, (target.folder("1.1") / "pid").read_text().split())
    with open(f"/proc/{supervisor}/cmdline") as file:
        assert file.read().split("\0")[1:] == ["-I", "-S", "-", ""]
    assert not [fd for fd in os.listdir(f"/proc/{command}/fd") if "cyborg" in os.readlink(f"/proc/{command}/fd/{fd}")
                and not os.readlink(f"/proc/{command}/fd/{fd}").endswith("/lock")]
    assert target.do("cancel", "1.1")["result"]["canceled"] is True
    assert not lives(command)


@pytest.mark.parametrize("script", ["#!/bin/sh\nexit 1\n", "#!/no/such/interpreter\n", "#!/bin/sh\ncat >/dev/null\n"])
def test_without_success_of_systemd_run_the_job_starts_all_the_same(target, place, script):
    began = time.monotonic()
    reply = target.do(
        "start", "1.1", patch=booted(place, script), argv=["echo", "x"], follow={"wait": 60, "quiet": 60}
    )
    assert time.monotonic() - began < 15
    assert (reply["started"], reply["result"]["rc"], reply["result"]["out"]) == (True, 0, "x\n")


@pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="this machine runs systemd")
def test_without_systemd_nothing_of_it_is_tried(target):
    assert target.start(["true"], env={"A": "b"})["result"]["rc"] == 0
