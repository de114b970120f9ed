# SPDX-License-Identifier: GPL-3.0-or-later
"""What a vault's host knows of it, and its compact: see the documentation in plugins/modules/repository_upkeep.py."""

from __future__ import annotations

import time

from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.host_action import HostAction, hostile, number

#: Whole numbers that a host may give: bytes, transactions.
MOST = 2**62
#: Hours by which the clocks of controller and host may differ before neither is believed.
DIFFER = 1.0


class ActionModule(HostAction):
    """Works as root on the repository's host, to which the task is delegated."""

    ARGUMENTS = {
        "state": {"type": "str", "choices": ["compacted", "looked"], "default": "looked"},
        "account": {"type": "str", "required": True},
        "path": {"type": "str", "required": True},
        "since": {"type": "int", "default": 0},
        "transaction": {"type": "int"},
        "lock_wait": {"type": "int", "default": 60},
        "timeout": {"type": "int", "default": 86400},
    }

    def work(self):
        args = self.args
        request = {
            "account": args["account"],
            "path": args["path"],
            "since": args["since"],
            "wait": args["lock_wait"],
            # `Work` of the agent wants to know which vault; only its path counts here.
            "vault": 0,
        }
        if self.check:
            return {"changed": args["state"] == "compacted", "vault": {}}
        if args["state"] == "looked":
            before = time.time()
            reply = self.ask("host_upkeep", do="look", **request)
            return {"changed": False, "vault": looked(reply, (before + time.time()) / 2)}
        if self.control is not None and not self.control.deciding():
            raise Failure("lost", "The library does not want this vault compacted any more; nothing was freed.")
        python = self.ask("host_borg", wanted=["borg"]).get("python")
        if not isinstance(python, str) or not python.startswith("/"):
            raise hostile("no path of Python")
        reply = self.run_piece(
            "compact",
            "host_upkeep",
            python=python,
            timeout=args["timeout"],
            do="compact",
            transaction=args["transaction"],
            **request,
        )
        return {"changed": True, "vault": looked(reply, time.time())}


def looked(reply, here):
    """What the host says, checked; `here` is the controller's time of it."""
    entries = reply.get("entries")
    if not isinstance(entries, list) or len(entries) > 10_000:
        raise hostile("no list of transactions")
    now = reply.get("now")
    if not isinstance(now, float) or not 0 < now < MOST:
        raise hostile("no time")
    ahead = now - here
    if abs(ahead) > DIFFER * 3600:
        raise Failure(
            "clock_doubtful",
            "The clock of the vault's host is %+.1f hours from the controller's: one of them is wrong, so nothing is "
            "deleted or freed. Set it right (NTP), and do this again." % (ahead / 3600),
        )
    found = {
        name: number(reply.get(name), MOST, "a number")
        for name in ("freeable_bytes", "stored_bytes", "transaction", "log_bytes")
    }
    found["entries"] = [
        [number(entry[0], MOST, "a transaction"), number(entry[1], MOST, "a time")]
        for entry in entries
        if isinstance(entry, list) and len(entry) == 2
    ]
    if len(found["entries"]) != len(entries):
        raise hostile("something else than transactions")
    return dict(found, ahead=ahead)
