# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletes archives, or compacts, once a vault was compared: see the documentation in plugins/modules/borg_upkeep.py."""

from __future__ import annotations

import re

from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers, borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_action import VAULT, BorgAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.tampering import tampered

_CHECKPOINT = re.compile(r"\.checkpoint(\.\d+)?\Z")
#: Archives in one call of Borg: what a command line takes, and a pace at which a cancel is heard.
AT_ONCE = 200


class ActionModule(BorgAction):
    """Borg runs where the vault can be opened with the right to delete: on the controller."""

    ARGUMENTS = dict(
        VAULT,
        archives={"type": "dict", "default": {}},
        known={"type": "dict", "default": {}},
        decided={"type": "dict", "default": {}},
        leftovers={"type": "str", "default": ""},
        looked={"type": "dict", "default": {}},
        since={"type": "dict", "default": {}},
        windows={"type": "list", "elements": "raw", "default": []},
        check={"type": "bool", "default": False},
        verify={"type": "bool", "default": False},
        compact={"type": "bool", "default": False},
        key_sha256={"type": "str", "default": "", "no_log": False},
        memory_limit={"type": "int", "default": 0},
        cpu_limit={"type": "int", "default": 0},
    )

    def borg(self):
        args = self.args
        facts = {"archives": [], "deleted": []}
        try:
            self._key()
            found = self._listed("before", facts)
            self._compare(found)
            self._see_to_it()
            wanted = args["archives"]
            going = sorted(name for name in wanted if name in found)
            if going and args["leftovers"]:
                going += self._leftovers()
            if self.check:
                return {"result": {"changed": bool(going) or args["compact"], "deleted": going}}
            if going or args["compact"]:
                self._decide()
            for place in range(0, len(going), AT_ONCE):
                self._delete(going[place : place + AT_ONCE])
            if args["compact"]:
                self._call("compact", borg_argv.compact(lock_wait=args["lock_wait"]))
                self.say("%s was compacted." % args["repository"])
            if going or args["compact"]:
                self._listed("after", facts)
            # Those that were gone already belong to what the job was to delete, too.
            facts["deleted"] = sorted(wanted)
        except Failure as failure:
            failure.details.setdefault("cyborg_facts", facts)
            raise
        return {"facts": facts, "result": {"changed": bool(going) or args["compact"], "deleted": going}}

    def _call(self, step, argv, **asked):
        limits = {"memory": self.args["memory_limit"], "cpu": self.args["cpu_limit"]}
        return self.call(step, argv, limits={name: value for name, value in limits.items() if value}, **asked)

    def _key(self):
        expected = self.args["key_sha256"]
        if not expected:
            return
        exported = self._call("key", borg_argv.key_export(lock_wait=self.args["lock_wait"]))
        # One whose passphrase is being changed is another one than was exported, for a good reason.
        if borg_answers.key_digest(self.out("key", exported)) != expected and not self._spare():
            raise Failure(
                "vault_key_changed",
                "The key in %s is not the one that was exported when it was prepared: somebody changed its passphrase."
                % self.args["repository"],
            )

    def _listed(self, step, facts):
        reply = self._call(step, borg_argv.archives(lock_wait=self.args["lock_wait"]))
        listed = borg_answers.listed(self.out(step, reply), self.args["repository"], self.args["repository_id"])
        facts["archives"] = [{"name": entry["name"], "id": entry["id"]} for entry in listed["archives"]]
        return {entry["name"]: entry["id"] for entry in facts["archives"]}

    def _compare(self, found):
        """Each archive of ours is there, with its id. What else is there neither counts nor goes."""
        args = self.args
        wrong = [name for name, borg_id in args["known"].items() if found.get(name) != borg_id]
        # Whoever plays this by hand may know no id.
        perhaps = {**args["archives"], **args["decided"]}
        wrong += [name for name, borg_id in perhaps.items() if borg_id and found.get(name, borg_id) != borg_id]
        if wrong:
            raise Failure(
                "archives_vanished",
                "%s%s in %s, with the id that was recorded: somebody deleted or replaced it. Nothing was deleted now."
                % (
                    wrong[0],
                    " is not" if len(wrong) == 1 else " and %d more are not" % (len(wrong) - 1),
                    args["repository"],
                ),
            )

    def _leftovers(self):
        """Checkpoints that backups left which were killed: nobody goes on from them, and no other list shows them."""
        argv = borg_argv.archives(lock_wait=self.args["lock_wait"], checkpoints=True)
        reply = self._call("checkpoints", argv)
        listed = borg_answers.listed(
            self.out("checkpoints", reply), self.args["repository"], self.args["repository_id"]
        )
        names = [entry["name"] for entry in listed["archives"]]
        return [name for name in names if name.startswith(self.args["leftovers"]) and _CHECKPOINT.search(name)]

    def _see_to_it(self):
        args = self.args
        if args["looked"]:
            sentence = tampered(args["looked"], args["since"], args["windows"])
            if sentence:
                raise Failure(
                    "vault_tampered",
                    "Somebody tampered with %s: %s. Nothing was deleted or freed now, so all of it can be undone."
                    % (args["repository"], sentence),
                )
        if args["check"] or args["verify"]:
            self.say("Checking %s%s." % (args["repository"], ", all of its data too" if args["verify"] else ""))
            part = "data" if args["verify"] else "archives"
            reply = self._call("check", borg_argv.check(part, lock_wait=args["lock_wait"]))
            borg_answers.checked(borg_answers.texts_of(reply["result"].get("tail")), part, args["repository"])

    def _decide(self):
        """From here on it is on record what goes, whatever becomes of this job."""
        if self.control is not None and not self.control.deciding():
            raise Failure("lost", "The library does not want this job done any more; nothing was deleted.")

    def _delete(self, names):
        reply = self._call("delete " + names[0], borg_argv.delete(names, lock_wait=self.args["lock_wait"]))
        if reply["result"]["rc"] != 0:
            said = borg_answers.texts_of(reply["result"].get("tail")) or ["it said nothing"]
            raise Failure("borg_failed", "Borg did not delete all that it was told to: %s" % said[-1][:300])
