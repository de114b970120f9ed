# SPDX-License-Identifier: GPL-3.0-or-later
"""What a job's folder says: starting, running, ended. Liveness is the lock that supervisor and command hold together.

Files of a job: ``lock`` (held while anything of it lives), ``mark``, ``about``, ``pid``, ``fence``, ``cancel``,
``progress``, ``log.*``, ``out``, ``files/``, ``result``. The result is there before the lock is let go: a free
lock without a result is a job that was lost.
"""

import fcntl
import os
import time

from .frame import Fenced, Gone, Raw, dumps, to_text
from .places import FILE, open_folder, remove_tree, unlink

MARK = b"cyborg-1 "


def read_file(job, name):
    try:
        fd = os.open(name, os.O_RDONLY | FILE, dir_fd=job)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        return file.read()


def exists(job, name):
    try:
        os.stat(name, dir_fd=job, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def write_file(job, name, data):
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | FILE, 0o600, dir_fd=job)
    with open(fd, "wb") as file:
        file.write(data)


def write_new(job, name, data, first=False):
    """Writes atomically. ``first``: only if nobody was faster."""
    temporary = "%s.%d.tmp" % (name, os.getpid())
    write_file(job, temporary, data)
    if not first:
        os.replace(temporary, name, src_dir_fd=job, dst_dir_fd=job)
        return
    try:
        os.link(temporary, name, src_dir_fd=job, dst_dir_fd=job)
    except FileExistsError:
        pass
    finally:
        unlink(job, temporary)


def alive(job):
    """Whether anything that holds the job's lock lives."""
    try:
        fd = os.open("lock", os.O_RDONLY | FILE, dir_fd=job)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two who ask at once do not take each other for the job.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def state_of(job):
    """(state, result as JSON or None). Whoever finds a dead job without a result settles that it was lost."""
    result = read_file(job, "result")
    if result is None and alive(job):
        return ("running" if exists(job, "pid") else "starting"), None
    if result is None:
        # It may have ended after the first look.
        result = read_file(job, "result") or settle_lost(job)
    return "ended", Raw(result.decode("ascii"))


def started_at(job):
    """Seconds since the epoch. Stands in the file that marks the folder as ours; None without one."""
    mark = read_file(job, "mark")
    return float(mark.split()[1]) if mark and mark.startswith(MARK) else None


def settle_lost(job):
    if not exists(job, "mark"):
        raise Gone  # it is being removed just now
    crash = read_file(job, "crash")
    result = {
        "rc": None, "signal": None, "limit": None, "timed_out": False, "canceled": exists(job, "cancel"), "lost": True,
        "started_at": started_at(job), "ended_at": None, "seconds": None, "exec_error": None,
        "out_bytes": None, "out_cut": None, "log_bytes": None, "log_dropped": None,
        "warnings": {"total": 0, "kinds": {}}, "errors": [], "tail": [],
        "files": {"changed": 0, "unreadable": 0, "examples": [], "status": {}}, "roots_seen": [], "roots_after": [],
        "noticed_at": time.time(), "agent_error": None if crash is None else to_text(crash),
    }
    remove_files(job)
    write_new(job, "result", dumps(result).encode("ascii"), first=True)
    return read_file(job, "result")


def remove_files(job):
    """The files the command was given; they may lie on another, memory-backed file system."""
    remove_tree(job, "files")
    place = read_file(job, "files_place")
    if place:
        folder, _, name = place.rpartition(b"/")
        parent = open_folder(folder, False)
        if parent is not None:
            remove_tree(parent, name)
            os.close(parent)


class Guard:
    """Holds a job's ``fence`` for one write: an older token is turned away, a newer one is kept."""

    def __init__(self, job, request):
        self.job, self.token = job, int(request.get("fence") or 0)

    def __enter__(self):
        self.fd = os.open("fence", os.O_RDWR | os.O_CREAT | FILE, 0o600, dir_fd=self.job)
        fcntl.flock(self.fd, fcntl.LOCK_EX)
        kept = int(os.pread(self.fd, 32, 0) or b"0")
        if kept > self.token:
            os.close(self.fd)
            raise Fenced(kept)
        if kept < self.token:
            os.pwrite(self.fd, b"%-20d" % self.token, 0)
        return self

    def __exit__(self, *error):
        os.close(self.fd)
