# SPDX-License-Identifier: GPL-3.0-or-later
"""How each kind of entry but a folder is made, in an open folder and through no link; then what is there is told."""

import errno
import os
import stat

from .frame import Refused, to_bytes, to_text, write_all
from .places import DIRECTORY, FILE

DEVICES = {"p": stat.S_IFIFO, "b": stat.S_IFBLK, "c": stat.S_IFCHR}
#: What an account that is not root, or a file system of another kind, cannot make.
CANNOT = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.ENOSYS)


class Making:
    """Has ``source``, ``tally``, ``settling``, ``overwrite``; ``folders`` and ``names`` from the destination down;
    ``files`` and bytes that ``came``, which ``show`` tells."""

    @property
    def here(self):
        return self.folders[-1]

    def path(self, name):
        return b"/".join([*self.names, name])

    def make(self, kind, name, line):
        if kind == "f":
            self.file(name, line)
        elif kind == "h":
            self.link(name, to_bytes(line["to"]))
        elif kind == "l":
            os.symlink(to_bytes(line["to"]), name, dir_fd=self.here)
            self.settle(name, line, "l", to_bytes(line["to"]))
        else:
            self.device(name, line, kind)

    def clear(self, name):
        """What lies in the place of something that is no folder goes, if that was asked for."""
        if not self.overwrite:
            return
        try:
            if not stat.S_ISDIR(os.stat(name, dir_fd=self.here, follow_symlinks=False).st_mode):
                os.unlink(name, dir_fd=self.here)
            else:
                os.rmdir(name, dir_fd=self.here)
        except FileNotFoundError:
            pass

    def file(self, name, line):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE, 0o600, dir_fd=self.here)
        for offset, size in line["pieces"]:
            os.lseek(file, offset, os.SEEK_SET)
            for data in self.source.blocks(size):
                self.tally.data(data)
                write_all(file, data)
                self.came += len(data)
                self.show()
        os.ftruncate(file, line["size"])
        self.settling.settle(file, line, self.path(name))
        status = os.fstat(file)
        os.close(file)
        self.tally.add("f" if stat.S_ISREG(status.st_mode) else "?", name, status.st_size)
        self.files += 1

    def link(self, name, to):
        """One more name of an entry that came before: the way to it is gone from the top, and through no link."""
        *folders, last = to.split(b"/")
        at = os.dup(self.folders[0])
        try:
            for folder in folders:
                below = os.open(one_name(to_text(folder)), os.O_RDONLY | DIRECTORY, dir_fd=at)
                os.close(at)
                at = below
            os.link(one_name(to_text(last)), name, src_dir_fd=at, dst_dir_fd=self.here, follow_symlinks=False)
        finally:
            os.close(at)
        self.tally.add("h", name, 0, to)

    def device(self, name, line, kind):
        number = b"%d" % line["device"]
        try:
            os.mknod(name, DEVICES[kind] | line["mode"], device=line["device"], dir_fd=self.here)
        except OSError as error:
            if error.errno not in CANNOT:
                raise
            self.settling.note("a device or FIFO", error, self.path(name))
            self.tally.add(kind, name, 0, number)  # it is told of, and does not keep the rest away
            return
        self.settle(name, line, kind, number)

    def settle(self, name, line, kind, more):
        """Attributes of what has no fd; then what is there is looked at."""
        where = b"/proc/self/fd/%d/%s" % (self.here, name)
        self.settling.settle(where, line, self.path(name), opened=False)
        status = os.stat(name, dir_fd=self.here, follow_symlinks=False)
        if kind == "l":
            more = os.readlink(name, dir_fd=self.here)
        elif stat.S_IFMT(status.st_mode) != DEVICES[kind] or b"%d" % status.st_rdev != more:
            kind = "?"
        self.tally.add(kind, name, 0, more)


def one_name(text):
    """A name as bytes; anything that would lead elsewhere is refused."""
    name = to_bytes(text)
    if name in (b"", b".", b"..") or b"/" in name or b"\0" in name:
        raise Refused("invalid", "The stream of files holds a name that is none.")
    return name
