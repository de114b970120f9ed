# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a job from outside, whether its supervisor lives or not, and waits until nothing of it is left."""

import os
import time

from .ending import Steps, grace_of, members
from .forgotten import bar
from .places import FILE, open_job
from .state import Guard, read_file, state_of, write_file

#: Seconds for the kernel and the supervisor after the last signal.
PATIENCE = 10


def op_cancel(request):
    job = open_job(request)
    if job is None:
        job = bar(request)
    if job is None:
        return {"state": "unknown"}
    with Guard(job, request):
        state, result = state_of(job)
        if state != "ended":
            # First the mark: a supervisor that has not started the command yet then does not start it.
            write_file(job, "cancel", b"")
    if state != "ended":
        state, result = end(job, grace_of(request), bool(request.get("interrupt")))
    reply = {"state": state}
    if result is not None:
        reply["result"] = result
    return reply


def end(job, grace, interrupt):
    fd = os.open("lock", os.O_RDONLY | FILE, dir_fd=job)
    lock = os.fstat(fd)
    os.close(fd)
    began = time.monotonic()
    steps, last, me = None, began + grace + PATIENCE, os.getpid()
    while True:
        state, result = state_of(job)
        now = time.monotonic()
        if now > last:
            return state, result
        pids = [int(pid) for pid in (read_file(job, "pid") or b"").split()]
        # A supervisor that does not come to its command, or not to its end, goes too.
        stuck = now > began + grace + (PATIENCE / 2 if pids else 0)
        if pids or stuck:
            command = pids[1] if pids else None
            steps = steps or Steps(command, grace if pids else 0, now, interrupt)
            if steps.due(now) or state == "ended":
                left = members(command, lock, (me,) if stuck else (me, pids[0]))
                if state == "ended" and not left:
                    return state, result
                steps.step(left, now)
        elif state == "ended":
            return state, result  # it came to no command
        time.sleep(0.05)
