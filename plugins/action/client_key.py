# SPDX-License-Identifier: GPL-3.0-or-later
"""An ssh key of the client's own: see the documentation in plugins/modules/client_key.py."""

from __future__ import annotations

from ansible_collections.cyborg.backup.plugins.plugin_utils.host_action import HostAction, path, truth
from ansible_collections.cyborg.backup.plugins.plugin_utils.public_key import reduced


class ActionModule(HostAction):
    """The private half is made on the client and never leaves it."""

    ARGUMENTS = {
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["absent", "present"], "default": "present"},
    }

    def work(self):
        if self.args["state"] == "absent":
            reply = self.ask("host_key", name=self.args["name"], check=self.check, remove=True)
            return {"changed": truth(reply.get("removed"), "whether a key was removed")}
        reply = self.ask("host_key", name=self.args["name"], check=self.check)
        created = truth(reply.get("created"), "whether a key was made")
        result = {
            "changed": created,
            "key": path(reply.get("path"), "the path of a key"),
            "keys": path(reply.get("folder"), "the folder of keys"),
            "public_key": "",
        }
        if not (self.check and created):
            whose = "the host %s" % self.vars.get("inventory_hostname", "")
            result["public_key"] = reduced(reply.get("public"), whose)
        return result
