# SPDX-License-Identifier: GPL-3.0-or-later
"""A command's standard output of any length, of which only a window lies on the host: what was fetched is removed, and
the command waits while the window is full."""

import os
import time

from .places import FILE, unlink

OUT_PREFIX, OUT_SEGMENT = "out.", 1024 * 1024
#: How many segments a window has at least: one that was fetched in part still lies there.
OUT_SEGMENTS = 8
#: Seconds after which nobody is waited for any more to make room: a command that lives is ended then, so that a vault
#: does not stay locked by a listing whose reader was killed.
OUT_PATIENCE = 300


def out_pieces(job):
    """[(offset of its first byte, name)], oldest first."""
    return sorted((int(name[len(OUT_PREFIX):]), name) for name in os.listdir(job) if name.startswith(OUT_PREFIX))


def fetch_out(job, offset, size):
    """(bytes from ``offset`` on, at most ``size`` of them; offset behind the last that is there). What lies wholly
    before is removed, but for the newest piece, which may still grow."""
    found, data = out_pieces(job), []
    while len(found) > 1 and found[1][0] <= offset:
        unlink(job, found.pop(0)[1])
    end, at = 0, offset
    for start, name in found:
        try:
            fd = os.open(name, os.O_RDONLY | FILE, dir_fd=job)
        except FileNotFoundError:
            continue  # somebody else who fetches was faster
        with open(fd, "rb") as file:
            end = start + os.fstat(fd).st_size
            if size > 0 and start <= at < end:
                file.seek(at - start)
                data.append(file.read(size))
                at += len(data[-1])
                size -= len(data[-1])
    return b"".join(data), end


class Window:
    """Takes the place of `keeping.Out`. ``total``: bytes that came; ``kept``: bytes that were or can be fetched."""

    def __init__(self, job, limit):
        self.job, self.limit, self.total, self.kept = job, limit, 0, 0
        self.most = min(OUT_SEGMENT, max(1, limit // OUT_SEGMENTS))
        self.fd, self.size, self.base, self.since = None, self.most, 0, time.monotonic()

    def write(self, data):
        # Nothing is kept behind a gap.
        if self.kept < self.total:
            self.total += len(data)
            return
        self.total += len(data)
        while data:
            try:
                if self.size >= self.most:
                    self.turn()
                written = os.write(self.fd, data[:self.most - self.size])
            except OSError:
                return
            self.kept += written
            self.size += written
            data = data[written:]

    def turn(self):
        name = OUT_PREFIX + "%020d" % self.kept
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE, 0o600, dir_fd=self.job)
        if self.fd is not None:
            os.close(self.fd)
        self.fd, self.size = fd, 0

    def full(self):
        """Whether no more is to be read from the command now."""
        if self.kept - self.base < self.limit or self.kept < self.total:
            self.since = time.monotonic()
            return False
        found = out_pieces(self.job)
        if found and found[0][0] > self.base:
            self.base, self.since = found[0][0], time.monotonic()
        return self.kept - self.base >= self.limit

    def waits(self):
        """Whether somebody may still make room."""
        return self.full() and not self.left_alone()

    def left_alone(self):
        """Whether it is full, and nobody has fetched anything for long."""
        return self.full() and time.monotonic() - self.since >= OUT_PATIENCE
