# SPDX-License-Identifier: GPL-3.0-or-later
"""How much room there is on a host: looked at, never changed."""

import contextlib
import os

from .frame import Refused


def op_host_space(request):
    """{"filesystem", "free", "total"}: of the file system that ``path`` lies on, or will."""
    path = request["path"]
    if not path.startswith("/") or "\0" in path:
        raise Refused("invalid", "Room can be looked for at an absolute path only.")
    return dict(space_of(path), state="done")


def space_of(path):
    """Bytes that accounts without special rights may still take, and the size. A device's number tells file systems
    of one host apart. One that has no room for another file has none at all."""
    while not os.path.exists(path) and path != "/":
        path = os.path.dirname(path)
    space = os.statvfs(path)
    free = 0 if space.f_files and not space.f_favail else space.f_bavail * space.f_frsize
    return {
        "filesystem": "%x" % os.stat(path).st_dev,
        "free": free,
        "total": space.f_blocks * space.f_frsize,
    }


def bytes_below(path):
    """What the files below a folder take."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # Borg is at work.
                total += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return total
