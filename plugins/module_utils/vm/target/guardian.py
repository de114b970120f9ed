# SPDX-License-Identifier: GPL-3.0-or-later
"""A second process that stands by our work: if we are killed, it cleans up after us."""

import contextlib
import os
import select

from .trouble import ignore_signals
from .virsh import INHERITED


class Guardian:
    """Stands by from `start` to `dismiss`.

    :param clean: called if we ended without `dismiss`
    :param watch: called twice a second meanwhile; None: nothing is to be watched
    :param keep: the open file that it keeps beside us (a lock), or None
    """

    def __init__(self, clean, watch=None, keep=None):
        self._clean, self._watch, self._keep = clean, watch, keep
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
        while True:
            ready, _, _ = select.select([read], [], [], 0.5)
            if ready:
                if not os.read(read, 1):
                    self._clean()
                return
            if self._watch is not None:
                self._watch()

    def _only(self, read):
        """Keep nothing open but the pipe and the lock: neither the stream nor what the agent looks at."""
        nothing = os.open("/dev/null", os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(nothing, number)
        for name in os.listdir("/proc/self/fd"):
            if int(name) > 2 and int(name) not in (read, self._keep):
                with contextlib.suppress(OSError):  # the one by which the folder was read
                    os.close(int(name))
