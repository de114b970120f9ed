# SPDX-License-Identifier: GPL-3.0-or-later
"""Another passphrase for a vault: see the documentation in plugins/modules/borg_rekey.py."""

from __future__ import annotations

from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_action import VAULT, BorgAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.rekeying import Rekeying

#: Seconds that each call of Borg may take.
LONGEST = 3600


class ActionModule(Rekeying, BorgAction):
    """Runs where the passphrases may be known: on the controller, beside the task of a job that works on a client."""

    # Not those that the tasks on the client ask for: each is given out once, and none of these is the client's to know.
    PASSPHRASE, NEXT_PASSPHRASE, SSH_KEY = "rekey_passphrase", "rekey_next_passphrase", "rekey_ssh_key"
    ARGUMENTS = dict(
        VAULT,
        next_passphrase={"type": "str", "default": "", "no_log": True},
        **Rekeying.ARGUMENTS,
    )

    def timeout(self):
        # Not as long as a restore may take.
        return min(super().timeout() or LONGEST, LONGEST)

    def borg(self):
        if self.check:
            return {"result": {"changed": True}}
        try:
            problem = self.rekey()
            if problem is not None:
                raise problem
        except Failure as failure:
            # Nobody fails because of it, so it has to be said.
            self.say("The passphrase of %s was not changed: %s" % (self.args["repository"], failure.message))
            raise
        return {"result": {"changed": True}}
