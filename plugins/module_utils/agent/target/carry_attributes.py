# SPDX-License-Identifier: GPL-3.0-or-later
"""What else an entry has: extended attributes, ACLs (which are such attributes, with ids in them), flags of chattr."""

import fcntl
import os
import struct

ACL = b"system.posix_acl_"
#: Tags of entries of an ACL that name an account or a group.
USER, GROUP = 0x02, 0x08
#: ioctls of the kernel's, whose numbers hold the size of a long.
LONG = struct.calcsize("l")
GET_FLAGS, SET_FLAGS = 0x80006601 | LONG << 16, 0x40006602 | LONG << 16
#: Compressed, immutable, append only, no dump: those that Borg saves.
FLAGS = 0x04 | 0x10 | 0x20 | 0x40
#: Those that keep a file from being changed, or removed.
HOLDING = 0x10 | 0x20


def attributes(where, follow):
    """{name: value}, both bytes. ``where``: an fd, or a path whose last part is no link to be followed."""
    found = {}
    try:
        names = [os.fsencode(name) for name in os.listxattr(where, follow_symlinks=follow)]
    except OSError:
        return found  # a file system that knows none
    for name in names:
        try:
            found[name] = os.getxattr(where, name, follow_symlinks=follow)
        except OSError:
            continue  # one that the kernel lists and does not give out
    return found


def acl_ids(value):
    """({ids of accounts}, {ids of groups}) that an ACL names."""
    entries = list(struct.iter_unpack("<HHI", value[4:]))
    return {number for tag, _, number in entries if tag == USER}, {number for tag, _, number in entries if tag == GROUP}


def acl_mapped(value, users, groups):
    """An ACL with other ids in it. ``users``, ``groups``: functions of an id."""
    found = value[:4]
    for tag, rights, number in struct.iter_unpack("<HHI", value[4:]):
        other = users(number) if tag == USER else groups(number) if tag == GROUP else number
        found += struct.pack("<HHI", tag, rights, other)
    return found


def flags(fd):
    """The flags of an open file or folder that Borg saves; 0 where the file system has none."""
    try:
        return all_flags(fd) & FLAGS
    except OSError:
        return 0


def all_flags(fd):
    # The kernel says long and means int.
    return struct.unpack("i", fcntl.ioctl(fd, GET_FLAGS, b"\0" * LONG)[:4])[0]


def set_flags(fd, wanted):
    fcntl.ioctl(fd, SET_FLAGS, struct.pack("i", wanted) + b"\0" * (LONG - 4))


def add_flags(fd, wanted):
    """Raises OSError where that cannot be done."""
    if wanted & FLAGS:
        set_flags(fd, all_flags(fd) | wanted & FLAGS)


def let_change(fd):
    """Take the flags away that would keep a file or folder from being removed."""
    try:
        now = all_flags(fd)
        if now & HOLDING:
            set_flags(fd, now & ~HOLDING)
    except OSError:
        pass  # there are none; what else holds it is told by the removal itself
