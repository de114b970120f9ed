# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a job of several tasks: see the documentation in plugins/modules/report.py."""

from __future__ import annotations

from ansible_collections.cyborg.backup.plugins.plugin_utils.agent_action import AgentAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure


class ActionModule(AgentAction):
    """Tells the library how the job of this host ended. Nothing is done on the host."""

    _requires_connection = False
    ARGUMENTS = {
        "facts": {"type": "dict", "default": {}},
        "warnings": {"type": "list", "elements": "str", "default": []},
        # What an earlier task came to whose failure had to wait until other tasks had cleaned up.
        "of": {"type": "dict", "default": {}},
    }

    def work(self):
        facts, before = self.args["facts"], self.args["of"]
        # A sentence that a role's file holds in several lines is one line for people.
        warnings = [" ".join(warning.split()) for warning in self.args["warnings"]]
        if before.get("failed"):
            error = before.get("cyborg_error") or {}
            message = error.get("message") or before.get("msg") or "The task before failed without a reason."
            failure = Failure(error.get("code", "internal"), message)
            if self.control is not None and not self.check:
                told = {"code": failure.code, "message": failure.message}
                self.control.ended({"error": told, "warnings": warnings, "facts": facts})
            raise failure
        if self.control is not None and not self.check:
            committed, _later = self.control.ended({"facts": facts, "warnings": warnings})
            if not committed:
                raise Failure("lost", "The end of this job was settled by somebody else before.")
        return {"changed": False, "facts": facts, "notes": warnings}
