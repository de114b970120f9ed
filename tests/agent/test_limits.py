"""A command gets no more memory and CPU than it was given, and what ended it is told."""

import json
import os
import sys

import pytest

from .conftest import Target

HUNGRY = "data = b'x' * (1 << 30); print(len(data))"
BUSY = "print('begun', flush=True)\nwhile True: pass"


def test_what_needs_more_memory_fails_and_says_so(any_target):
    def hungry(**limits):
        return any_target.start([sys.executable, "-c", HUNGRY], limits=limits or None)["result"]

    result = hungry(memory=512 << 20)
    assert (result["rc"], result["limit"], result["out"]) == (1, "memory", "")
    result = hungry(memory=4 << 30)
    assert (result["rc"], result["limit"]) == (0, None)
    assert hungry()["limit"] is None


def test_a_long_error_of_borgs_still_says_so(target):
    message = f"Local Exception\n{'x' * 20000}\nMemoryError: Unable to allocate output buffer.\n"
    line = json.dumps({"type": "log_message", "levelname": "ERROR", "name": "borg", "message": message})
    program = f"import sys; sys.stderr.write({line!r} + chr(10)); sys.exit(2)"
    assert target.start([sys.executable, "-c", program], limits={"memory": 1 << 30})["result"]["limit"] == "memory"
    # Without such a limit it is the host that has no memory, which is another matter.
    assert target.start([sys.executable, "-c", program])["result"]["limit"] is None


def test_what_takes_more_cpu_is_ended_and_said_so(any_target):
    result = any_target.start([sys.executable, "-c", BUSY], limits={"cpu": 1})["result"]
    assert (result["signal"], result["limit"], result["timed_out"]) == (24, "cpu", False)
    assert result["rc"] == 152
    assert result["out"] == "begun\n"


def test_a_command_that_will_not_hear_is_killed_soon_after(target):
    deaf = "import signal; signal.signal(24, signal.SIG_IGN)\n" + BUSY
    result = target.start([sys.executable, "-c", deaf], limits={"cpu": 1})["result"]
    assert (result["signal"], result["limit"]) == (9, "cpu")


def test_children_have_the_limits_too(target):
    reply = target.shell("sh -c 'ulimit -v; ulimit -Ht'; ulimit -Sv", limits={"memory": 300 << 20, "cpu": 60})
    assert reply["result"]["out"].split() == [str(300 << 10), "65", str(300 << 10)]
    assert target.shell("ulimit -v; ulimit -t")["result"]["out"].split() == ["unlimited", "unlimited"]


@pytest.mark.skipif(os.getuid() != 0, reason="needs a second user")
def test_a_bound_that_is_there_is_never_widened(place):
    os.chmod(place, 0o755)
    (place / "theirs").mkdir(mode=0o700)
    os.chown(place / "theirs", 65534, 65534)
    narrow = place / "python"
    narrow.write_text(f'#!/bin/sh\nulimit -v {400 << 10}\nexec {os.path.realpath("/usr/bin/python3")} "$@"\n')
    narrow.chmod(0o755)
    target = Target(place / "theirs" / "jobs", str(narrow), user=65534)
    result = target.shell("ulimit -v", limits={"memory": 1 << 30})["result"]
    assert result["out"].split() == [str(400 << 10)]


@pytest.mark.parametrize(
    "limits", [[], "1", {"memory": 0}, {"memory": -1}, {"memory": "1"}, {"cpu": True}, {"cpu": 1.5}, {"files": 3}]
)
def test_limits_that_cannot_be_meant_are_refused(target, limits):
    reply = target.start(["true"], limits=limits)
    assert (reply["state"], reply["error"]["code"]) == ("refused", "invalid")
    assert "limits" in reply["error"]["message"]
