# SPDX-License-Identifier: GPL-3.0-or-later
"""What drills of databases have in common: a dump is counted, loaded under a name of ours, counted there, dropped."""

from __future__ import annotations

import json
import time

from ansible_collections.cyborg.backup.plugins.module_utils.agent.bundle import source_of
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.load_action import LOAD
from ansible_collections.cyborg.backup.plugins.plugin_utils.vm_program import RUN

#: The arguments of all of them.
DRILL = {name: spec for name, spec in LOAD.items() if name not in ("overwrite", "dry_run")}
#: Begins a database's name: whoever finds one knows whose it is.
NAME = "cyborg_drill_"
_NAMED = 5


class DrillDatabase:
    """Mixin for a `LoadAction`. A subclass gives the script that makes a dump readable, loads it, and counts."""

    #: Whatever it does is undone.
    dry = False

    def name_of_drill(self):
        """What the database is called: no other drill's, nor that of another try."""
        number = (self.job or time.strftime("%Y%m%d%H%M%S", time.gmtime())).replace(".", "_")
        return NAME + number

    def dumped(self, kind, before="", env=None):
        """({table: rows}, number of events) that the dump itself has. `before` is what the counter reads from."""
        program = source_of("drill_rows") + "\nmain(%r)\n" % kind
        script = "%s | {\n%s}\n" % (before, RUN) if before else RUN
        told = self.extract_into(script, step="count", secrets={"PROGRAM": program}, env=dict(env or {}))
        try:
            found = json.loads(told)
            return {bytes.fromhex(name): int(rows) for name, rows in found["tables"].items()}, int(found["events"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Failure("not_proved", "What is in the dump cannot be counted: %r" % told[:200]) from None

    def timed(self, load):
        """Call something; the seconds it took."""
        began = time.monotonic()
        load()
        return round(time.monotonic() - began, 3)

    def compared(self, dumped, loaded, seconds):
        """The outcome, if what is in the database is what the dump says. Raises `Failure`."""
        wrong = ["%s is missing" % _shown(name) for name in sorted(dumped.keys() - loaded.keys())]
        wrong += ["%s is not in the dump" % _shown(name) for name in sorted(loaded.keys() - dumped.keys())]
        wrong += [
            "%s has %d rows, and %d in the dump" % (_shown(name), loaded[name], dumped[name])
            for name in sorted(dumped.keys() & loaded.keys())
            if dumped[name] != loaded[name]
        ]
        if wrong:
            raise Failure(
                "not_proved",
                "What was loaded from %s is not what the dump says: %s%s."
                % (self.args["archive"], "; ".join(wrong[:_NAMED]), " …" if len(wrong) > _NAMED else ""),
            )
        facts = {
            "how": "loaded", "files": 1, "bytes": self.size, "seconds": seconds,
            "tables": len(loaded), "rows": sum(loaded.values()),
        }  # fmt: skip
        return {"facts": facts, "result": dict(facts, changed=False)}


def _shown(name):
    return "the table %s" % name.decode("utf-8", "replace")
