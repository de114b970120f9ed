# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SIM105 - importing contextlib would cost more than the exchange
"""Ends what a command started: all of its session, and whoever else holds the job's lock."""

import os

try:
    import _signal as signal  # without the enums, whose import costs more than all of this
except ImportError:
    import signal


def process(pid):
    """(state, group, session) of a process, or None."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[2]), int(fields[3])


def members(session, lock=None, spare=(), group=False):
    """Pids of living processes of the session; with ``group`` only those of the process group of the same number.

    ``lock``: its os.stat; those that have that file open belong to them as well. ``session`` None: nobody's; 0 would
    be those of kernel and init, and all from outside of a container.
    """
    if session is not None and session <= 1:
        raise ValueError("no session of a command")
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == 1 or int(name) in spare:
            continue
        seen = process(int(name))
        if seen is None or seen[0] in (b"Z", b"X"):
            continue
        if seen[1 if group else 2] == session or (lock is not None and holds(name, lock)):
            found.append(int(name))
    return found


def holds(pid, lock):
    """A child that made a session of its own is still known by the lock that it inherited."""
    try:
        fds = os.listdir("/proc/%s/fd" % pid)
    except OSError:
        return False  # gone, or not ours to look at, thus not of this job
    for fd in fds:
        try:
            status = os.stat("/proc/%s/fd/%s" % (pid, fd))
        except OSError:
            continue
        if (status.st_dev, status.st_ino) == (lock.st_dev, lock.st_ino):
            return True
    return False


def send(number, pids):
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            pass


def group_lives(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def grace_of(request):
    """Seconds from the first signal to KILL."""
    return 5.0 if request.get("grace") is None else float(request["grace"])


class Steps:
    """TERM and KILL within ``grace`` seconds; with ``interrupt`` INT before them.

    TERM ends Borg 1.2 in a quarter of a second with its locks given back. It goes to the command alone first: its
    ssh, ended before it, would take away the way on which that is done. INT makes Borg write a checkpoint, but only at
    the next one of its own moments, minutes away in a large file: it is a chance to keep what was sent, no way to end.
    """

    def __init__(self, command, grace, now, interrupt=False):
        self.command = command
        self.plan = [
            (now, signal.SIGINT, True),
            (now + grace * 0.4, signal.SIGTERM, True),
            (now + grace * 0.7, signal.SIGTERM, False),
            (now + grace, signal.SIGKILL, False),
        ]
        if not interrupt:
            self.plan[:2] = [(now, signal.SIGTERM, True)]

    def due(self, now):
        return now >= self.plan[0][0]

    def step(self, pids, now):
        """Sends what is due; the last one again at each call."""
        if self.command not in pids:
            # The command is gone: what it left need not wait for it.
            self.plan[:-1] = [(now, signal.SIGTERM, False)] if len(self.plan) > 1 else []
        while self.due(now):
            _, number, alone = self.plan[0]
            send(number, [pid for pid in pids if pid == self.command] if alone else pids)
            if len(self.plan) == 1:
                return
            self.plan.pop(0)
