# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the program of a drill begins."""

from .boot import op_boot, op_gone
from .trouble import worked


def main(request):
    """Work a request; gives the exit code."""
    return worked({"boot": op_boot, "gone": op_gone}[request["op"]], request)
