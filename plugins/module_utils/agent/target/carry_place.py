# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the account that logs in and the one that has the rights meet: a FIFO that nobody else can reach.

So what is carried goes past sudo, whose password goes the way of the data. Everything is called after one try of one
job, so that whoever comes after it knows what it has left.
"""

import os

from .frame import Refused, to_text
from .places import DIRECTORY, default_root, open_folder

BEGIN = b"cyborg-carry-"
FIFO = "data"


def place_above():
    """The folder that such places lie in: in memory where we are root, else beside the agent's."""
    return b"/run" if os.geteuid() == 0 else os.path.dirname(default_root())


def op_carry_place(request):
    """``name``, ``side``; ``uid``, ``gid`` of the account that logs in. Answer: ``place``, ``fifo``, ``python``."""
    import sys

    name = BEGIN + ("%s-%s" % (request["name"], request["side"])).encode("ascii")
    path = place_above() + b"/" + name
    if os.path.lexists(path):
        raise Refused("busy", "%s is there already: another run of the same job is at work." % to_text(path))
    folder = open_folder(path, True)
    os.mkfifo(FIFO, 0o600, dir_fd=folder)
    if os.geteuid() == 0:
        # It may go through the folder and use the FIFO, but put nothing else in its place.
        os.chown(FIFO, int(request["uid"]), int(request["gid"]), dir_fd=folder, follow_symlinks=False)
        os.fchown(folder, 0, int(request["gid"]))
        os.fchmod(folder, 0o710)
    os.close(folder)
    shown = to_text(path)
    return {"state": "done", "place": shown, "fifo": shown + "/" + FIFO, "python": sys.executable}


def open_place(path):
    """An fd of such a folder; it is ours, or it is refused."""
    folder = os.open(path, os.O_RDONLY | DIRECTORY)
    status = os.fstat(folder)
    if status.st_uid != os.geteuid() or status.st_mode & 0o027:
        os.close(folder)
        raise Refused("unsafe_directory", "%s is not the folder that was made for this restore." % to_text(path))
    return folder


def op_carry_login(request):
    """Asked without more rights than the login has: whose FIFO it has to be."""
    return {"state": "done", "uid": os.getuid(), "gid": os.getgid()}
