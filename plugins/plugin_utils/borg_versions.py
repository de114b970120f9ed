# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of Borg's versions: which are too old, and which have faults that matter to a backup.

The sources are Borg's own change log and its important notes (docs/changes.rst of the branches 1.2-maint and
1.4-maint), where each fault stands under the version that mends it.
"""

from __future__ import annotations

import re

#: The oldest that is used: `compact`, and the JSON that a backup is judged by, are as we need them from here on.
OLDEST = (1, 2, 0)

#: (name, what happens, the first version that has it, the version that mends it): all between them are affected.
FAULTS = (
    ("CVE-2023-36811", "whoever can write to a vault can put faked archives into it", (0, 0, 0), (1, 2, 5)),
    ("issue 6687", "compact and check let chunks reappear that nobody uses any more", (1, 2, 0), (1, 2, 7)),
    ("issue 8535", "compact can break off with an AssertionError", (1, 4, 0), (1, 4, 3)),
    ("issue 9854", "a full repository is told as a read error of the file being backed up", (0, 0, 0), (1, 4, 5)),
    # No release of the 1.2 series mends it.
    ("CVE-2026-62268", "extracting a hostile archive can write outside of the destination", (0, 0, 0), (1, 4, 5)),
)


def parsed(version):
    """(1, 2, 4) of "1.2.4", or of "1.4.0b2"; None for what is no version."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", version)
    return tuple(int(part) for part in found.groups()) if found else None


def refused(version):
    """Why a version cannot be used, as a sentence; "" if it can."""
    found = parsed(version)
    if found is None:
        return "Borg says that its version is %r, which is none." % version[:40]
    if found < OLDEST:
        return (
            "Borg %s is too old: 1.2 or later is needed. Install a newer one from the distribution's backports, or "
            "give a binary (borg_binary and borg_binary_sha256)." % version
        )
    if found >= (2, 0, 0):
        return "Borg %s makes repositories of another kind; 1.2 or 1.4 is needed." % version
    return ""


def faults(version):
    """[(name, what happens, the version that mends it)] of the faults that a version has."""
    found = parsed(version)
    return [
        (name, what, "%d.%d.%d" % mended) for name, what, since, mended in FAULTS if found and since <= found < mended
    ]


def warning(version, where="the client"):
    """One sentence on a version's faults, or ""."""
    known = faults(version)
    if not known:
        return ""
    listed = "; ".join("%s (%s; mended in %s)" % fault for fault in known)
    return (
        "Borg %s on %s has known faults, unless its distribution has mended them: %s. Prepare it again with update "
        "once there is a newer one, or give a binary." % (version, where, listed)
    )
