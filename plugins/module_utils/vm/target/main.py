# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the program begins."""

from .backup import op_backup, op_clean, op_look, wide_pipe
from .trouble import worked

WORKS = {"look": op_look, "clean": op_clean, "backup": op_backup}


def main(request):
    """Work a request; gives the exit code."""
    if request["op"] == "backup":
        wide_pipe()
    return worked(WORKS[request["op"]], request)
