# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual machine brought back: see the documentation in plugins/modules/vm_load.py."""

from __future__ import annotations

import time

from ansible_collections.cyborg.backup.plugins.module_utils.vm import program
from ansible_collections.cyborg.backup.plugins.plugin_utils.load_action import LOAD, Failure, LoadAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.shell import said
from ansible_collections.cyborg.backup.plugins.plugin_utils.vm_program import (
    RUN,
    answer_in,
    answered,
    failure_in,
    sentences,
)


class ActionModule(LoadAction):
    """New images and a new domain, which is not started."""

    ARGUMENTS = dict(
        LOAD,
        folder={"type": "str", "default": ""},
        define={"type": "bool", "default": True},
        into={"type": "str", "default": ""},
        format={"type": "str", "choices": ["", "raw", "qcow2"], "default": ""},
    )

    def load(self):
        args = self.args
        if args["overwrite"]:
            raise Failure(
                "bad_arguments",
                "A virtual machine is never overwritten. Restore it under a new name (into), and put it in the other "
                "one's place yourself.",
            )
        if args["format"] not in ("", "raw", "qcow2"):
            raise Failure("bad_arguments", "The format of images is raw or qcow2, not %s." % args["format"])
        job = self.vars.get("cyborg_job")
        request = {
            "folder": args["folder"],
            "define": args["define"],
            "into": args["into"],
            "format": args["format"],
            "suffix": str(job) if job is not None else time.strftime("%Y%m%d%H%M%S", time.gmtime()),
            "mark": self.command_id("load"),
        }
        if self.dry:
            return self._planned(request)
        told = answer_in(self.extract_into(RUN, secrets={"PROGRAM": program(dict(request, op="load"))}))
        name, folder = str(told.get("name")), str(told.get("folder"))
        what = "is defined as %s, and not started" % name if args["define"] else "can be defined from its domain.xml"
        self.say("The virtual machine lies in %s and %s." % (folder, what))
        facts = {"destination": folder, "domain": name if args["define"] else ""}
        return {"facts": facts, "warnings": sentences(told.get("notes")), "result": facts}

    def _planned(self, request):
        step = "plan"
        told = answered(self.shell(step, RUN, secrets={"PROGRAM": program(dict(request, op="plan"))}), step)
        name = told.get("into") or "a name of its own (<name>-restored-%s)" % request["suffix"]
        where = told.get("folder") or "a new folder beside the images it was saved from"
        self.say("would bring %d bytes back to %s, as %s" % (self.size, where, name))
        return {"facts": {}, "result": {"destination": request["folder"]}}

    def _judge(self, reply):
        result = reply["result"]
        failure = failure_in(said(result)) if result.get("rc") else None
        # "The stream ended too early" is only the sign of what Borg has to say.
        if failure is not None and failure.code != "load_failed":
            raise failure
        super()._judge(reply)
