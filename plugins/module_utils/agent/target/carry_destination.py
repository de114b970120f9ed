# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that a tree is taken into: made or looked at when the work begins, and undone if that comes to nothing.

What was done to it is noted beside the FIFO, before it is done: whoever clears up after a process that was killed, or
after an engine that went away, knows then what is ours to remove.
"""

import errno
import os
import stat

from .carry_attributes import ACL, attributes
from .carry_place import open_place
from .carry_stream import readable
from .frame import Refused, to_bytes, to_text
from .places import DIRECTORY, FILE, unlink
from .removing import empty, remove_restored

NOTE = "destination"
MADE, FILLED = b"made", b"filled"
FULL = (errno.ENOSPC, errno.EDQUOT)


def begin(request):
    """An fd of the destination. Raises Refused, and OSError for what keeps it from being made."""
    path, place = to_bytes(request["destination"]), open_place(to_bytes(request["place"]))
    note(place, MADE, path)
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        unlink(place, NOTE)
        return take_existing(request, place, path)
    except OSError as error:
        unlink(place, NOTE)
        why = os.strerror(error.errno)
        message = "%s cannot be made: %s. Name another destination." % (readable(path), why)
        raise Refused("client_full" if error.errno in FULL else "cwd_missing", message) from None
    root = os.open(path, os.O_RDONLY | DIRECTORY)
    # A folder above may hand an ACL down to it.
    for name in attributes(root, True):
        if name.startswith(ACL):
            os.removexattr(root, name)
    return root


def take_existing(request, place, path):
    look = look_at(path)
    if not look["folder"] or not (look["empty"] or request["overwrite"]):
        raise Refused("cwd_exists", "%s is there already, and not empty." % readable(path))
    if look["empty"]:
        note(place, FILLED, path)
    return os.open(path, os.O_RDONLY | DIRECTORY)


def look_at(path):
    """{"there", "folder", "empty"}"""
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return {"there": False, "empty": True, "folder": False}
    folder = stat.S_ISDIR(status.st_mode)
    return {"there": True, "folder": folder, "empty": folder and not os.listdir(path)}


def note(place, what, path):
    fd = os.open(NOTE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | FILE, 0o600, dir_fd=place)
    with open(fd, "wb") as file:
        file.write(what + b"\0" + path)


def undo(place):
    """Removes what was made at the destination whose note lies here. Gives its path, or None if there is no note."""
    try:
        fd = os.open(NOTE, os.O_RDONLY | FILE, dir_fd=place)
    except FileNotFoundError:
        return None
    with open(fd, "rb") as file:
        what, _, path = file.read().partition(b"\0")
    above, name = os.path.split(path)
    try:
        parent = os.open(above or b"/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISDIR(status.st_mode) or (what == MADE and status.st_uid != os.getuid()):
        raise Refused("unsafe_directory", "%s is not the folder that was made for this restore." % readable(path))
    if what == MADE:
        remove_restored(parent, name)
    else:
        folder = os.open(name, os.O_RDONLY | DIRECTORY, dir_fd=parent)
        empty(folder)
        os.close(folder)
    os.close(parent)
    return to_text(path)
