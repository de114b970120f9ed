# SPDX-License-Identifier: GPL-3.0-or-later
"""How much a job may take of the file system it lies on, which often is the host's memory."""

import os

from .frame import Refused
from .places import DIRECTORY, FILE

RING = 4 * 1024 * 1024
LOGS = 64 * 1024 * 1024
OUT = 128 * 1024 * 1024
#: Up to here what a command printed comes with its result.
SMALL = 128 * 1024
#: The least a log needs.
LEAST = 256 * 1024
#: Name and size of the file that keeps room for the result, whatever else fills the file system meanwhile.
RESERVE, RESERVED = "reserve", 256 * 1024


def limits(root, request):
    """{"log_limit", "out_limit"} in bytes. All logs together: 64 MiB and a tenth of the file system."""
    space = os.statvfs(root)
    size, free = space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize
    room = min(LOGS, size // 10) - logs(root)
    if room < LEAST or free < LEAST + 2 * RESERVED:
        raise full("%d of %d bytes are free where jobs live" % (free, size))
    wanted = request.get("out_limit")
    found = {"log_limit": min(RING, room), "out_limit": min(OUT if wanted is None else int(wanted), OUT, free // 2)}
    if request.get("window"):
        found["window"] = min(request["window"], free // 2)
    return found


def full(why):
    message = "There is no room for another job: %s. Free some, or have ended jobs acknowledged."
    return Refused("client_full", message % why)


def reserve(job):
    fd = os.open(RESERVE, os.O_WRONLY | os.O_CREAT | FILE, 0o600, dir_fd=job)
    try:
        os.posix_fallocate(fd, 0, RESERVED)
    except OSError as error:
        raise full(os.strerror(error.errno)) from None
    finally:
        os.close(fd)


def logs(root):
    """Bytes that all jobs' files take, without what commands printed: that has a limit of its own."""
    total = 0
    for name in os.listdir(root):
        try:
            job = os.open(name, os.O_RDONLY | DIRECTORY, dir_fd=root)
        except OSError:
            continue
        try:
            total += sum(size_of(job, file) for file in os.listdir(job) if file.split(".")[0] != "out")
        finally:
            os.close(job)
    return total


def size_of(folder, name):
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_size
    except FileNotFoundError:
        return 0
