# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits for news of a job and brings them in bounded pieces."""

import os
import select
import time

from .forgotten import bar
from .frame import Raw, to_text
from .places import open_job
from .ring import log_end, read_log
from .state import read_file, started_at, state_of

#: What of the sources is told in the answer, and kept in the file "about", a line each, for who attaches later.
TOLD = ("roots", "left_out", "absent")
PIECE = 256 * 1024
#: Seconds between looks, the first ones short: most exchanges with a short job end in them.
STEP_MIN, STEP_MAX = 0.02, 0.2


def op_follow(request):
    job = open_job(request)
    if job is None and request.get("bar"):
        job = bar(request)
    if job is None:
        return {"state": "unknown"}
    reply = follow(job, request)
    if request.get("about"):
        reply.update(about(job))
    return reply


def about(job):
    """What of the sources was told when the job was started."""
    lines = (read_file(job, "about") or b"").decode("ascii").splitlines()
    return {key: Raw(lines[number]) for number, key in enumerate(TOLD) if lines}


def follow(job, request, bell=None):
    """``bell``: an fd that can be read from, or is at its end, when there is a reason to look."""
    offset, seen = int(request.get("offset") or 0), int(request.get("seen") or 0)
    size = max(1, min(int(request.get("max") or PIECE), PIECE))
    now = time.monotonic()
    end = now + float(request.get("wait") or 0)
    quiet, step = float(request.get("quiet") or 0), STEP_MIN
    news, wakers = False, wakers_for(bell)
    while True:
        state, result = state_of(job)
        if state == "ended":
            break
        written = log_end(job)
        if not news and (written > offset or read_progress(job)[0] > seen):
            news, end = True, min(end, time.monotonic() + quiet)
        left = end - time.monotonic()
        if left <= 0 or written - offset >= size:
            break
        pause(min(step, left), wakers)
        step = min(step * 1.3, STEP_MAX)
    return piece(job, state, result, offset, seen, size)


def read_progress(job):
    """(number of the newest progress line, the line as JSON)."""
    number, _, line = (read_file(job, "progress") or b"0 null").partition(b" ")
    return int(number), Raw(line.decode("ascii"))


def wakers_for(bell):
    """What ends a pause early: the bell, and that nobody listens to our answer any more."""
    wakers = select.poll()
    wakers.register(1, 0)
    if bell is not None:
        wakers.register(bell, select.POLLIN)
    return wakers


def pause(seconds, wakers):
    for fd, event in wakers.poll(int(seconds * 1000) + 1):
        if fd == 1:
            os._exit(0)  # the connection is gone; the job is not
        if not event & select.POLLIN or not os.read(fd, 64):
            wakers.unregister(fd)


def piece(job, state, result, offset, seen, size):
    """The answer. The state was asked before the log is read: of an ended job nothing is missed."""
    at, data = read_log(job, offset, size)
    whole = data.rfind(b"\n") + 1
    part = b""
    if not whole and len(data) == size:
        part, whole = data, size
    elif state == "ended" and len(data) < size:
        whole = len(data)  # a supervisor that was killed may have left a line without its end
    lines = data[:whole].split(b"\n")
    if not lines[-1]:
        lines.pop()
    reply = {
        "state": state, "offset": at + whole, "dropped": max(0, at - offset),
        "lines": [] if part else [to_text(line) for line in lines], "part": to_text(part),
        "more": log_end(job) > at + whole and len(data) == size,
        "progress": None, "seen": seen, "now": time.time(), "started_at": started_at(job),
    }
    newest, progress = read_progress(job)
    if newest > seen:
        reply["progress"], reply["seen"] = progress, newest
    if state == "ended" and not reply["more"]:
        reply["result"] = result
    return reply
