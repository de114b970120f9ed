# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the command's standard output in counted pieces."""

import os
import time

from .follow import pause, wakers_for
from .frame import to_text
from .places import FILE, open_job
from .state import state_of
from .window import fetch_out

OUT_PIECE = 4 * 1024 * 1024
#: Seconds between looks for more; and without anything new, after which what is there has to do.
OUT_STEP, OUT_QUIET = 0.05, 1.0


def op_out(request):
    job = open_job(request)
    if job is None:
        return {"state": "unknown"}
    offset, size = int(request.get("offset") or 0), max(1, min(int(request.get("max") or OUT_PIECE), OUT_PIECE))
    until, wakers = time.monotonic() + float(request.get("wait") or 0), wakers_for(None)
    there, grown = -1, time.monotonic()
    while True:
        # The state comes first: of an ended job the file is complete.
        state, _ = state_of(job)
        now, kept = time.monotonic(), read_out(job, offset, 0)[1]
        if kept > there:
            there, grown = kept, now
        left = until - now
        if state == "ended" or left <= 0 or kept - offset >= size or (kept > offset and now - grown > OUT_QUIET):
            break
        pause(min(OUT_STEP, left), wakers)
    data, kept = read_out(job, offset, size)
    end = state == "ended" and offset + len(data) >= kept
    return {"state": state, "offset": offset + len(data), "data": to_text(data), "size": kept, "end": end}


def read_out(job, offset, size):
    """(bytes from ``offset`` on, offset behind the last that is kept)."""
    try:
        fd = os.open("out", os.O_RDONLY | FILE, dir_fd=job)
    except FileNotFoundError:
        return fetch_out(job, offset, size)
    with open(fd, "rb") as file:
        kept = os.fstat(fd).st_size
        file.seek(offset)
        return file.read(size), kept
