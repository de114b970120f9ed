# SPDX-License-Identifier: GPL-3.0-or-later

"""The engine has recorded a job's end: its folder goes, the memory that it ran stays for a while."""

from .forgotten import remember
from .frame import Fenced, Gone, Refused
from .places import job_name, open_folder, open_job, root_path
from .room import SMALL, size_of
from .state import Guard, remove_files, state_of
from .sweep import remove
from .window import out_pieces


def let_go(request):
    """After an answer with the result: acknowledges a job that nobody else will ask for (``keep`` false)."""
    try:
        job = open_job(request)
        # An output that did not fit into the result is still to be fetched.
        if job is not None and size_of(job, "out") <= SMALL and not out_pieces(job):
            op_forget(request)
    except (OSError, Refused, Fenced, Gone):
        pass  # the answer is out; what is left behind the sweep finds


def op_forget(request):
    root = open_folder(root_path(request), False)
    job = None if root is None else open_job(request, root)
    if job is None:
        return {"state": "unknown", "forgotten": False}
    with Guard(job, request):
        if state_of(job)[0] != "ended":
            raise Refused("not_ended", "The job has not ended: cancel it, or wait for it.")
        remove_files(job)
        remember(root, job_name(request))
        remove(root, job_name(request))
    return {"state": "unknown", "forgotten": True}
