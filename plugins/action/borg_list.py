# SPDX-License-Identifier: GPL-3.0-or-later
"""A vault's archives: see the documentation in plugins/modules/borg_list.py."""

from __future__ import annotations

import hashlib

from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers, borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_action import VAULT, BorgAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure


class ActionModule(BorgAction):
    """Names and ids of a vault's archives, and whether its key is still the one that was exported."""

    ARGUMENTS = dict(
        VAULT,
        key={"type": "bool", "default": False, "no_log": False},
        key_sha256={"type": "str", "default": "", "no_log": False},
        memory_limit={"type": "int", "default": 0},
        cpu_limit={"type": "int", "default": 0},
    )

    def borg(self):
        args = self.args
        facts = {}
        given = {"memory": args["memory_limit"], "cpu": args["cpu_limit"]}
        limits = {name: value for name, value in given.items() if value}
        if args["key"] or args["key_sha256"]:
            # Before the listing: a changed key shows there as nothing but a wrong passphrase.
            exported = self.call("key", borg_argv.key_export(lock_wait=args["lock_wait"]), limits=limits)
            facts["key_sha256"] = key_digest(self.out("key", exported))
            if args["key_sha256"] and facts["key_sha256"] != args["key_sha256"]:
                raise Failure(
                    "vault_key_changed",
                    "The key in %s is not the one that was exported when it was prepared: somebody changed its "
                    "passphrase. `borg key import` puts the exported one back." % args["repository"],
                )
        reply = self.call("", borg_argv.archives(lock_wait=args["lock_wait"]), limits=limits)
        facts.update(borg_answers.listed(self.out("", reply), args["repository"], args["repository_id"]))
        return {"facts": facts, "result": dict(facts)}


def key_digest(text):
    """SHA-256 of an exported key, without what differs between two exports of it: line ends and blanks."""
    return hashlib.sha256("\n".join(text.split()).encode()).hexdigest()
