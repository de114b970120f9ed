# SPDX-License-Identifier: GPL-3.0-or-later
"""A second process that stands by a backup: it cleans up if the first one is killed, and sees that there is space.

A scratch file that cannot grow stops the guest at its next write; so the job is ended before that can happen.
"""

import os
import select

from .leftovers import clean, end_job, wake
from .place import free
from .trouble import Trouble, ignore_signals
from .virsh import INHERITED


class Guardian:
    """Stands by from `start` to `dismiss`."""

    def __init__(self, place, uuid, keep_free):
        self.place, self.uuid, self.keep_free = place, uuid, keep_free
        self._end = self._pid = None

    def start(self):
        read, self._end = os.pipe()
        os.set_inheritable(self._end, True)
        self._pid = os.fork()
        if not self._pid:
            try:
                self._stand(read)
            finally:
                os._exit(0)
        os.close(read)
        # It sees our end by the pipe's; virsh has the pipe too, so that nothing begins after that.
        INHERITED.append(self._end)

    def dismiss(self):
        """We clean up ourselves."""
        if self._end is not None:
            INHERITED.remove(self._end)
            os.write(self._end, b".")
            os.close(self._end)
            os.waitpid(self._pid, 0)
            self._end = None

    def _stand(self, read):
        ignore_signals()
        os.setsid()
        self._only(read)
        stopped = False
        while True:
            ready, _, _ = select.select([read], [], [], 0.5)
            if ready:
                if not os.read(read, 1):
                    clean(self.place)
                return
            if not stopped and free(self.place.scratch) < self.keep_free:
                stopped = True
                self.place.note("full", {})
                try:
                    end_job(self.uuid, self.place.mark)
                    wake(self.uuid)
                except Trouble:
                    stopped = False  # asked again in half a second

    def _only(self, read):
        """Keep nothing open but the pipe and the lock: neither the stream nor what the agent looks at."""
        nothing = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2 and int(name) not in (read, self.place.lock):
                try:
                    os.close(int(name))
                except OSError:
                    pass  # the one by which the folder was read
