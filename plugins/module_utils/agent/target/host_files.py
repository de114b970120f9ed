# SPDX-License-Identifier: GPL-3.0-or-later
"""Files and folders that the pieces which prepare hosts share: opened part by part, locked, replaced at once."""

import contextlib
import errno
import fcntl
import os
import stat
import time

from .frame import Refused


def shown(path):
    """A path for people."""
    data = path if isinstance(path, bytes) else os.fsencode(path)
    return data.decode("utf-8", "replace")


def open_way(path, make, owner=None, mode=0o755, trusted=()):
    """An fd of a folder whose every part is a folder, no link, of somebody trusted, and that nobody else can exchange.

    :param make: make what is missing (0755, root's or ours); else `Refused` ``missing``
    :param owner: (uid, gid) of the last part where it is made
    :param mode: of the last part where it is made
    :param trusted: uids whose folders are taken; root's and ours always are
    """
    parts = [part for part in os.fsencode(path).split(b"/") if part]
    here, so_far = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), b""
    for depth, part in enumerate(parts, 1):
        so_far += b"/" + part
        last = depth == len(parts)
        try:
            below = open_below(here, part, make, so_far)
            if below is None:
                below = make_below(here, part, so_far, mode if last else 0o755, owner if last else None)
        finally:
            os.close(here)
        here = below
        status = os.fstat(here)
        if status.st_uid not in (0, os.getuid()) and status.st_uid not in trusted:
            message = "%s belongs to %s, who could exchange what lies in it." % (
                shown(so_far),
                account_name(status.st_uid),
            )
            raise Refused("unsafe_directory", message, path=shown(so_far))
        if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
            message = "%s can be written by others (mode %04o): chmod go-w it." % (
                shown(so_far),
                stat.S_IMODE(status.st_mode),
            )
            raise Refused("unsafe_directory", message, path=shown(so_far))
    return here


def account_name(uid):
    """Whose uid it is, for people."""
    import pwd

    try:
        return "%s (uid %d)" % (pwd.getpwuid(uid).pw_name, uid)
    except KeyError:
        return "uid %d" % uid


def open_below(parent, part, make, so_far):
    """An fd of a folder in a folder; None if it is missing and ``make``."""
    try:
        return os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except OSError as error:
        if error.errno == errno.ENOENT:
            if make:
                return None
            raise Refused("missing", "%s does not exist." % shown(so_far), path=shown(so_far)) from error
        why = ": " + os.strerror(error.errno)
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            why = " is a link or no folder"
        raise Refused("unsafe_directory", "%s%s." % (shown(so_far), why), path=shown(so_far)) from error


def make_below(parent, part, so_far, mode, owner):
    try:
        os.mkdir(part, 0o700, dir_fd=parent)
    except FileExistsError:
        return open_below(parent, part, False, so_far)  # somebody was faster: it is looked at like any other
    except OSError as error:
        why = "%s cannot be made: %s. The account that does it needs the right to write above it, in a home of its own"
        raise Refused("unsafe_directory", (why + ".") % (shown(so_far), os.strerror(error.errno))) from error
    below = open_below(parent, part, False, so_far)
    os.fchmod(below, mode)
    if owner is not None:
        os.fchown(below, owner[0], owner[1])
    return below


def take_lock(folder, name, seconds, waiting=None):
    """Holds a lock file in an open folder until the process ends; `Refused` ``busy`` after ``seconds``.

    :param waiting: called once if somebody else has it
    """
    fd = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
        else:
            return fd
        if waiting is not None:
            waiting()
            waiting = None
        if time.monotonic() > end:
            raise Refused("busy", "Another preparation has held the lock %s for %d seconds." % (shown(name), seconds))
        time.sleep(0.05)


def write_whole(folder, name, data, mode, owner=(0, 0)):
    """Replaces a file in an open folder at once, and reads it back. The data is on the disk when this returns."""
    draft = ".%s.%d.new" % (name, os.getpid())
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=folder)
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    try:
        with open(fd, "wb") as file:
            file.write(data)
            file.flush()
            if os.getuid() == 0:
                os.fchown(fd, owner[0], owner[1])
            os.fchmod(fd, mode)
            os.fsync(fd)
        os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        # It may have been renamed already.
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft, dir_fd=folder)
        raise
    os.fsync(folder)
    if read_whole(folder, name, len(data) + 1) != data:
        raise Refused("agent_failed", "The file %s was not found as it had been written." % shown(name))


def read_whole(folder, name, limit):
    """The bytes of a plain file in an open folder, or None if there is none; `Refused` if it is a link or too long."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        message = "%s cannot be read: %s." % (shown(name), os.strerror(error.errno))
        raise Refused("unsafe_directory", message) from error
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Refused("unsafe_directory", "%s is no plain file." % shown(name))
        data = file.read(limit + 1)
    if len(data) > limit:
        raise Refused("too_long", "%s is longer than %d bytes." % (shown(name), limit))
    return data
