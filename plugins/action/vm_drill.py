# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof that a saved virtual machine boots: see the documentation in plugins/modules/vm_drill.py."""

from __future__ import annotations

import time

from ansible_collections.cyborg.backup.plugins.action.vm_load import ActionModule as Loading
from ansible_collections.cyborg.backup.plugins.module_utils.vm import program
from ansible_collections.cyborg.backup.plugins.plugin_utils.drill_database import DRILL
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.vm_program import RUN, answer_in, answered

IMAGES = "/var/lib/libvirt/images"
#: What boot loaders, kernels and logins say.
CONSOLE = "GRUB|[Bb]ooting|Linux version|login:|Welcome|systemd|Windows|BSD"


class ActionModule(Loading):
    """New images, a machine that is booted without a network, and nothing of both afterwards."""

    dry = False
    ARGUMENTS = dict(
        DRILL,
        folder={"type": "str", "default": IMAGES},
        console={"type": "str", "default": ""},
        seconds={"type": "int", "default": 300},
    )

    def load(self):
        args = self.args
        number = (self.job or time.strftime("%Y%m%d%H%M%S", time.gmtime())).replace(".", "-")
        name = "cyborg-drill-" + number
        folder = "%s/%s" % ((args["folder"] or IMAGES).rstrip("/"), name)
        request = {"folder": folder, "define": False, "into": name, "format": "", "suffix": number, "mark": name}
        try:
            began = time.monotonic()
            answer_in(self.extract_into(RUN, secrets={"PROGRAM": program(dict(request, op="load"))}))
            loaded = round(time.monotonic() - began, 3)
            boot = {"folder": folder, "name": name, "console": args["console"] or CONSOLE, "seconds": args["seconds"]}
            boot["agent"] = not args["console"]
            told = self._program("boot", boot, args["seconds"] + 300)
        finally:
            self._clear({"folder": folder, "name": name})
        seconds = told.get("seconds")
        if told.get("how") not in ("console", "agent") or not isinstance(seconds, (int, float)):
            raise Failure("hostile_answer", "The hypervisor gave an answer that no program of ours gives.")
        said = "its agent answers" if told["how"] == "agent" else "it says: %s" % str(told.get("line"))[:300]
        self.say("The machine is up after %.1f seconds; %s" % (seconds, said))
        facts = {"how": "booted", "files": 1, "bytes": self.size, "seconds": loaded + seconds}
        return {"facts": facts, "result": dict(facts, changed=False)}

    def _program(self, op, request, timeout=600, **asked):
        done = self.shell(op, RUN, secrets={"PROGRAM": program(dict(request, op=op))}, timeout=timeout, **asked)
        return answered(done, op)

    def _clear(self, request):
        try:
            self._program("gone", request, watched=False)
        except Failure as problem:
            self.warn("What this drill left in %s could not be removed: %s" % (request["folder"], problem.message))
