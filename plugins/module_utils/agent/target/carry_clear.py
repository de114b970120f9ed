# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends whatever a job has at work here for a restore by way of another host, and removes what that left."""

import os

from .cancel import op_cancel
from .carry_destination import look_at, undo
from .carry_place import BEGIN, FIFO, open_place, place_above
from .forget import op_forget
from .frame import Refused, to_bytes, to_text
from .places import open_folder, root_path
from .removing import remove_restored

#: Where files lie between. Not in memory: there may be many.
BETWEEN = b"/var/tmp"
OLD = b"-old"


def op_carry_clear(request):
    """``begin``: of the names of the job's commands, up to a dot; ``keep``: what came to its destination stays.

    With ``destination`` it is looked at afterwards. Answer: ``ended`` (how many commands), ``undone`` and ``removed``
    paths, ``between`` (the folder for what is on its way), ``look``.
    """
    begin = request["begin"]
    if not all(part.isdigit() for part in begin.split(".")) or "." not in begin:
        raise Refused("invalid", "A restore's names begin with the numbers of its store and job.")
    reply = {"state": "done", "ended": end_all(request, begin), "undone": [], "removed": []}
    mine = BEGIN + begin.encode("ascii")
    above = open_or_none(place_above())
    if above is not None:
        for name in named(above, mine):
            clear_place(above, name, bool(request.get("keep")), reply)
        os.close(above)
    between = open_or_none(BETWEEN)
    if between is not None:
        for name in named(between, mine):
            if os.stat(name, dir_fd=between, follow_symlinks=False).st_uid == os.geteuid():
                remove_restored(between, name)
                reply["removed"].append(to_text(BETWEEN + b"/" + name))
        os.close(between)
    reply["between"] = to_text(BETWEEN)
    if request.get("destination"):
        reply["look"] = look_at(to_bytes(request["destination"]))
    return reply


def end_all(request, begin):
    """Cancels the job's commands of any attempt, and forgets them. Raises Fenced where a newer engine has begun."""
    root = open_folder(root_path(request), False)
    names = [] if root is None else [name for name in os.listdir(root) if (name + ".").startswith(begin + ".")]
    ended = 0
    for name in names:
        asked = {"job": name, "root": request.get("root"), "fence": request.get("fence"), "grace": 3}
        if op_cancel(asked)["state"] == "ended":
            ended += 1
            op_forget(asked)
    return ended


def clear_place(above, name, keep, reply):
    place = open_place(b"/proc/self/fd/%d/%s" % (above, name))
    # Whoever waits for the other end of the FIFO waits for nobody now.
    for way in (os.O_RDONLY, os.O_WRONLY):
        try:
            os.close(os.open(FIFO, way | os.O_NONBLOCK | os.O_NOFOLLOW, dir_fd=place))
        except OSError:
            continue  # nobody waits there
    if not keep:
        undone = undo(place)
        if undone is not None:
            reply["undone"].append(undone)
    os.close(place)
    # First out of sight: a writer that comes late must not make a file where the FIFO was.
    old = name if name.endswith(OLD) else name + OLD
    os.rename(name, old, src_dir_fd=above, dst_dir_fd=above)
    remove_restored(above, old)
    reply["removed"].append(to_text(name))


def named(folder, begin):
    """Names that begin so, and go on with a dot or a dash, if they go on."""
    names = os.listdir(b"/proc/self/fd/%d" % folder)
    return [name for name in names if name.startswith(begin) and name[len(begin):len(begin) + 1] in b".-"]


def open_or_none(path):
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
