# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at the folder that files are restored to: before, after, and when it has to go again."""

import os
import stat

from .frame import Refused, to_bytes, to_text
from .removing import remove_restored

#: How many paths are named.
NAMED = 20


def op_restore_look(request):
    """Is there something at the destination already?"""
    path = to_bytes(request["destination"])
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return {"state": "done", "there": False, "empty": True, "folder": False}
    folder = stat.S_ISDIR(status.st_mode)
    return {"state": "done", "there": True, "folder": folder, "empty": folder and not os.listdir(path)}


def op_restore_compare(request):
    """Which of the paths did not come, and what came that is below none of them (with ``only``)?"""
    tree = {}
    for path in request["paths"]:
        node = tree
        for part in to_bytes(path).split(b"/"):
            node = node.setdefault(part, {})
        node[b""] = True  # asked for itself: whatever is below it belongs to it
    missing, extra = [], []
    compare(to_bytes(request["destination"]), tree, missing, extra if request.get("only") else None)
    return {
        "state": "done",
        "missing": [to_text(path) for path in missing[:NAMED]],
        "extra": [to_text(path) for path in extra[:NAMED]],
    }


def compare(folder, tree, missing, extra):
    try:
        names = set(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        names = set()
    if extra is not None:
        extra.extend(os.path.join(folder, name) for name in sorted(names - set(tree)))
    for name, below in tree.items():
        path = os.path.join(folder, name)
        if b"" in below:
            if name not in names:
                missing.append(path)
        elif name in names and stat.S_ISDIR(os.lstat(path).st_mode):
            compare(path, below, missing, extra)
        else:
            missing.append(path)


def op_restore_undo(request):
    """Removes a folder that this job made, with what came into it."""
    path = to_bytes(request["destination"])
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return {"state": "done"}
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid():
        raise Refused("unsafe_directory", "%s is not the folder that was made for this restore." % to_text(path))
    above, name = os.path.split(path)
    parent = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    remove_restored(parent, name)
    os.close(parent)
    return {"state": "done"}
