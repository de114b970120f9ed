# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof that an archive can be restored: see the documentation in plugins/modules/borg_drill.py."""

from __future__ import annotations

import re
import time

from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.drill_files import DrillFiles
from ansible_collections.cyborg.backup.plugins.plugin_utils.load_action import LOAD, Failure, LoadAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.script import texts

_HASH = "sha256sum | cut -c 1-64"
_SHA256 = re.compile(r"[0-9a-f]{64}")


class ActionModule(DrillFiles, LoadAction):
    """Files into scratch; a stream into nothing, or into a command that looks at it."""

    ARGUMENTS = dict(
        {name: spec for name, spec in LOAD.items() if name not in ("overwrite", "dry_run")},
        stream={"type": "bool", "default": False},
        scratch={"type": "str", "default": "/var/tmp/cyborg-drills/drill-0.0"},  # noqa: S108 - made by root alone
        sample_files={"type": "int", "default": 0},
        sample_bytes={"type": "int", "default": 0},
        command={"type": "str", "default": "", "no_log": True},
        environment={"type": "dict", "default": {}},
        memory_limit={"type": "int", "default": 0},
        cpu_limit={"type": "int", "default": 0},
    )

    def borg(self):
        if self.args["stream"]:
            self._file, self._size = self._stream()
            return self.load()
        self.identify()
        return self.drill_files()

    def call(self, step, argv, **asked):
        """On the controller Borg reads what clients wrote: it may not take all of that."""
        given = {"memory": self.args["memory_limit"], "cpu": self.args["cpu_limit"]}
        return super().call(step, argv, limits={name: value for name, value in given.items() if value}, **asked)

    def load(self):
        args = self.args
        began = time.monotonic()
        told = self.extract_into(_HASH).strip()
        seconds = time.monotonic() - began
        argv = borg_argv.listed(args["archive"], [self.file], "size", "sha256", lock_wait=args["lock_wait"])
        said = self.out("hashes", self.call("hashes", argv)).split("\t")
        if not _SHA256.fullmatch(told) or said[:2] != [str(self.size), told]:
            raise Failure(
                "not_proved",
                "The stream in %s has the SHA-256 %s when it is restored, and Borg says %s of %s bytes (the archive's "
                "%d)." % (args["archive"], told or "none", said[1:2], said[0], self.size),
            )
        how = "read"
        if args["command"].strip():
            for line in self.extract_into(args["command"], step="command", env=texts(args["environment"])).splitlines():
                self.say(line)
            how = "verified"
        facts = {"how": how, "files": 1, "bytes": self.size, "seconds": round(seconds, 3)}
        return {"facts": facts, "result": dict(facts)}
