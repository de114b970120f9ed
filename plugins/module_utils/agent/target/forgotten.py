# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SIM105 - importing contextlib would cost more than the exchange
"""Attempts that are never started again: they ended and were acknowledged, or nobody had begun them in time."""

import fcntl
import os

from .places import open_folder, open_job, root_path

#: Folder of empty files, one for each such attempt.
FORGOTTEN = ".forgotten"


def remember(root, name):
    try:
        os.mkdir(FORGOTTEN, 0o700, dir_fd=root)
    except FileExistsError:
        pass
    os.close(os.open(FORGOTTEN + "/" + name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=root))


def forgotten(root, name):
    try:
        os.stat(FORGOTTEN + "/" + name, dir_fd=root, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def bar(request):
    """The job, if it is here after all. If not: None, and a start that is still on its way is refused from now on."""
    root = open_folder(root_path(request), True)
    # Against `start`, which holds it from when the job can be seen until it has looked whether it is barred.
    fcntl.flock(root, fcntl.LOCK_EX)
    try:
        job = open_job(request, root)
        if job is None:
            remember(root, request["job"])
        return job
    finally:
        os.close(root)
