# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts that a command reads by a path, once: FIFOs in the job's folder. Nothing of them is ever in a file."""

import errno
import os
import time

from .frame import to_bytes

#: Seconds between two looks for a reader: at first and after each that came (one text leads to the next), then, and
#: when none came for a while.
NOW, SOON, LATER = 0.004, 0.02, 0.25
#: Seconds until it is no longer now, and until it is later.
MOMENT, WHILE = 2, 30


def make(folder, names):
    """Makes them in an open folder."""
    for name in names:
        os.mkfifo(to_bytes(name), 0o600, dir_fd=folder)


class Fifos:
    """What is still to be handed over. ``folder``: where they were made, a path."""

    def __init__(self, folder, texts):
        self.waiting = {to_bytes(folder) + b"/" + to_bytes(name): to_bytes(text) for name, text in texts.items()}
        self.last = time.monotonic()

    def offer(self, feeds):
        """Those that somebody has opened: removed, and their text added to ``feeds`` ({fd: bytes})."""
        for path in list(self.waiting):
            try:
                fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    del self.waiting[path]  # it was taken away: whoever wanted it will say so
                continue
            os.unlink(path)
            feeds[fd] = self.waiting.pop(path)
            self.last = time.monotonic()

    def patience(self, wait):
        """Seconds to wait at most."""
        if not self.waiting:
            return wait
        passed = time.monotonic() - self.last
        return min(wait, NOW if passed < MOMENT else SOON if passed < WHILE else LATER)
