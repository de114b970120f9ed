# SPDX-License-Identifier: GPL-3.0-or-later
"""A vault's archives: see the documentation in plugins/modules/borg_list.py."""

from __future__ import annotations

from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers, borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_action import VAULT, BorgAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_answers import key_digest
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_contents import Contents
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.rekeying import Rekeying


class ActionModule(Contents, Rekeying, BorgAction):
    """Names and ids of a vault's archives, and whether its key is still the one that was exported.

    A vault that is to get another passphrase, as an earlier job could not give it that, gets it first.
    """

    ARGUMENTS = dict(
        VAULT,
        key={"type": "bool", "default": False, "no_log": False},
        **Rekeying.ARGUMENTS,
        **Contents.ARGUMENTS,
    )

    def borg(self):
        args = self.args
        facts, warnings, limits = {}, [], self.limits()
        rekeyed = self._spare() and self._rekeyed(warnings)
        if (args["key"] or args["key_sha256"]) and not rekeyed:
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
        facts["archives"] = self._nameable(facts["archives"], warnings)
        result = dict(facts)
        more, problem = self.hand_over(facts["archives"])
        if problem is not None:
            # Said beside what was found, which holds in any case.
            facts["contents_error"] = {"code": problem.code, "message": problem.message}
        return {"facts": facts, "warnings": warnings + more, "result": result}

    def _nameable(self, archives, warnings):
        """The archives whose names can be shown and asked for. Others are nobody's here, and told of."""
        odd = [ascii(entry["name"])[:60] for entry in archives if not borg_argv.nameable(entry["name"])]
        if odd:
            warnings.append(
                "In %s are %d archives whose names cannot be shown (%s); they are left out. `borg rename` gives them "
                "other names." % (self.args["repository"], len(odd), ", ".join(odd[:3]))
            )
        return [entry for entry in archives if borg_argv.nameable(entry["name"])]

    def _rekeyed(self, warnings):
        """True if the vault has its next passphrase now, which is used from here on."""
        problem = self.rekey()
        if problem is not None:
            warnings.append(
                "The passphrase of %s was learnt by another client and could still not be changed: %s The next look "
                "into the vault tries it again." % (self.args["repository"], problem.message)
            )
        return problem is None
