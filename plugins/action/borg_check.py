# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a vault is whole: see the documentation in plugins/modules/borg_check.py."""

from __future__ import annotations

import json

from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers, borg_argv, vault_lock
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_action import VAULT, BorgAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure


class ActionModule(BorgAction):
    """Looks, and changes nothing: what is damaged stays as it is until a person has looked."""

    ARGUMENTS = dict(
        VAULT,
        scope={"type": "str", "choices": list(borg_argv.PARTS), "default": "repository"},
        max_duration={"type": "int", "default": 0},
        folder={"type": "str", "default": ""},
        memory_limit={"type": "int", "default": 0},
        cpu_limit={"type": "int", "default": 0},
    )

    def borg(self):
        args = self.args
        argv = borg_argv.check(args["scope"], lock_wait=args["lock_wait"], max_duration=args["max_duration"])
        given = {"memory": args["memory_limit"], "cpu": args["cpu_limit"]}
        asked = {"limits": {name: value for name, value in given.items() if value}}
        if args["folder"]:
            argv = vault_lock.alone([args["program"], *argv[1:]], args["folder"], args["lock_wait"])
            asked["templates"] = [0]
        self._said = []
        reply = self.call("", argv, **asked)
        # What was said at the end decides; the log in between may have lost lines, its end has not.
        told = self._said + borg_answers.texts_of(reply["result"].get("tail"))
        whole = borg_answers.checked(told, args["scope"], args["repository"])
        facts = {"scope": args["scope"], "whole": whole}
        return {"facts": facts, "result": dict(facts)}

    def _judge(self, reply):
        result = reply["result"]
        told = [text for text in borg_answers.texts_of(result.get("tail")) if text.startswith("cyborg: ")]
        if result.get("rc") == vault_lock.REFUSED and told:
            if told[-1].startswith(vault_lock.BUSY):
                raise Failure("lock_held", "%s is in use: %s" % (self.args["repository"], told[-1][8:]))
            raise Failure("vault_missing", told[-1][8:].capitalize())
        super()._judge(reply)

    def _lines(self, lines):
        """Each archive is named as it is looked at; that is progress, and no line for people."""
        kept = []
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                message = None
            text = str(message.get("message") or "") if isinstance(message, dict) else ""
            if not text.startswith("Analyzing archive "):
                kept.append(line)
        # A vault full of errors has more lines than anybody needs.
        self._said = (self._said + borg_answers.texts_of(kept))[-1000:]
        super()._lines(kept)
