# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SIM105 - importing contextlib would cost more than the exchange
"""The process that stays with the command: reads what it writes, ends it in time, and leaves the result."""

import os
import select
import time

from .borg_locks import clear_locks
from .command import Command
from .ending import Steps, grace_of, group_lives, members, send, signal
from .fifos import Fifos
from .frame import dumps, failure, to_bytes, to_text
from .keeping import Log, Out
from .reading import Reading, Splitter
from .room import SMALL
from .sources import look_again
from .state import exists, read_file, remove_files, write_file, write_new
from .window import Window

#: Seconds between two writes of the progress file, and between two looks for room where there was none.
PACE, NO_ROOM = 0.25, 0.02


class Supervisor:
    """One command from start to result. ``request``: that of ``start``, and what was found and decided before."""

    def __init__(self, request, job, lock, bell):
        self.request, self.job, self.lock, self.bell = request, job, lock, bell
        self.roots = request.get("roots") or []
        self.reading = Reading([root["real"] for root in self.roots])
        self.splitter, self.log = Splitter(), Log(job, request["log_limit"])
        self.out = Window(job, request["window"]) if request.get("window") else Out(job, request["out_limit"])
        self.fifos = Fifos(request["folder"], request.pop("fifos", None) or {})
        self.status, self.timed_out, self.steps, self.shown = None, False, None, (0, 0.0)
        #: Seconds that the command took.
        self.cpu = 0.0

    def run(self):
        began = time.monotonic()
        woken, wake = os.pipe()
        for fd in (woken, wake, self.bell):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # Whoever ends the whole scope or session ends the command; its result is still to be written.
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        # Whoever cancels sets the mark first and looks for the pid then.
        if self.canceled():
            return self.finish(began, None)
        try:
            command = Command(self.request, self.lock)
        except OSError as error:
            return self.finish(began, error)
        write_new(self.job, "pid", b"%d %d" % (os.getpid(), command.pid))
        self.ring()
        limit = self.request.get("timeout")
        self.work(command, woken, None if limit is None else began + float(limit))
        return self.finish(began, None)

    def canceled(self):
        return exists(self.job, "cancel")

    def ring(self):
        """Wakes the exchange that started us, if it still waits."""
        try:
            os.write(self.bell, b".")
        except OSError:
            pass

    def work(self, command, woken, deadline):
        open_fds, ended_at, readable = {command.out, command.err}, None, ()
        while open_fds or self.status is None or self.left(command):
            now = time.monotonic()
            if self.status is None and ((deadline is not None and now >= deadline) or self.out.left_alone()):
                self.end(command, now)
            if self.status is not None:
                # The command has ended: what is left of its group is ended too. Whoever left the group and still
                # holds the pipes after that is not of this job any more.
                ended_at = now if ended_at is None else ended_at
                left = self.left(command)
                send(signal.SIGTERM if now - ended_at < 2 else signal.SIGKILL, left)
                if now - ended_at > (60 if readable else 3 if left else 1):
                    if command.out not in open_fds or not self.out.waits():
                        break
                    ended_at = now
            looked, patience = open_fds, self.patience(now, deadline, ended_at)
            if self.out.full():
                looked, patience = open_fds - {command.out}, min(NO_ROOM, patience)
            readable, writable, _ = select.select([woken, *looked], list(command.feeds), [], patience)
            self.fifos.offer(command.feeds)
            for fd in writable:
                command.feed(fd)
            for fd in open_fds.intersection(readable):
                data = os.read(fd, 65536)
                if not data:
                    open_fds.discard(fd)
                elif fd == command.out:
                    self.out.write(data)
                else:
                    self.take(self.splitter.feed(data))
            self.show(False)
            if woken in readable:
                os.read(woken, 512)
            if self.status is None:
                pid, status, used = os.wait4(command.pid, os.WNOHANG)
                if pid:
                    self.status, self.cpu = status, used.ru_utime + used.ru_stime
        last = self.splitter.rest()
        self.take([last] if last else [])
        self.show(True)
        command.close()

    def left(self, command):
        """Pids of those that are to end with the command: its group; after a timeout whoever has to do with it."""
        if self.timed_out:
            return members(command.pid, os.fstat(self.lock), (os.getpid(),))
        return members(command.pid, group=True) if group_lives(command.pid) else []

    def end(self, command, now):
        """The time is over."""
        self.timed_out = True
        if self.steps is None:
            self.steps = Steps(command.pid, grace_of(self.request), now, True)
        if self.steps.due(now):
            self.steps.step(members(command.pid, os.fstat(self.lock), (os.getpid(),)), now)

    def patience(self, now, deadline, ended_at):
        if ended_at is not None:
            return 0.05
        if self.steps is not None:
            return 0.25
        wait = self.fifos.patience(60.0 if deadline is None else max(0.0, deadline - now))
        return min(wait, PACE) if self.shown[0] != self.reading.seen else wait

    def take(self, lines):
        self.log.write([line for line in lines if self.reading.line(line)])

    def show(self, last):
        """Puts the newest progress where followers find it, at a bounded pace."""
        seen, at = self.shown
        if self.reading.seen == seen or (not last and time.monotonic() - at < PACE):
            return
        try:
            line = dumps(self.reading.progress).encode("ascii")
            write_new(self.job, "progress", b"%d %s" % (self.reading.seen, line))
        except OSError:
            pass  # no room: the next one may have it
        self.shown = (self.reading.seen, time.monotonic())

    def limit(self, rc, died):
        """Which of the limits it was given ended the command; None if none did."""
        limits = self.request.get("limits") or {}
        cpu = limits.get("cpu")
        if cpu is not None and (died == signal.SIGXCPU or (died == signal.SIGKILL and self.cpu >= cpu)):
            return "cpu"
        # The kernel refuses memory and tells nobody but the command, so its own words have to do.
        return "memory" if "memory" in limits and rc and self.reading.no_memory else None

    def finish(self, began, error):
        status = self.status
        died = os.WTERMSIG(status) if status is not None and os.WIFSIGNALED(status) else None
        rc = None if status is None else 128 + died if died else os.WEXITSTATUS(status)
        if rc:
            clear_locks(self.request)  # Killed, it could not do so itself.
        result = dict(
            self.reading.summary(),
            rc=127 if error else rc, signal=died, limit=self.limit(rc, died), timed_out=self.timed_out,
            canceled=self.canceled() and rc != 0, lost=False, exec_error=os.strerror(error.errno) if error else None,
            started_at=self.request["started_at"], ended_at=time.time(), seconds=round(time.monotonic() - began, 3),
            out_bytes=self.out.total, out_cut=self.out.kept < self.out.total,
            log_bytes=self.log.end, log_dropped=self.log.dropped,
            roots_after=look_again(self.roots),
        )
        if self.out.total <= SMALL and self.out.kept == self.out.total and not self.request.get("window"):
            result["out"] = to_text(read_file(self.job, "out"))
        remove_files(self.job)
        self.log.make_room()
        try:
            write_new(self.job, "result", dumps(result).encode("ascii"))
        except OSError:
            # Without the long parts it is small enough for any room that is left.
            result.update(tail=[], errors=result["errors"][-1:], out=None, out_cut=True)
            write_new(self.job, "result", dumps(result).encode("ascii"))


def supervise(request, job, lock, bell):
    """Runs in a process of its own and never returns."""
    try:
        Supervisor(request, job, lock, bell).run()
    except BaseException as error:
        # The lock, let go by our end or the command's, says the rest: lost.
        write_file(job, "crash", to_bytes(failure(error)))
    finally:
        os._exit(0)
