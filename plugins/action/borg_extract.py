# SPDX-License-Identifier: GPL-3.0-or-later
"""Files back from an archive: see the documentation in plugins/modules/borg_extract.py."""

from __future__ import annotations

import json
import os
import re

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.cyborg.backup.plugins.module_utils.agent import AgentError, program
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers, borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_action import VAULT, Attached, BorgAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

#: An account that is not root, or a file system that knows no ACLs, loses these; the data is there all the same.
_ATTRIBUTES = re.compile(r"xattr|extended attribute|ACL|bsdflags|flags|Operation not permitted", re.IGNORECASE)


class ActionModule(Attached, BorgAction):
    """Restores into a new folder by default, and compares what came with what was asked for."""

    ARGUMENTS = dict(
        VAULT,
        archive={"type": "str", "required": True},
        archive_id={"type": "str", "default": ""},
        paths={"type": "list", "elements": "str", "default": []},
        destination={"type": "str", "default": ""},
        overwrite={"type": "bool", "default": False},
        dry_run={"type": "bool", "default": False},
        numeric_ids={"type": "bool", "default": False},
    )

    def borg(self):
        args = self.args
        dry = args["dry_run"] or self.check
        wanted = [borg_argv.inside(path) for path in args["paths"]]
        destination = "" if dry else self._destination()
        argv = borg_argv.extract(
            args["archive"], args["paths"], lock_wait=args["lock_wait"], dry_run=dry, numeric_ids=args["numeric_ids"]
        )
        if not self.vars.get("cyborg_attach"):
            self._identify()
        self._listed = 0
        self._made = False
        folder = self._folder(destination)
        new = isinstance(folder, dict)
        try:
            reply = self.main_call(argv, cwd=folder, on_start=lambda first: self._started(first, new))
            warned = self._examine(reply["result"], wanted, destination)
        except Failure as failure:
            if self._made and failure.code not in ("lost", "unreachable"):
                self._undo(destination)
            raise
        facts = {"destination": destination, "paths": args["paths"], "listed": self._listed if dry else None}
        return {"facts": facts, "warnings": warned, "result": dict(facts, changed=not dry)}

    def _guarded(self):
        try:
            return super()._guarded()
        except AnsibleConnectionFailure as problem:
            if self.args["final"]:
                raise
            # Others clean up after it, and Ansible does nothing more for a host that it calls out of reach.
            raise Failure("unreachable", "The client cannot be reached any more: %s" % problem) from problem

    def _started(self, reply, new):
        # Only now is it certain that the folder is ours, should it have to go again.
        self._made = new and bool(reply.get("started"))

    def _destination(self):
        given = self.args["destination"]
        path = os.path.normpath(os.path.expanduser(given) if self.local else given)
        if not path.startswith("/") or (path == "/" and not self.args["overwrite"]):
            raise Failure("bad_arguments", "The destination %r has to be the full path of a folder." % given)
        return path

    def _identify(self):
        """A name can be given to another archive by whoever may write the vault; an id cannot."""
        asked = self.args["archive_id"]
        if not asked and not self.args["repository_id"]:
            return
        argv = borg_argv.archives(lock_wait=self.args["lock_wait"], name=self.args["archive"])
        reply = self.call("identify", argv)
        found = borg_answers.listed(self.out("identify", reply), self.args["repository"], self.args["repository_id"])
        ids = [entry["id"] for entry in found["archives"] if entry["name"] == self.args["archive"]]
        if not ids:
            raise Failure(
                "archives_vanished", "The archive %s is not in %s." % (self.args["archive"], self.args["repository"])
            )
        if asked and asked not in ids:
            raise Failure(
                "archives_vanished",
                "The archive %s in %s is not the one that was made under that name: its id is %s…, not %s…. Somebody "
                "replaced it." % (self.args["archive"], self.args["repository"], ids[0][:12], asked[:12]),
            )

    def _folder(self, destination):
        """Where Borg is started. A new folder is made by the agent at that moment, and by nobody else."""
        if not destination or self.vars.get("cyborg_attach"):
            return None
        there = self._ask("restore_look", destination=destination)
        if not there["there"]:
            return {"new": destination}
        if not there["folder"] or not (there["empty"] or self.args["overwrite"]):
            raise Failure(
                "destination_exists",
                "%s is there already, and not empty. Give another destination, or overwrite=True to restore over what "
                "is in it." % destination,
            )
        return destination

    def _examine(self, result, wanted, destination):
        unmatched = [text for text in borg_answers.texts_of(result.get("tail")) if text.startswith("Include pattern")]
        if unmatched:
            names = ", ".join(text.split("'", 1)[-1].rsplit("'", 1)[0] for text in unmatched)
            raise Failure(
                "path_not_found", "Not in the archive %s: %s. Nothing was kept." % (self.args["archive"], names)
            )
        warned = borg_answers.texts_of([line for line in result.get("tail") or () if '"WARNING"' in line])
        grave = [text for text in warned if not _ATTRIBUTES.search(text)]
        if result.get("rc") and (grave or not warned):
            raise Failure(
                "borg_failed",
                "Not everything could be restored (Borg's exit code is %s): %s"
                % (result["rc"], "; ".join(grave[-5:]) or "it did not say why"),
            )
        if not destination or not wanted:
            return warned
        came = self._ask("restore_compare", destination=destination, paths=wanted, only=self._made)
        if came["missing"]:
            raise Failure("path_not_found", "These did not come from the archive: %s." % ", ".join(came["missing"]))
        if came["extra"]:
            raise Failure("hostile_answer", "More came than was asked for: %s." % ", ".join(came["extra"]))
        return warned

    def _undo(self, destination):
        try:
            self._ask("restore_undo", destination=destination)
        except (Failure, AnsibleConnectionFailure) as problem:
            self.say("%s could not be removed again: %s" % (destination, problem))

    def _ask(self, operation, **request):
        text = program(["restoring"], dict(request, op=operation))
        try:
            reply = self.answer_of(text)
        except AgentError as problem:
            raise Failure("internal", "The agent gave no answer (%s): %s" % (problem, problem.tail)) from problem
        if reply.get("state") != "done":
            raise self.refused(reply)
        return reply

    def _lines(self, lines):
        """With a dry run the lines are the paths that would come."""
        for line in lines:
            try:
                self._listed += json.loads(line).get("name") == "borg.output.list"
            except (ValueError, AttributeError):
                continue  # Not one of Borg's own.
        super()._lines(lines)
