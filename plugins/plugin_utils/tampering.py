# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a client's key was used to take something away from its vault. Pure.

A list of archives does not show it: data can be overwritten or deleted below them. But with an append-only key Borg
itself counts, on the vault's host, what a compact could free, and writes down when each transaction came.
"""

from __future__ import annotations

import time

#: Bytes that may become freeable by honest backups: so many, or this share of what was stored since. Five backups made
#: 3421 bytes freeable, one of 120 MB with a checkpoint every second 7419.
LEAST, SHARE = 1024 * 1024, 100
#: Seconds by which a transaction may lie outside of a job: clocks drift, and a host's may have been set right since.
SLACK = 120


def tampered(looked, since, windows):
    """A sentence that says what was done, or "".

    :param looked: what the vault's host says: freeable_bytes, stored_bytes, transaction, log_bytes, entries; and
        `ahead`, by how many seconds its clock is ahead of the controller's
    :param since: the first four of them when the library had last changed the vault; those that it does not know are
        left out, as both numbers of bytes where a change of the library's own was not seen to its end
    :param windows: [from, to], in seconds since 1970 by the controller's clock: when jobs of ours wrote the vault
    """
    if not since:
        return ""
    if any(looked[name] < since.get(name, 0) for name in ("stored_bytes", "transaction", "log_bytes")):
        return "it is older than it was: somebody set it back, or compacted it"
    if "freeable_bytes" in since:
        freed = looked["freeable_bytes"] - since["freeable_bytes"]
        most = max(LEAST, (looked["stored_bytes"] - since["stored_bytes"]) // SHARE)
        if freed > most:
            return (
                "%d bytes of data in it were deleted or overwritten with a client's key; honest backups leave no more "
                "than %d" % (freed, most)
            )
    for number, moment in looked["entries"]:
        here = moment - looked["ahead"]
        if not any(begin - SLACK <= here <= end + SLACK for begin, end in windows):
            return (
                "its transaction %d, on %s UTC by its host's clock, was made with a client's key while no job of ours "
                "was at work" % (number, time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(moment)))
            )
    return ""
