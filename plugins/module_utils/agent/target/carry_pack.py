# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends all that lies below a folder, in the order of names, each folder's own attributes behind what is in it."""

import errno
import os
import stat
import sys

from .carry_attributes import ACL, attributes, flags
from .carry_owners import Owners
from .carry_stream import BLOCK, Sink, Tally, readable
from .frame import Refused, failure, to_text
from .places import DIRECTORY, FILE
from .removing import DEEP, more_files, open_below

KINDS = {
    stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p", stat.S_IFBLK: "b", stat.S_IFCHR: "c",
}


def op_carry_pack(request):
    """``folder``, ``fifo``, ``wait``; ``owners``, ``numeric``, ``ours`` (see Owners). Answer: ``tally``."""
    sys.setrecursionlimit(max(sys.getrecursionlimit(), DEEP))
    more_files()
    sink = Sink(request["fifo"], request["wait"])
    try:
        packing = Packing(request, sink)
        packing.folder(packing.root, b"")
        sink.line({"t": "e", "tally": packing.tally.told()})
        sink.flush()
    except BrokenPipeError:
        raise Refused("cut", "The other host took no more files.") from None
    except Exception as error:
        # The other end tells of it; it would only hear that something broke off.
        told = error.error if isinstance(error, Refused) else {"code": "agent_failed", "message": failure(error)}
        try:
            sink.line({"t": "x", "code": told["code"], "message": told["message"]})
            sink.flush()
        except OSError:
            pass  # it is gone, and what raised this is told here
        raise
    return {"state": "done", "tally": packing.tally.told()}


class Packing:
    def __init__(self, request, sink):
        self.sink, self.tally, self.links = sink, Tally(), {}
        self.owners = Owners(request["owners"], request["numeric"], request["ours"])
        self.root = os.open(request["folder"], os.O_RDONLY | DIRECTORY)

    def folder(self, folder, path):
        for name in sorted(os.listdir(b"/proc/self/fd/%d" % folder)):
            self.entry(folder, path + b"/" + name if path else name, name)

    def entry(self, parent, path, name):
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        kind = KINDS.get(stat.S_IFMT(status.st_mode))
        if kind is None:
            return  # a socket, which no archive holds
        if kind == "d":
            self.sink.line({"t": "d", "n": to_text(name)})
            self.tally.add("d", name)
            below = open_below(parent, name)
            self.folder(below, path)
            self.sink.line(dict(self.about(path, status, below, below), t="u"))
            self.tally.add("u", name)
            os.close(below)
            return
        if status.st_nlink > 1:
            first = self.links.setdefault((status.st_dev, status.st_ino), path)
            if first is not path:
                self.sink.line({"t": "h", "n": to_text(name), "to": to_text(first)})
                self.tally.add("h", name, 0, first)
                return
        if kind == "f":
            self.file(parent, path, name, status)
        else:
            self.other(parent, path, name, kind, status)

    def file(self, parent, path, name, status):
        try:
            file = os.open(name, os.O_RDONLY | FILE, dir_fd=parent)
        except PermissionError:
            os.chmod(name, 0o400, dir_fd=parent)  # our own, in a folder that goes afterwards
            file = os.open(name, os.O_RDONLY | FILE, dir_fd=parent)
        pieces = list(extents(file, status.st_size))
        self.sink.line(
            dict(self.about(path, status, file, file), t="f", n=to_text(name), size=status.st_size, pieces=pieces)
        )
        for offset, size in pieces:
            for at in range(offset, offset + size, BLOCK):
                data = os.pread(file, min(BLOCK, offset + size - at), at)
                if len(data) != min(BLOCK, offset + size - at):
                    raise Refused("changed", "%s was changed while it was read." % readable(path))
                self.tally.data(data)
                self.sink.put(data)
        self.tally.add("f", name, status.st_size)
        os.close(file)

    def other(self, parent, path, name, kind, status):
        line = self.about(path, status, b"/proc/self/fd/%d/%s" % (parent, name), None)
        if kind == "l":
            to = os.readlink(name, dir_fd=parent)
            line["to"], more = to_text(to), to
        else:
            line["device"], more = status.st_rdev, b"%d" % status.st_rdev
        self.sink.line(dict(line, t=kind, n=to_text(name)))
        self.tally.add(kind, name, 0, more)

    def about(self, path, status, where, fd):
        """Mode, owner, times, extended attributes and flags. ``fd``: None for what is not opened."""
        uid, gid = self.owners.of(path, status)
        found = attributes(where, fd is not None)
        line = {"mode": stat.S_IMODE(status.st_mode), "uid": uid, "gid": gid, "mtime": status.st_mtime_ns}
        line["atime"] = status.st_atime_ns
        line.update(self.owners.names(uid, gid, [value for key, value in found.items() if key.startswith(ACL)]))
        if found:
            line["more"] = {to_text(key): value.decode("latin-1") for key, value in found.items()}
        if fd is not None and flags(fd):
            line["flags"] = flags(fd)
        return line


def extents(file, size):
    """(offset, size) of each part of a file that is no hole."""
    at = 0
    while at < size:
        try:
            start = os.lseek(file, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return  # nothing but a hole up to the end
            yield at, size - at  # a file system that knows no holes
            return
        at = min(os.lseek(file, start, os.SEEK_HOLE), size)
        if at > start:
            yield start, at - start
