# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what became of a job; never waits, never starts."""

from .places import open_job
from .state import state_of


def op_ask(request):
    job = open_job(request)
    if job is None:
        return {"state": "unknown"}
    state, result = state_of(job)
    reply = {"state": state}
    if result is not None:
        reply["result"] = result
    return reply
