# SPDX-License-Identifier: GPL-3.0-or-later
"""A virtual machine as an archive: see the documentation in plugins/modules/vm_dump.py."""

from __future__ import annotations

import os

from ansible_collections.cyborg.backup.plugins.module_utils.vm import program
from ansible_collections.cyborg.backup.plugins.plugin_utils.stream_action import STREAM, Failure, Part, StreamAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.vm_program import RUN, answered, failure_in, sentences

#: What the stream is called in the archive.
FILE = "machine.tar"
#: Seconds that the end of a backup may take after Borg's.
PATIENCE = 60
CONSISTENCY = {
    "filesystems": "The guest's file systems were frozen at the moment of the backup, for %.2f seconds.",
    "crash": "The guest was not quiesced: its disks are as after a power cut, all at one moment.",
    "shut off": "The virtual machine is shut off.",
}


class ActionModule(StreamAction):
    """One domain of libvirt, one archive. Whatever happens, the hypervisor is cleaned up after it."""

    ARGUMENTS = dict(
        STREAM,
        name={"type": "str", "required": True},
        leave_out={"type": "list", "elements": "str", "default": []},
        quiesce={"type": "str", "choices": ["auto", "required", "never"], "default": "auto"},
        scratch={"type": "str", "default": "/var/lib/libvirt/cyborg"},
        keep_free={"type": "int", "default": 1024},
    )

    def borg(self):
        self._begun = False
        try:
            outcome = super().borg()
        except Failure:
            self._clean()
            raise
        self._clean()
        return outcome

    def parts(self):
        args = self.args
        if args["quiesce"] not in ("auto", "required", "never"):
            raise Failure("bad_arguments", "quiesce is auto, required or never, not %s." % args["quiesce"])
        self._request = {
            "name": args["name"],
            "leave_out": args["leave_out"],
            "quiesce": args["quiesce"],
            "scratch": args["scratch"].rstrip("/"),
            "keep_free": args["keep_free"] * 1024 * 1024,
            # Of this attempt alone: what bears it was made by it.
            "mark": self.job or "0.%d" % int.from_bytes(os.urandom(6), "big"),
            "tidy": not self.check,
        }
        step = "look at the virtual machine"
        found = answered(self.question(step, RUN, secrets={"PROGRAM": self._program("look")}), step)
        for note in sentences(found.get("notes")):
            self.warn(note)
        self._begun = not self.check
        return [Part(name="", file=FILE, script=RUN, secrets={"PROGRAM": self._program("backup")})]

    def _program(self, op, **more):
        return program(dict(self._request, op=op, **more))

    def _judge_dump(self, code, words):
        if failure := failure_in(words):
            raise failure
        super()._judge_dump(code, words)

    def _clean(self):
        """See to it that nothing of the backup is left there, and tell what it noted."""
        if not self._begun:
            return
        step = "clean up on the hypervisor"
        try:
            secrets = {"PROGRAM": self._program("clean", patience=PATIENCE)}
            told = answered(self.shell(step, RUN, secrets=secrets, watched=False), step)
        except Failure as failure:
            self.warn("%s The next backup of this virtual machine looks after it again." % failure.message)
            return
        for note in sentences(told.get("notes")):
            self.warn(note)
        sentence = CONSISTENCY.get(str(told.get("consistency")))
        if sentence:
            seconds = told.get("frozen_seconds")
            self.say(sentence % (seconds if isinstance(seconds, (int, float)) else 0) if "%" in sentence else sentence)
