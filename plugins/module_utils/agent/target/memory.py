# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that a command insists on: 0600 in a folder of their own; secret ones on memory-backed file systems only."""

import os

from .fifos import make
from .frame import Refused, to_bytes
from .mounts import read_mounts
from .places import DIRECTORY, open_folder, remove_tree

SHARED_MEMORY = b"/dev/shm"


def in_memory(fd):
    """Whether an open folder lies on tmpfs."""
    device = os.fstat(fd).st_dev
    wanted = b"%d:%d" % (os.major(device), os.minor(device))
    return any(mount.device == wanted and mount.type in (b"tmpfs", b"ramfs") for mount in read_mounts())


def files_place(request, root, path):
    """None: within the job's folder. Else a path on /dev/shm, because the job's folder is on a disk."""
    if not (request.get("files") or request.get("fifos")) or not request.get("files_secret") or in_memory(root):
        return None
    parent = SHARED_MEMORY + b"/cyborg-agent-%d" % os.getuid()
    try:
        shared = os.open(SHARED_MEMORY, os.O_RDONLY | DIRECTORY)
    except OSError:
        shared = None
    if shared is None or not in_memory(shared):
        message = "A secret file must not touch a disk, and neither %s nor /dev/shm is a tmpfs: mount one at /dev/shm."
        raise Refused("no_tmpfs", message % path.decode("utf-8", "replace"))
    os.close(shared)
    os.close(open_folder(parent, True))
    return parent + b"/" + to_bytes(request["job"])


def write_files(request, job, place):
    """Writes the request's files into the job's folder, or to the place outside of it."""
    files = request.pop("files", None) or {}
    if place is None:
        os.mkdir("files", 0o700, dir_fd=job)
        folder = os.open("files", os.O_RDONLY | DIRECTORY, dir_fd=job)
    else:
        above, _, name = place.rpartition(b"/")
        parent = open_folder(above, True)
        remove_tree(parent, name)
        os.mkdir(name, 0o700, dir_fd=parent)
        folder = os.open(name, os.O_RDONLY | DIRECTORY, dir_fd=parent)
        os.close(parent)
    for name, text in files.items():
        fd = os.open(to_bytes(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
        with open(fd, "wb") as file:
            file.write(to_bytes(text))
    make(folder, request.get("fifos") or ())
    os.close(folder)
