# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes a tree that a restore made, whatever modes and flags of old files are in it; never through a link."""

import os
import stat
import sys

from .carry_attributes import let_change
from .places import DIRECTORY, FILE

#: Folders in folders; a path has no more than 4096 bytes.
DEEP = 5000


def remove_restored(parent, name):
    """``parent``: the fd of a folder. What is gone already is fine."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), DEEP))
    more_files()
    remove_entry(parent, name)


def remove_entry(parent, name):
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(status.st_mode):
        folder = open_below(parent, name)
        try:
            empty(folder)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=parent)
        return
    try:
        os.unlink(name, dir_fd=parent)
    except PermissionError:
        if not stat.S_ISREG(status.st_mode):
            raise
        file = os.open(name, os.O_RDONLY | FILE, dir_fd=parent)
        let_change(file)
        os.close(file)
        os.unlink(name, dir_fd=parent)


def empty(folder):
    """Removes all that lies in an open folder."""
    let_change(folder)
    os.fchmod(folder, stat.S_IMODE(os.fstat(folder).st_mode) | 0o700)
    for below in os.listdir(b"/proc/self/fd/%d" % folder):
        remove_entry(folder, below)


def open_below(parent, name):
    """An fd of a folder, which the account may not be allowed to read although it is its own."""
    try:
        return os.open(name, os.O_RDONLY | DIRECTORY, dir_fd=parent)
    except PermissionError:
        held = os.open(name, os.O_PATH | DIRECTORY, dir_fd=parent)
        os.chmod(b"/proc/self/fd/%d" % held, 0o700)
        os.close(held)
        return os.open(name, os.O_RDONLY | DIRECTORY, dir_fd=parent)


def more_files():
    """As many open files as may be had: one for each folder on the way down."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
