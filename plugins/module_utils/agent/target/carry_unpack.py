# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a tree in, and looks at each entry once it is there: what lies here is told, not what was sent."""

import os
import stat
import sys
import time

from .carry_destination import FULL, begin
from .carry_making import Making, one_name
from .carry_settling import Settling
from .carry_stream import Source, Tally, readable
from .frame import Refused, dumps, failure, to_text
from .places import DIRECTORY
from .removing import more_files

#: Seconds between two words on how far it is.
PACE = 1.0


def op_carry_unpack(request):
    """``fifo``, ``wait``, ``place``, ``destination``, ``overwrite``. Answer: ``tally``, ``lost`` (see Settling)."""
    more_files()
    shown = readable(request["destination"])
    try:
        root = begin(request)
        unpacking = Unpacking(Source(request["fifo"], request["wait"]), root, bool(request["overwrite"]))
        unpacking.run()
    except OSError as error:
        if error.errno in FULL:
            raise Refused(
                "client_full",
                "The disk that %s lies on is full (%s). Make room there, or name another destination."
                % (shown, os.strerror(error.errno)),
            ) from None
        raise Refused(
            "agent_failed", "Not everything could be put into %s: %s." % (shown, described(error))
        ) from None
    return {"state": "done", "tally": unpacking.tally.told(), "lost": unpacking.settling.lost}


def described(error):
    """The kernel's words and the name that they are about: a path is no secret of the job's, and says where to look."""
    name = error.filename if isinstance(error.filename, (str, bytes)) else ""
    return "%s %s" % (failure(error), readable(name)) if name else failure(error)


class Unpacking(Making):
    def __init__(self, source, root, overwrite):
        self.source, self.overwrite = source, overwrite
        self.tally, self.settling = Tally(), Settling()
        #: Open folders from the destination down, and their names.
        self.folders, self.names = [root], []
        self.files, self.came, self.shown = 0, 0, 0.0
        os.umask(0)

    def run(self):
        while True:
            line = self.source.line()
            kind = line["t"]
            self.settling.learn(line)
            if kind == "e":
                return self.end(line["tally"])
            if kind == "x":
                raise Refused(str(line["code"]), "On the host that the files come from: %s" % line["message"])
            if kind == "u":
                self.leave(line)
                continue
            name = one_name(line["n"])
            if kind == "d":
                self.enter(name)
                continue
            self.clear(name)
            self.make(kind, name, line)
            self.show()

    def end(self, sent):
        if self.names:
            raise Refused("invalid", "The stream of files ended within a folder.")
        if self.tally.told() != sent:
            raise Refused("different", "What came is not what was sent: %s instead of %s." % (self.tally.told(), sent))

    def enter(self, name):
        try:
            os.mkdir(name, 0o700, dir_fd=self.here)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=self.here, follow_symlinks=False).st_mode):
                self.clear(name)
                os.mkdir(name, 0o700, dir_fd=self.here)
        self.folders.append(os.open(name, os.O_RDONLY | DIRECTORY, dir_fd=self.here))
        self.names.append(name)
        self.tally.add("d", name)

    def leave(self, line):
        if not self.names:
            raise Refused("invalid", "The stream of files ends a folder that it did not begin.")
        folder, name = self.folders.pop(), self.names.pop()
        self.settling.settle(folder, line, b"/".join([*self.names, name]))
        self.tally.add("u", name)
        os.close(folder)

    def show(self):
        """How far it is, in the words of Borg, which the agent knows."""
        now = time.monotonic()
        if now - self.shown < PACE:
            return
        self.shown = now
        path = to_text(b"/".join(self.names))
        told = {"type": "archive_progress", "nfiles": self.files, "original_size": self.came, "path": path}
        sys.stderr.write(dumps(told) + "\n")
        sys.stderr.flush()
