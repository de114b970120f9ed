# SPDX-License-Identifier: GPL-3.0-or-later
"""How much room there is on a host: see the documentation in plugins/modules/free_space.py."""

from __future__ import annotations

from ansible_collections.cyborg.backup.plugins.plugin_utils.host_action import HostAction, hostile, number, text

#: Bytes that a file system may have at most, to be believed.
MOST = 2**62


class ActionModule(HostAction):
    """Reads; changes nothing."""

    ARGUMENTS = {"path": {"type": "str", "required": True}}

    def work(self):
        return self.told(dict(space_of(self.ask("host_space", path=self.args["path"])), changed=False))


def space_of(found):
    """Room as a host told it, each of its type; raises `Failure` ``hostile_answer`` for anything else."""
    if not isinstance(found, dict):
        raise hostile("something else than how much room there is")
    return {
        "filesystem": text(found.get("filesystem"), 64, "a file system", r"[0-9a-f.:-]+"),
        "free": number(found.get("free"), MOST, "a number of bytes"),
        "total": number(found.get("total"), MOST, "a number of bytes"),
    }
