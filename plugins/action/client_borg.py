# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes sure that a host has Borg: see the documentation in plugins/modules/client_borg.py."""

from __future__ import annotations

from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_setup import ARGUMENTS, BorgSetup
from ansible_collections.cyborg.backup.plugins.plugin_utils.host_action import HostAction


class ActionModule(HostAction):
    """Installs what is missing; a Borg that works is never removed."""

    ARGUMENTS = dict(ARGUMENTS, ssh={"type": "bool", "default": True})

    def work(self):
        setup = BorgSetup(self)
        here = setup.ensure(["borg"], ["ssh", "ssh-keygen"] if self.args["ssh"] else [])
        return self.told(
            {
                "changed": setup.changed,
                "changes": setup.changes,
                "notes": setup.notes,
                "borg": here["borg"],
                "borg_version": here["borg_version"],
                "uid": here["uid"],
                "home": here["home"],
                "missing": here["missing"],
            }
        )
