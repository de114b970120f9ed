# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a job's log: segments called ``log.<offset of their first byte>``, of which the oldest ones are dropped."""

import os

from .places import FILE

PREFIX = "log."


def segments(job):
    """[(offset, name)], oldest first."""
    return sorted((int(name[len(PREFIX):]), name) for name in os.listdir(job) if name.startswith(PREFIX))


def log_end(job):
    """Offset behind the last byte."""
    found = segments(job)
    if not found:
        return 0
    start, name = found[-1]
    try:
        return start + os.stat(name, dir_fd=job, follow_symlinks=False).st_size
    except FileNotFoundError:
        return log_end(job)  # dropped meanwhile: there are newer ones


def read_log(job, offset, size):
    """(offset of the first byte given, bytes): at most ``size`` of them from ``offset`` on, or from the oldest kept."""
    found = segments(job)
    offset = max(offset, found[0][0]) if found else 0
    data, at = [], offset
    for start, name in found:
        if size <= 0:
            break
        try:
            fd = os.open(name, os.O_RDONLY | FILE, dir_fd=job)
        except FileNotFoundError:
            return read_log(job, offset, size)  # dropped between look and read
        with open(fd, "rb") as file:
            length = os.fstat(fd).st_size
            if start + length <= at:
                continue
            file.seek(at - start)
            piece = file.read(size)
        data.append(piece)
        at += len(piece)
        size -= len(piece)
    return offset, b"".join(data)
