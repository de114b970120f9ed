# SPDX-License-Identifier: GPL-3.0-or-later
"""Files back from an archive: see the documentation in plugins/modules/borg_extract.py."""

from __future__ import annotations

import json
import re

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.cyborg.backup.plugins.module_utils.agent import AgentError, program
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers, borg_argv, borg_messages, destination
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_action import VAULT, Attached, BorgAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

#: An account that is not root, or a file system that knows no ACLs, loses these; the data is there all the same.
_ATTRIBUTES = re.compile(
    r"xattr|extended attribute|ACL|bsdflags|flags|Operation not permitted|Operation not supported", re.IGNORECASE
)
#: How many warnings and paths are named.
NAMED = 30


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
        owners={"type": "str", "default": ""},
        plain={"type": "bool", "default": False},
    )
    RESTORES = True

    def borg(self):
        args = self.args
        dry = args["dry_run"] or self.check
        wanted = [borg_argv.inside(path) for path in args["paths"]]
        where = "" if dry else self._destination()
        argv = borg_argv.extract(
            args["archive"], args["paths"], lock_wait=args["lock_wait"], dry_run=dry, numeric_ids=args["numeric_ids"]
        )
        self._listed, self._heard, self._warned, self._made = 0, 0, [], False
        if not self.vars.get("cyborg_attach"):
            self.identify()
            self._heard, self._warned = 0, []
        folder = self._folder(where)
        new = isinstance(folder, dict)
        try:
            reply = self.main_call(argv, cwd=folder, on_start=lambda first: self._started(first, new))
            warned = self._examine(reply["result"], wanted, where)
            if args["owners"] and not dry:
                self._list_owners(where)
            if args["plain"] and not dry:
                warned += self._plain(where)
        except Failure as failure:
            if self._made and failure.code not in ("lost", "unreachable"):
                self._undo(where)
            raise
        facts = {"destination": where, "paths": args["paths"], "listed": self._listed if dry else None}
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
        return destination.full_path(self.args["destination"], local=self.local, overwrite=self.args["overwrite"])

    def _folder(self, path):
        """Where Borg is started. A new folder is made by the agent at that moment, and by nobody else."""
        if not path or self.vars.get("cyborg_attach"):
            return None
        there = self._ask("restore_look", destination=path)
        if not there["there"]:
            return {"new": path}
        if not there["folder"] or not (there["empty"] or self.args["overwrite"]):
            raise destination.exists(path)
        if self.args["plain"] and not there["empty"]:
            raise Failure(
                "destination_exists",
                "%s holds other files, and from what is restored of another host set-id bits and device nodes are "
                "taken away, which would meet those files, too: name a new folder, or keep them (special)." % path,
            )
        return path

    def _examine(self, result, wanted, where):
        unmatched = [text for text in self._warned if text.startswith("Include pattern")]
        if unmatched:
            names = ", ".join(text.split("'", 1)[-1].rsplit("'", 1)[0] for text in unmatched[:NAMED])
            raise Failure(
                "path_not_found", "Not in the archive %s: %s. Nothing was kept." % (self.args["archive"], names)
            )
        warned = list(dict.fromkeys(self._warned))
        grave = [text for text in warned if not _ATTRIBUTES.search(text)] + self._unheard(result)
        if result.get("rc") and any(sign in text for text in grave for sign in borg_messages.FULL):
            raise _full(where)
        if result.get("rc") and (grave or not warned):
            raise Failure(
                "borg_failed",
                "Not everything could be restored (Borg's exit code is %s): %s"
                % (result["rc"], "; ".join(grave[-5:]) or "it did not say why"),
            )
        if len(warned) > NAMED:
            warned[NAMED:] = ["… and %d other warnings; they are in the job's output" % (len(warned) - NAMED)]
        if not where or not wanted:
            return warned
        came = self._ask("restore_compare", destination=where, paths=wanted, only=self._made)
        if came["missing"]:
            raise Failure("path_not_found", "These did not come from the archive: %s." % ", ".join(came["missing"]))
        if came["extra"]:
            raise Failure("hostile_answer", "More came than was asked for: %s." % ", ".join(came["extra"]))
        return warned

    def _unheard(self, result):
        """What warnings were about that the log lost before they were fetched: it holds a bounded number of bytes."""
        told = result.get("warnings") or {}
        if int(told.get("total") or 0) <= self._heard:
            return []
        return [kind for kind in told.get("kinds") or ["other"] if not _ATTRIBUTES.search(kind)]

    def _plain(self, where):
        """What was taken away of what would give rights on this host, in words."""
        told = self._ask("plain", piece="plain", destination=where)
        if not told["changed"] + told["removed"]:
            return []
        return [
            "As these files are of another host, %d lost their set-id bits or capabilities, and %d device nodes were "
            "left out (%s). Say special to keep them."
            % (told["changed"], told["removed"], ", ".join(told["examples"]))
        ]

    def _list_owners(self, where):
        args = self.args
        try:
            listing = borg_argv.owners(args["archive"], args["paths"], lock_wait=args["lock_wait"])
            self.call("owners", listing, into=args["owners"])
        except Failure as failure:
            # Borg itself writes nothing here: what was full is the disk that the listing goes to.
            if failure.code != "client_full":
                raise
            raise _full(where) from failure

    def _undo(self, path):
        try:
            self._ask("restore_undo", destination=path)
        except (Failure, AnsibleConnectionFailure) as problem:
            self.say("%s could not be removed again: %s" % (path, problem))

    def _ask(self, operation, piece="restoring", **request):
        text = program([piece], dict(request, op=operation))
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
        # All of them: one that tells of a file is not to be missed for the many that tell of attributes.
        warnings = [line for line in lines if '"levelname": "WARNING"' in line]
        self._heard += len(warnings)
        self._warned += borg_answers.texts_of(warnings)
        super()._lines(lines)


def _full(where):
    return Failure(
        "client_full",
        "The disk that %s lies on is full: not everything could be restored. Make room there, or restore to another "
        "place." % where,
    )
