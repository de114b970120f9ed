# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup's folder on the hypervisor: what is in it bears our mark, and a lock tells whether somebody is at work.

`<scratch>/cyborg-<mark>/` holds `lock`, `state` (JSON: whose it is), scratch files, and `notes` for who comes after.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
import time

from .trouble import Trouble

SCRATCH = "/var/lib/libvirt/cyborg"
PREFIX = "cyborg-"
_NAME = re.compile(r"cyborg-[0-9][0-9.]{0,63}")
#: What may lie in it; nothing else is ever removed.
_OURS = re.compile(r"lock|state(\.new)?|notes|full|frozen|[A-Za-z0-9_.-]+\.(scratch|sock|pid)")


class Place:
    """One such folder."""

    def __init__(self, scratch, mark):
        self.scratch, self.mark = scratch, mark
        self.folder = "%s/%s%s" % (scratch.rstrip("/"), PREFIX, mark)
        self._lock = None

    def path(self, name):
        return "%s/%s" % (self.folder, name)

    def make(self, **state):
        """Make it, with its lock held."""
        ready(self.scratch)
        try:
            os.mkdir(self.folder, 0o711)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise full_or(error, self.scratch) from error
            message = "%s is there already: remove it, if no backup is at work." % self.folder
            raise Trouble("dump_failed", message) from error
        os.chmod(self.folder, 0o711)  # noqa: S103 - the account of QEMU goes through it
        os.close(os.open(self.path("lock"), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        self.hold(0)
        self.note("state", dict(state, mark=self.mark))

    def hold(self, seconds):
        """Take the lock; False if somebody else has it for so long. True too if the folder is not there any more."""
        try:
            self._lock = os.open(self.path("lock"), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        until = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= until:
                    self.let_go()
                    return False
                time.sleep(0.1)
            else:
                return True

    @property
    def lock(self):
        """The number of the open lock."""
        return self._lock

    def let_go(self):
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def note(self, name, value):
        """Write a small file, whole or not at all."""
        try:
            with open(self.path("state.new"), "w", encoding="ascii") as file:
                json.dump(value, file)
            os.rename(self.path("state.new"), self.path(name))
        except OSError as error:
            raise full_or(error, self.scratch) from error

    def noted(self, name):
        """What was written so, or None."""
        try:
            with open(self.path(name), encoding="ascii") as file:
                value = json.load(file)
        except (OSError, ValueError):
            return None
        return value if isinstance(value, dict) else None

    def has(self, name):
        return os.path.lexists(self.path(name))

    def drop(self, *names):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path(name))

    def remove(self, keep=()):
        """Remove what is ours in it, and then itself; gives what stays although it is not `keep`."""
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        # The lock last: while it is there, others see by it that we are at work.
        for name in sorted(names, key=lambda name: name == "lock"):
            if _OURS.fullmatch(name) and name not in keep:
                self.drop(name)
        if not keep:
            try:
                os.rmdir(self.folder)
            except OSError:
                return [self.path(name) for name in os.listdir(self.folder)]
        return []


def places(scratch):
    """All such folders there are."""
    try:
        names = os.listdir(scratch)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [Place(scratch, name[len(PREFIX) :]) for name in sorted(names) if _NAME.fullmatch(name)]


def ready(scratch):
    """Make sure that the folder for scratch files is there, and root's alone to write to."""
    if not scratch.startswith("/") or "/../" in scratch + "/":
        raise Trouble("bad_arguments", "The scratch folder must be a whole path: %s" % scratch)
    try:
        os.makedirs(scratch, 0o711, exist_ok=True)
        found = os.lstat(scratch)
    except OSError as error:
        raise full_or(error, scratch) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        message = "%s must be a folder that belongs to root and that nobody else can write to. Prepare the hypervisor."
        raise Trouble("unsupported", message % scratch)
    if not found.st_mode & 0o001:
        os.chmod(scratch, stat.S_IMODE(found.st_mode) | 0o011)  # noqa: S103 - QEMU has an account of its own and goes through it


def free(scratch):
    """Bytes that are free on the scratch folder's file system."""
    found = os.statvfs(scratch)
    return found.f_bavail * found.f_frsize


def full_or(error, scratch):
    """The `Trouble` for an error of the file system of the scratch files."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Trouble("client_full", no_room(scratch))
    return Trouble("dump_failed", "%s cannot be used: %s" % (scratch, error.strerror))


def no_room(scratch):
    return (
        "There is too little space in %s for what the guest overwrites during the backup; the backup was given up "
        "before the guest could run out of it. Make room there, or name another folder (scratch)." % scratch
    )
