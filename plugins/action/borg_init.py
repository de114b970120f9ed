# SPDX-License-Identifier: GPL-3.0-or-later
"""A new vault: see the documentation in plugins/modules/borg_init.py."""

from __future__ import annotations

import shlex
import urllib.parse

from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers, borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_action import VAULT, BorgAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure


class ActionModule(BorgAction):
    """Initialises a repository, or makes sure that the one that is there is ours."""

    ARGUMENTS = dict(
        VAULT,
        encryption={"type": "str", "default": "repokey-blake2", "choices": list(borg_argv.ENCRYPTIONS)},
        append_only={"type": "bool", "default": False},
        storage_quota={"type": "int", "default": 0},
        public_key={"type": "str", "default": "", "no_log": False},
        existing={"type": "bool", "default": False},
        others={"type": "list", "elements": "str", "default": []},
    )

    def borg(self):
        try:
            return self._ensured()
        except Failure as failure:
            if failure.code == "key_not_authorized" and self.args["public_key"]:
                raise Failure(
                    failure.code,
                    "%s Where the host takes no commands, put this line into ~/.ssh/authorized_keys of that account: %s"
                    % (failure.message, authorized_line(self.args["repository"], self.args["public_key"])),
                ) from failure
            raise

    def _ensured(self):
        args = self.args
        if args["existing"] and not args["repository_id"]:
            return self._adopted()
        if args["encryption"] != "none" and not (args["passphrase"] or "borg_passphrase" in self._allowed()):
            raise Failure("bad_arguments", "A passphrase is needed for the encryption %s." % args["encryption"])
        created = False
        if self.check:
            created = self._absent()
        elif not args["repository_id"]:
            created = self._made()
        facts = {"borg_id": "", "encryption": args["encryption"], "created": created}
        if not (self.check and created):
            facts.update(self._identity(created))
            if not self.check:
                self._keep_key()
        return {"facts": facts, "result": dict(facts, changed=created)}

    def _adopted(self):
        """One that others made: opened, and its key exported. Nothing is written there but Borg's lock on it."""
        where = self.args["repository"]
        try:
            reply = self.call("identity", borg_argv.identity(lock_wait=self.args["lock_wait"]))
        except Failure as failure:
            raise Failure(*borg_answers.refused_adoption(failure.code, failure.message, where)) from failure
        found = borg_answers.listed(self.out("identity", reply), where, "")
        if found["encryption"] not in borg_answers.ADOPTABLE:
            raise Failure(*borg_answers.refused_adoption("encryption", found["encryption"], where))
        if found["borg_id"] in self.args["others"]:
            raise Failure(*borg_answers.refused_adoption("known", found["borg_id"], where))
        self.say("%s is encrypted by %s." % (where, found["encryption"]))
        facts = {"borg_id": found["borg_id"], "encryption": found["encryption"], "created": False}
        if not self.check:
            self._keep_key()
        return {"facts": facts, "result": dict(facts, changed=False)}

    def _allowed(self):
        return self.vars.get("cyborg_secrets") or ()

    def _made(self):
        """True if it was made, False if there was one."""
        argv = borg_argv.init(
            lock_wait=self.args["lock_wait"],
            encryption=self.args["encryption"],
            append_only=self.args["append_only"],
            storage_quota=self.args["storage_quota"],
        )
        try:
            self.call("init", argv)
        except Failure as failure:
            if failure.code != "vault_exists" or "already something else" in failure.message:
                raise
            return False
        return True

    def _absent(self):
        try:
            self.call("look", borg_argv.identity(lock_wait=self.args["lock_wait"]))
        except Failure as failure:
            if failure.code != "vault_missing":
                raise
            return True
        return False

    def _identity(self, created):
        args = self.args
        try:
            reply = self.call("identity", borg_argv.identity(lock_wait=args["lock_wait"]))
        except Failure as failure:
            if failure.code == "wrong_passphrase" and not args["repository_id"]:
                raise Failure(
                    "vault_exists",
                    "There is a Borg repository at %s already, and this passphrase does not open it. Give its own with "
                    "passphrase=, or choose another path." % args["repository"],
                ) from failure
            raise
        found = borg_answers.listed(self.out("identity", reply), args["repository"], args["repository_id"])
        return {"borg_id": found["borg_id"], "encryption": found["encryption"]}

    def _keep_key(self):
        """The key lies in the vault, or on the client: a copy elsewhere is what a recovery begins with."""
        if self.control is None or self.args["encryption"] == "none":
            return
        reply = self.call("key", borg_argv.key_export(lock_wait=self.args["lock_wait"]))
        text = self.out("key", reply)
        if not text.startswith("BORG_KEY "):
            raise Failure("unparsable", "Borg gave no copy of the key of %s." % self.args["repository"])
        self.control.keep("key_export", text)


def authorized_line(repository, public_key):
    """The line by which a host without our wrapper lets a key into this one repository, to add but not to delete."""
    path = urllib.parse.urlsplit(repository).path
    if path.startswith(("/./", "/~/")):
        path = "./" + path[3:]  # in the account's home, where sshd starts the command
    return 'restrict,command="borg serve --append-only --restrict-to-repository %s" %s' % (
        shlex.quote(path),
        public_key,
    )
