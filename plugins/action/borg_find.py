# SPDX-License-Identifier: GPL-3.0-or-later
"""What a lost backup left in its vault: see the documentation in plugins/modules/borg_find.py."""

from __future__ import annotations

import json
import os

from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers, borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_action import VAULT, BorgAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

#: Between the names of a job's archive and of one of its parts.
SEPARATOR = "+"
#: Reads entries, "type size path" with NUL at the end, and says how many files there are, how large, and which of some
#: paths were not among them.
_COUNT = """\
import json, os, sys
want = {os.fsencode(path).strip(b"/") or b"." for path in json.loads(os.environ["CYBORG_SOURCES"])}
files, size, rest = 0, 0, b""
while True:
    data = sys.stdin.buffer.read(1 << 20)
    *entries, rest = (rest + data).split(b"\\0")
    for entry in entries:
        kind, number, path = entry.split(b" ", 2)
        if kind == b"-":
            files += 1
            size += int(number)
        if want:
            want.discard(path)
    if not data:
        break
print(json.dumps({"files": files, "bytes": size, "missing": sorted(map(os.fsdecode, want))}))
"""
_PIPED = '"$@" | "$CYBORG_PYTHON" -I -S -c "$CYBORG_COUNT"'


class ActionModule(BorgAction):
    """Finds the archives of one attempt, and looks whether each holds what it was made of."""

    ARGUMENTS = dict(
        VAULT,
        archive={"type": "str", "required": True},
        memory_limit={"type": "int", "default": 0},
        cpu_limit={"type": "int", "default": 0},
    )

    def borg(self):
        # New each time: the vault may be looked into more than once for one attempt.
        self._mark = os.urandom(4).hex()
        args, name = self.args, self.args["archive"]
        text = self._asked("list", borg_argv.beginning(name, lock_wait=args["lock_wait"]))
        listed = borg_answers.listed(text, args["repository"], args["repository_id"])["archives"]
        lines = {entry.get("id"): entry.get("command_line") for entry in json.loads(text)["archives"]}
        ours = [entry for entry in listed if entry["name"] == name or entry["name"].startswith(name + SEPARATOR)]
        found = [self._look(entry, borg_argv.sources_of(lines[entry["id"]], entry["name"])) for entry in ours]
        return {"facts": {"found": found}, "result": {"found": found}}

    def _look(self, entry, sources):
        """An archive with its figures, and the sources it was made of that are not in it."""
        argv = borg_argv.entries(entry["name"], lock_wait=self.args["lock_wait"])
        env = {"CYBORG_PYTHON": "{python}", "CYBORG_COUNT": _COUNT, "CYBORG_SOURCES": json.dumps(sources)}
        piped = ["bash", "-o", "pipefail", "-c", _PIPED, "bash", self.args["program"], *argv[1:]]
        told = borg_answers.parsed(
            self._asked("entries of " + entry["name"], piped, env=env, templates=["CYBORG_PYTHON"]), "the listing"
        )
        kinds = {"files": int, "bytes": int, "missing": list}
        if not all(isinstance(told.get(key), kind) for key, kind in kinds.items()):
            raise Failure("unparsable", "What %s holds cannot be read." % entry["name"])
        return {
            "name": entry["name"],
            "id": entry["id"],
            "files": told["files"],
            "bytes": told["bytes"],
            "missing": [str(path) for path in told["missing"]][:100],
        }

    def _asked(self, step, argv, **more):
        given = {"memory": self.args["memory_limit"], "cpu": self.args["cpu_limit"]}
        step = "find %s %s" % (self._mark, step)
        limits = {name: value for name, value in given.items() if value}
        return self.out(step, self.call(step, argv, limits=limits or None, **more))
