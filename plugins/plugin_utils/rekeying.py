# SPDX-License-Identifier: GPL-3.0-or-later
"""Gives a vault the passphrase that it is to get, or finds that it has got it, whatever ended an earlier try.

Both are tried, in this order: the key that lies in the vault is compared with the one that was exported; if it is that,
Borg changes the passphrase; then the key is looked at again, and what is another one now is believed to be ours only
if the next passphrase opens the vault.
"""

from __future__ import annotations

import os

from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers, borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_answers import key_digest
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

#: The name under which the library gets the new copy of the key, and takes the passphrase as the vault's.
NEW_EXPORT = "new_key_export"


class Rekeying:
    """Mixin for a `BorgAction` that runs on the controller, with the arguments `ARGUMENTS`."""

    ARGUMENTS = {
        "key_sha256": {"type": "str", "default": "", "no_log": False},
        "memory_limit": {"type": "int", "default": 0},
        "cpu_limit": {"type": "int", "default": 0},
    }

    def limits(self):
        """What each Borg may take of the controller: it reads what clients wrote."""
        given = {"memory": self.args["memory_limit"], "cpu": self.args["cpu_limit"]}
        return {name: value for name, value in given.items() if value}

    def rekey(self):
        """Do it. None once the vault has its next passphrase; else the `Failure` that kept it from being changed.

        Raises `Failure` where the key is neither the exported one nor ours, or the vault cannot be asked.
        """
        # New each time: a step of the same name may have been done, and forgotten, by a run that was broken off.
        self._mark = os.urandom(4).hex()
        expected, problem = self.args["key_sha256"], None
        if not expected or key_digest(self._exported("key")) == expected:
            try:
                self._change()
            except Failure as failure:
                problem = failure  # What came of it nevertheless is in the vault.
        text = self._exported("new key")
        if problem is not None and key_digest(text) == expected:
            return problem
        self._opens_with_the_next()
        if self.control is not None:
            self.control.keep(NEW_EXPORT, text)
        self.say("%s has another passphrase now." % self.args["repository"])
        return None

    def _exported(self, step):
        step = "%s %s" % (step, self._mark)
        reply = self._called(step, borg_argv.key_export(lock_wait=self.args["lock_wait"]), {"limits": self.limits()})
        text = self.out(step, reply)
        if not text.startswith("BORG_KEY "):
            raise Failure("unparsable", "Borg gave no copy of the key of %s." % self.args["repository"])
        return text

    def _change(self):
        vault = self._vault()
        old, new = vault["secrets"]["BORG_PASSPHRASE_FD"], self.next_passphrase()
        if any("\n" in one or "\r" in one or not one for one in (old, new)):
            raise Failure("bad_arguments", "A passphrase that is empty or of several lines cannot be changed here.")
        self._called(
            "change " + self._mark,
            borg_argv.change_passphrase(lock_wait=self.args["lock_wait"]),
            {
                "env": dict(vault["env"], BORG_PASSCOMMAND=borg_argv.A_LINE),
                "secrets": {},
                "limits": self.limits(),
                "stdin": "%s\n%s\n" % (old, new),
            },
        )

    def _opens_with_the_next(self):
        self._secrets[self.PASSPHRASE] = self.next_passphrase()
        step = "opened " + self._mark
        try:
            reply = self._called(step, borg_argv.identity(lock_wait=self.args["lock_wait"]), {"limits": self.limits()})
        except Failure as failure:
            if failure.code != "wrong_passphrase":
                raise
            raise Failure(
                "vault_key_changed",
                "The key in %s is not the one that was exported, and neither passphrase opens it: somebody changed it. "
                "`borg key import` puts the exported one back." % self.args["repository"],
            ) from failure
        borg_answers.listed(self.out(step, reply), self.args["repository"], self.args["repository_id"])
        self._turned = self._settled = True

    def next_passphrase(self):
        """The passphrase that the vault is to get."""
        allowed = self.vars.get("cyborg_secrets") or ()
        return self._once(self.NEXT_PASSPHRASE, allowed, self.args.get("next_passphrase") or "")
