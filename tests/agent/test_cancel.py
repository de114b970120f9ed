"""Cancel and timeout end all that a command started, within the grace, whoever is still there to do it."""

import os
import signal
import subprocess
import sys
import time

import pytest

#: Starts children of every kind, tells their pids, and waits: in the group, in a group of its own, in a session of
#: its own, orphaned.
FAMILY = r"""
import os, subprocess, sys, time
lock = [int(fd) for fd in os.listdir("/proc/self/fd") if os.path.exists("/proc/self/fd/" + fd)
        and os.readlink("/proc/self/fd/" + fd).endswith("/lock")]
kids = [subprocess.Popen(["sleep", "300"]),
        subprocess.Popen(["sleep", "300"], preexec_fn=os.setpgrp),
        subprocess.Popen(["sleep", "300"], preexec_fn=os.setsid, pass_fds=lock)]
orphan = subprocess.run(["sh", "-c", "sleep 300 >/dev/null & echo $!"], stdout=subprocess.PIPE).stdout
with open(sys.argv[1] + ".new", "w") as file:
    print(os.getpid(), *[kid.pid for kid in kids], int(orphan), file=file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
time.sleep(300)
"""
STUBBORN = """
import signal, time
for number in (1, 2, 15):
    signal.signal(number, signal.SIG_IGN)
print(flush=True)
time.sleep(300)
"""


def lives(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
        return False


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def start_family(target, place):
    target.do("start", "1.1", argv=[sys.executable, "-c", FAMILY, str(place / "pids")], follow=None)
    wait_until((place / "pids").exists)
    pids = [int(pid) for pid in (place / "pids").read_text().split()]
    assert all(map(lives, pids))
    return pids


def test_cancel_ends_the_whole_family(target, place):
    pids = start_family(target, place)
    reply = target.do("cancel", "1.1", grace=5)
    assert reply["state"] == "ended"
    result = reply["result"]
    assert (result["canceled"], result["lost"], result["signal"], result["rc"]) == (True, False, 15, 143)
    assert not any(map(lives, pids))
    assert target.do("ask", "1.1") == reply
    assert target.do("cancel", "1.1") == reply


def test_cancel_without_a_supervisor(target, place):
    pids = start_family(target, place)
    supervisor, command = map(int, (target.folder("1.1") / "pid").read_text().split())
    assert command == pids[0]
    os.kill(supervisor, signal.SIGKILL)
    assert target.do("ask", "1.1") == {"state": "running"}
    reply = target.do("cancel", "1.1", grace=2)
    assert (reply["state"], reply["result"]["lost"], reply["result"]["canceled"]) == ("ended", True, True)
    assert not any(map(lives, pids))


def test_who_ignores_signals_is_killed(target):
    target.start([sys.executable, "-c", STUBBORN], job="1.1", wait=10, quiet=0)
    wait_until(lambda: target.do("out", "1.1")["size"] == 1)
    began = time.monotonic()
    result = target.do("cancel", "1.1", grace=1)["result"]
    assert time.monotonic() - began < 10
    assert (result["signal"], result["rc"], result["canceled"]) == (9, 137, True)


def test_a_stopped_supervisor_does_not_stop_a_cancel(target):
    target.do("start", "1.1", argv=["sleep", "300"], follow=None)
    target.wait_for("1.1", "running")
    supervisor, command = map(int, (target.folder("1.1") / "pid").read_text().split())
    os.kill(supervisor, signal.SIGSTOP)
    reply = target.do("cancel", "1.1", grace=0.5)
    assert (reply["state"], reply["result"]["lost"]) == ("ended", True)
    assert not lives(command)
    assert not lives(supervisor)


def test_a_job_canceled_before_its_command_never_starts_it(target, place):
    """As if the cancel came between the folder and the command: the mark is there when the supervisor looks."""
    step = "        return job, launch(request, job, lock)\n"
    patch = (step, '        write_file(job, "cancel", b"")\n' + step)
    reply = target.do("start", "1.1", patch=patch, argv=["touch", str(place / "ran")], follow={"wait": 20, "quiet": 20})
    assert reply["state"] == "ended"
    assert (reply["result"]["canceled"], reply["result"]["rc"]) == (True, None)
    assert not (place / "ran").exists()


def test_a_timeout_ends_the_command(target, place):
    began = time.monotonic()
    script = "trap 'echo INT >&2' INT; trap 'echo TERM >&2; exit 7' TERM; while :; do sleep 0.1; done"
    reply = target.shell(script, timeout=0.5, grace=3)
    assert time.monotonic() - began < 20
    result = reply["result"]
    assert (result["timed_out"], result["canceled"], result["rc"]) == (True, False, 7)
    assert result["tail"] == ["INT", "TERM"]


def test_a_timeout_kills_in_the_end(target):
    result = target.start([sys.executable, "-c", STUBBORN], timeout=0.5, grace=0.5)["result"]
    assert (result["timed_out"], result["signal"]) == (True, 9)


def test_a_timeout_that_is_not_reached(target):
    assert target.start(["true"], timeout=60)["result"]["timed_out"] is False


def test_what_the_command_leaves_in_its_group_ends_with_it(target, place):
    reply = target.shell(f"sleep 300 & echo $! > {place}/pid; exit 4")
    assert (reply["state"], reply["result"]["rc"]) == ("ended", 4)
    assert not lives(int((place / "pid").read_text()))


def test_a_daemon_of_its_own_session_may_stay_and_does_not_hold_the_end_up(target, place):
    daemon = f"setsid sh -c 'echo $$ > {place}/pid; exec sleep 300' &"
    reply = target.shell(daemon + f" while [ ! -s {place}/pid ]; do sleep 0.05; done")
    pid = int((place / "pid").read_text())
    try:
        assert (reply["state"], reply["result"]["rc"]) == ("ended", 0)
        assert reply["result"]["seconds"] < 10
        assert lives(pid)
        assert target.do("forget", "1.1")["forgotten"] is True
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_supervisor_outlives_what_ends_a_session(target, number):
    target.do("start", "1.1", argv=["sleep", "300"], follow=None)
    target.wait_for("1.1", "running")
    supervisor, command = map(int, (target.folder("1.1") / "pid").read_text().split())
    subprocess.run(["kill", f"-{int(number)}", str(supervisor), str(command)], check=True)
    result = target.wait_for("1.1")["result"]
    assert (result["signal"], result["lost"]) == (int(number), False)


def test_a_command_that_ended_well_was_not_canceled(target, place):
    """The cancel came when it had done its work: what it made is there, and its result says so."""
    script = f"trap '' TERM INT; echo made; touch {place}/made; while [ ! -e {place}/go ]; do sleep 0.05; done"
    target.do("start", "1.1", argv=["sh", "-c", script], follow=None)
    wait_until((place / "made").exists)
    process = target.popen("cancel", "1.1", grace=60)
    wait_until((target.folder("1.1") / "cancel").exists)
    (place / "go").touch()
    result = target.read(process)["result"]
    assert (result["rc"], result["canceled"], result["out"]) == (0, False, "made\n")
