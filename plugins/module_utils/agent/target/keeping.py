# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing what the command says: its log into a ring, its standard output into a file, both bounded.

A full file system must not stop a backup: what could not be written is counted instead.
"""

import os

from .places import FILE, unlink
from .ring import PREFIX, segments
from .room import RESERVE

SEGMENT = 512 * 1024


class Log:
    """The ring. ``end``: offset behind the last byte; ``dropped``: bytes that were given up."""

    def __init__(self, job, limit):
        self.job, self.limit, self.end, self.dropped, self.fd, self.size = job, limit, 0, 0, None, SEGMENT

    def write(self, lines):
        for line in lines:
            data = line + b"\n"
            try:
                if self.size >= SEGMENT:
                    self.turn(len(data))
                written = os.write(self.fd, data)
                if written < len(data):
                    os.ftruncate(self.fd, self.size)
                    raise OSError("no room for the rest of the line")
            except OSError:
                self.dropped += len(data)
                continue
            self.size += len(data)
            self.end += len(data)

    def turn(self, coming):
        """Begins a new segment, and drops old ones so that it and the coming line fit in."""
        kept = segments(self.job)
        while kept and self.end - kept[0][0] + max(coming, SEGMENT) > self.limit:
            self.drop(kept)
        fd = os.open(
            PREFIX + "%020d" % self.end, os.O_WRONLY | os.O_CREAT | os.O_APPEND | FILE, 0o600, dir_fd=self.job
        )
        if self.fd is not None:
            os.close(self.fd)
        self.fd, self.size = fd, 0

    def drop(self, kept):
        start, name = kept.pop(0)
        unlink(self.job, name)
        self.dropped += (kept[0][0] if kept else self.end) - start

    def make_room(self):
        """Room for the result: what was kept back for it, and the oldest lines if the file system is full."""
        unlink(self.job, RESERVE)
        kept, space = segments(self.job), os.statvfs(self.job)
        if kept and space.f_bavail * space.f_frsize < SEGMENT:
            self.drop(kept)


class Out:
    """Keeps the command's standard output up to a limit, and counts all of it."""

    def __init__(self, job, limit):
        self.fd = os.open("out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | FILE, 0o600, dir_fd=job)
        self.limit, self.total, self.kept = limit, 0, 0

    def full(self):
        """Never: what is too much is counted."""
        return False

    waits = left_alone = full

    def write(self, data):
        # Nothing is kept behind a gap: what is missing must be the end, and be told.
        room = self.limit - self.kept if self.kept == self.total else 0
        self.total += len(data)
        data = data[:room]
        while data:
            try:
                written = os.write(self.fd, data)
            except OSError:
                return
            self.kept += written
            data = data[written:]
