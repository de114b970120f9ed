# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine has recorded a job's end: its folder goes, the memory that it ran stays for a while."""

from .frame import Refused
from .places import job_name, open_folder, open_job, root_path
from .state import Guard, remove_files, state_of
from .sweep import remember, remove


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
