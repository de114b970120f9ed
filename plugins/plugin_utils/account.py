# SPDX-License-Identifier: GPL-3.0-or-later
"""From root to another local account, for what an exchange starts on this machine.

By util-linux's setpriv, which turns into what it is given: unlike su it opens no login session (whose end may end the
job with it) for each exchange, needs no shell of the account's, and leaves no process between that a cancel would hit
in its place. What it starts gets no group but the account's own, and can become nobody else: sudo and su do not work.
"""

from __future__ import annotations

import os
import pwd

from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure


def command(name):
    """The beginning of a shell command that runs as that account; "" where this process does already."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        message = "The account %s, which is to list vaults, is gone from the controller." % name
        raise Failure("unsupported", message) from None
    mine = os.geteuid()
    if found.pw_uid == mine != 0:
        return ""
    if mine != 0 or found.pw_uid == 0:
        raise Failure("unsupported", "Borg cannot run as %s here: only root can, and only as another account." % name)
    return "setpriv --reuid=%d --regid=%d --clear-groups --no-new-privs -- " % (found.pw_uid, found.pw_gid)


def refused(name, said):
    """The `Failure` for an exchange as that account that gave no answer; None if setpriv is not what failed."""
    if "setpriv: " not in said:
        return None
    line = said[said.rindex("setpriv: ") :].splitlines()[0].strip()
    return Failure(
        "become_failed",
        "Borg cannot be run on the controller as the account %s (%s). That account needs a Python 3 that it may run "
        "(/usr/bin/python3), and the controller's root the right to become it." % (name, line),
    )
