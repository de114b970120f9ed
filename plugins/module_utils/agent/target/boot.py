# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets the program to run: as an earlier exchange compiled it, or by compiling it, which takes half of an exchange.

This text stands before every program and imports nothing but what is built in, as it runs before anything is decided
about where modules may come from. What was compiled is kept for root only, where its jobs live: in a folder that
nobody else can write to. It is found by the digest of its text and the interpreter's own magic number.
"""

import posix
import sys
from marshal import dumps, loads

KEPT = ".code"
#: More than the programs of one release are of older ones as well: then all go, and those in use come back.
MOST = 32
CLOSED = posix.O_CLOEXEC | posix.O_NOFOLLOW


def boot(text, digest):
    root = own_folder(b"/run/cyborg")
    if root is None:
        return compiled(text)
    name = "%s/%s-%s" % (KEPT, digest, sys.modules["_frozen_importlib_external"].MAGIC_NUMBER.hex())
    try:
        code = kept(root, name)
        if code is None:
            code = compiled(text)
            keep(root, name, dumps(code))
    except (OSError, EOFError, TypeError, ValueError):
        # A full file system, or a file that is not ours: it costs the time of compiling, nothing else.
        code = compiled(text)
    posix.close(root)
    return code


def compiled(text):
    return compile(text, "cyborg-agent", "exec")


def own_folder(path):
    """An fd of root's jobs folder, for root; else, or if it is not as it must be, None."""
    if posix.getuid() != 0:
        return None
    try:
        folder = posix.open(path, posix.O_RDONLY | posix.O_DIRECTORY | CLOSED)
    except OSError:
        return None
    status = posix.fstat(folder)
    if status.st_uid == 0 and not status.st_mode & 0o077:
        return folder
    posix.close(folder)
    return None


def kept(root, name):
    try:
        file = posix.open(name, posix.O_RDONLY | CLOSED, dir_fd=root)
    except FileNotFoundError:
        return None
    try:
        status = posix.fstat(file)
        if status.st_uid != 0 or status.st_mode & 0o077:
            raise ValueError
        return loads(posix.read(file, status.st_size))  # noqa: S302 - root's own, in a folder of root's own
    finally:
        posix.close(file)


def keep(root, name, data):
    """As a whole, under its name, or not at all."""
    try:
        posix.mkdir(KEPT, 0o700, dir_fd=root)
    except FileExistsError:
        folder = posix.open(KEPT, posix.O_RDONLY | posix.O_DIRECTORY | CLOSED, dir_fd=root)
        names = posix.listdir(folder)
        if len(names) >= MOST:
            for old in names:
                posix.unlink(old, dir_fd=folder)
        posix.close(folder)
    new = "%s.%d" % (name, posix.getpid())
    file = posix.open(new, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | CLOSED, 0o600, dir_fd=root)
    written = posix.write(file, data)
    posix.close(file)
    if written == len(data):
        posix.rename(new, name, src_dir_fd=root, dst_dir_fd=root)
    else:
        posix.unlink(new, dir_fd=root)
