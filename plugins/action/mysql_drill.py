# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof that a dump of MariaDB or MySQL loads: see the documentation in plugins/modules/mysql_drill.py."""

from __future__ import annotations

from ansible_collections.cyborg.backup.plugins.action.mysql_load import ActionModule as Loading
from ansible_collections.cyborg.backup.plugins.plugin_utils import mysql_load_script
from ansible_collections.cyborg.backup.plugins.plugin_utils.drill_database import DRILL, DrillDatabase
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_login import LOGIN, option_file, prelude
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_names import hexed, quoted, unhexed

_SCHEDULER = "SELECT @@GLOBAL.event_scheduler"
_TABLES = (
    "SELECT HEX(TABLE_NAME) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
    " AND TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"
)


class ActionModule(DrillDatabase, Loading):
    """Into a database of a name that nobody else uses, which is dropped whatever happens."""

    ARGUMENTS = dict(DRILL, **LOGIN)

    def load(self):
        try:
            self._secret = {"MY_CNF": option_file(self.args["password"])}
        except ValueError as problem:
            raise Failure("bad_arguments", "This password cannot be right: %s." % problem) from problem
        name = self.name_of_drill()
        dumped, events = self.dumped("mysql")
        if events and self._asked("scheduler", _SCHEDULER).strip().upper() == "ON":
            raise Failure(
                "unsupported",
                "The dump holds %d events, which this server would run: it has its event_scheduler on. A server for "
                "drills has it off: SET GLOBAL event_scheduler = OFF." % events,
            )
        self._sql("create", mysql_load_script.create(self.args, name))
        try:
            seconds = self.timed(lambda: self._load(name))
            loaded = self._counted(name)
        finally:
            done = self.shell("gone", mysql_load_script.drop(self.args, name), secrets=self._secret, watched=False)
            if done["rc"]:
                self.warn("The database %s of this drill could not be dropped: %s" % (name, done["err"].strip()))
        return self.compared(dumped, loaded, seconds)

    def _asked(self, step, query):
        script = prelude(self.args) + 'sql < "$QUERY"\n'
        done = self.shell(step, script, secrets=dict(self._secret, QUERY=query + ";\n"))
        if done["rc"]:
            raise self._failure(done["err"])
        return done["out"]

    def _counted(self, name):
        tables = self._asked("tables", _TABLES % hexed(name)).split()
        counts = [
            "SELECT '%s', COUNT(*) FROM %s.%s" % (table, quoted(name), quoted(unhexed(table)))  # noqa: S608 - quoted
            for table in tables
        ]
        rows = [line.split("\t") for line in self._asked("rows", ";\n".join(counts) or "DO 0").splitlines()]
        return {bytes.fromhex(table).replace(b"`", b"``"): int(number) for table, number in rows}
