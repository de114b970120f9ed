# SPDX-License-Identifier: GPL-3.0-or-later
"""Removes what nobody will ask for again. Only what bears our mark; a living job never."""

import os
import time

from .forgotten import FORGOTTEN, remember
from .places import DIRECTORY, open_folder, remove_tree, root_path, unlink
from .state import MARK, alive, read_file, remove_files

DAY = 86400.0
#: Days after which a folder whose start did not come to its end is removed.
UNFINISHED = 1 / 24
#: Days for which it is known that an attempt is not to be started again.
REMEMBERED = 30


def op_sweep(request):
    root = open_folder(root_path(request), False)
    days = request.get("days")
    return {"state": "unknown", "swept": 0 if root is None else sweep(root, 7 if days is None else float(days))}


def sweep(root, days):
    """Removes dead jobs that were last touched that many days ago; returns how many."""
    now, swept = time.time(), 0
    for name in os.listdir(root):
        age = age_of(root, name, now)
        if name.startswith(".old-"):
            remove_tree(root, name)
        elif name == FORGOTTEN:
            forget_forgotten(root, now)
        elif age > (UNFINISHED if name.startswith(".new-") else days) and dead(root, name):
            if not name.startswith("."):
                remember(root, name)
            remove(root, name)
            swept += 1
    return swept


def dead(root, name):
    """Whether it is a job of ours in which nothing lives; the files it was given are removed then.

    What has no mark was not made by us, or not to its end.
    """
    try:
        job = os.open(name, os.O_RDONLY | DIRECTORY, dir_fd=root)
    except OSError:
        return False
    try:
        marked = name.startswith(".new-") or (read_file(job, "mark") or b"").startswith(MARK)
        if not marked or alive(job):
            return False
        remove_files(job)
        return True
    finally:
        os.close(job)


def remove(root, name):
    """First out of sight, then away, the mark before all else: nobody takes half a job for a lost one."""
    old = ".old-%s-%d" % (name, time.monotonic() * 1e6)
    try:
        os.rename(name, old, src_dir_fd=root, dst_dir_fd=root)
    except FileNotFoundError:
        return
    unlink(root, old + "/mark")
    remove_tree(root, old)


def age_of(folder, name, now):
    """Days since it was last touched; 0 for what is gone meanwhile."""
    try:
        return (now - os.stat(name, dir_fd=folder, follow_symlinks=False).st_mtime) / DAY
    except FileNotFoundError:
        return 0.0


def forget_forgotten(root, now):
    folder = os.open(FORGOTTEN, os.O_RDONLY | DIRECTORY, dir_fd=root)
    for name in os.listdir(folder):
        if age_of(folder, name, now) > REMEMBERED:
            unlink(folder, name)
    os.close(folder)
