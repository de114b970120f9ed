# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the command's standard output in counted pieces."""

import os

from .frame import to_text
from .places import FILE, open_job
from .state import state_of

PIECE = 4 * 1024 * 1024


def op_out(request):
    job = open_job(request)
    if job is None:
        return {"state": "unknown"}
    # The state comes first: of an ended job the file is complete.
    state, _ = state_of(job)
    offset, size = int(request.get("offset") or 0), int(request.get("max") or PIECE)
    data, kept = b"", 0
    try:
        fd = os.open("out", os.O_RDONLY | FILE, dir_fd=job)
    except FileNotFoundError:
        pass
    else:
        with open(fd, "rb") as file:
            kept = os.fstat(fd).st_size
            file.seek(offset)
            data = file.read(max(1, min(size, PIECE)))
    end = state == "ended" and offset + len(data) >= kept
    return {"state": state, "offset": offset + len(data), "data": to_text(data), "size": kept, "end": end}
