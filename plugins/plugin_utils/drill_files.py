# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores files of an archive into a scratch folder, reads them again, and compares them with what Borg says."""

from __future__ import annotations

import os

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.cyborg.backup.plugins.module_utils.agent import AgentError, answer, program
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers, borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

#: Makes the folder for scratch, and takes away what drills of a week ago or this job's earlier tries left in it.
_MAKE = """\
umask 077
above=${SCRATCH%/*} name=${SCRATCH##*/}
mkdir -p -- "$above"
cd -- "$above"
find . -mindepth 1 -maxdepth 1 -name 'drill-*' '(' -mtime +7 -o -name "${name%.*}.*" ')' -exec chmod -R u+rwX {} + \
    -exec rm -rf {} +
mkdir -m 0700 -- "$name"
"""
#: Borg could not give a file what an account without rights cannot give, or a file system does not know.
_ATTRIBUTES = ("xattr", "extended attribute", "ACL", "flags", "Operation not permitted", "Operation not supported")


class DrillFiles:
    """Mixin for a `BorgAction` with `Shell`: `drill_files` does it all."""

    def drill_files(self):
        """The facts of a drill of files. Raises `Failure`, ``not_proved`` where something is not what it was."""
        args = self.args
        self._scratch = os.path.expanduser(args["scratch"]) if self.local else args["scratch"]
        made = self.shell("scratch", _MAKE, env={"SCRATCH": self._scratch})
        if made["rc"]:
            raise Failure("client_full", "The folder %s cannot be made: %s" % (self._scratch, made["err"].strip()))
        try:
            return self._compared(args)
        finally:
            self._clear()

    def _compared(self, args):
        name, wait = args["archive"], {"lock_wait": args["lock_wait"]}
        whole, paths, notes = not args["sample_files"], [], []
        if not whole:
            listing = self._scratch + "/listing"
            self.call("listing", borg_argv.listed(name, (), "type", "size", **wait), into=listing)
            seed = "%s %s" % (self.vars.get("cyborg_store") or 0, self.command_id("seed"))
            told = self._piece(
                "choose", "drill_choose", listing=listing, files=args["sample_files"],
                bytes=args["sample_bytes"] or 2**62, seed=seed,
            )  # fmt: skip
            paths = [str(path) for path, _size in told["chosen"]]
            if not paths:
                raise Failure(
                    "unsupported",
                    "None of the %d files in %s fits into the sample: allow it more bytes, or say whole."
                    % (told["files"], name),
                )
            notes = _left_out(told)
        folder = self._scratch + "/files"
        self._warned = []
        argv = borg_argv.extract(name, paths, **wait)
        reply = self.call("extract", argv, cwd={"new": folder})
        self._extracted(reply["result"])
        hashes = self._scratch + "/hashes"
        argv = borg_argv.listed(name, paths, "type", "size", "sha256", **wait)
        self.call("hashes", argv, into=hashes)
        told = self._piece("compare", "drill_compare", listing=hashes, folder=folder)
        if told["differ"] or not told["entries"] or (paths and told["entries"] < len(paths)):
            raise Failure(
                "not_proved",
                "%d of the %d entries that were restored from %s are not what they were: %s"
                % (told["differ"], told["entries"], name, "; ".join(map(str, told["wrong"])) or "some did not come"),
            )
        seconds = float(reply["result"].get("seconds") or 0)
        facts = {
            "how": "all" if whole else "sample", "files": told["files"], "bytes": told["bytes"], "seconds": seconds,
        }  # fmt: skip
        # Some of them by name: the library compares these with its catalogue.
        return {"facts": dict(facts, sampled=told["sampled"]), "warnings": notes, "result": facts}

    def _extracted(self, result):
        """Warnings that are not of attributes: something did not come."""
        texts = list(dict.fromkeys([*self._warned, *_warnings(result.get("tail"))]))
        grave = [text for text in texts if not any(sign in text for sign in _ATTRIBUTES)]
        if any("No space left" in text for text in grave):
            raise Failure("client_full", "The disk of %s is full; the archive was not looked at." % self._scratch)
        if result.get("rc") and (grave or not texts):
            raise Failure("not_proved", "Not everything could be restored: %s" % ("; ".join(grave[-3:]) or "no reason"))

    def _lines(self, lines):
        if hasattr(self, "_warned"):
            self._warned = (self._warned + _warnings(lines))[-1000:]
        super()._lines(lines)

    def _piece(self, step, operation, **request):
        """Let a piece work as a command of the job, however long it takes: gives its answer."""
        stdin = program(["drilling"], dict(request, op=operation)).decode("ascii")
        reply = self.command(
            step, ["{python}", "-I", "-S", "-"], stdin=stdin, templates=[0], forget=False, timeout=self.timeout(),
            keep=False,
        )  # fmt: skip
        self._left(step, reply["result"])
        if reply["result"].get("timed_out"):
            raise Failure("timeout", "The drill was not done within the time that the job has; it was ended.")
        try:
            told = answer(self.out(step, reply))
        except AgentError as problem:
            message = "What was restored could not be looked at (%s): %s"
            raise Failure("internal", message % (problem, problem.tail)) from problem
        if told.get("state") != "done":
            raise self.refused(told)
        return told

    def _clear(self):
        """Remove scratch, whatever happened, and whatever modes old files have."""
        try:
            told = self.answer_of(program(["restoring"], {"op": "restore_undo", "destination": self._scratch}))
            problem = "" if told.get("state") == "done" else str((told.get("error") or {}).get("message"))
        except (Failure, AgentError, AnsibleConnectionFailure) as error:
            problem = str(error)
        if problem:
            self.say("%s could not be removed; a later drill on this host does it: %s" % (self._scratch, problem))


def _warnings(lines):
    return borg_answers.texts_of([line for line in lines or () if '"levelname": "WARNING"' in line])


def _left_out(told):
    found = []
    if told["odd"]:
        found.append("%d files whose names Borg cannot show were not among those to choose from." % told["odd"])
    if told["large"]:
        found.append("%d files are larger than the whole sample may be, and are never in it." % told["large"])
    return found
