# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes from a tree that came from another host what would give rights on this one: set-id bits, file capabilities,
device nodes. The rest of each file stays as it is."""

import os
import stat
import sys

from .carry_attributes import let_change
from .frame import to_bytes, to_text
from .places import FILE
from .removing import DEEP, more_files, open_below

SETID = stat.S_ISUID | stat.S_ISGID
CAPABILITY = "security.capability"
#: How many paths are named.
NAMED = 5


def op_plain(request):
    """Below a folder that holds nothing but what was restored. Tells how many entries it changed or removed."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), DEEP))
    more_files()
    changed, removed = [], []
    folder = os.open(to_bytes(request["destination"]), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    walk(folder, b"", changed, removed)
    os.close(folder)
    return {
        "state": "done", "changed": len(changed), "removed": len(removed),
        "examples": [to_text(name) for name in (removed + changed)[:NAMED]],
    }


def walk(folder, path, changed, removed):
    for name in os.listdir(b"/proc/self/fd/%d" % folder):
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        where = path + name
        if stat.S_ISDIR(status.st_mode):
            below = open_below(folder, name)
            walk(below, where + b"/", changed, removed)
            os.close(below)
        elif stat.S_ISBLK(status.st_mode) or stat.S_ISCHR(status.st_mode):
            os.unlink(name, dir_fd=folder)
            removed.append(where)
        elif stat.S_ISREG(status.st_mode) and lessened(folder, name, status):
            changed.append(where)


def lessened(folder, name, status):
    """Whether a file had rights of its own, which are gone now."""
    file = os.open(name, os.O_RDONLY | FILE, dir_fd=folder)
    try:
        capable = has_capability(file)
        if not capable and not status.st_mode & SETID:
            return False
        let_change(file)
        if capable:
            os.removexattr(file, CAPABILITY)
        os.fchmod(file, stat.S_IMODE(status.st_mode) & ~SETID)
        return True
    finally:
        os.close(file)


def has_capability(file):
    try:
        os.getxattr(file, CAPABILITY)
    except OSError:
        return False
    return True
