# SPDX-License-Identifier: GPL-3.0-or-later
"""Proof that a dump of PostgreSQL loads: see the documentation in plugins/modules/postgresql_drill.py."""

from __future__ import annotations

import json

from ansible_collections.cyborg.backup.plugins.action.postgresql_load import SWAP_TIME
from ansible_collections.cyborg.backup.plugins.plugin_utils import postgresql, postgresql_load
from ansible_collections.cyborg.backup.plugins.plugin_utils.drill_database import DRILL, DrillDatabase
from ansible_collections.cyborg.backup.plugins.plugin_utils.load_action import Failure, LoadAction

#: pg_restore makes text of the data, whose beginning it reads first.
_COUNT = postgresql.PRELUDE + "as pg_restore --data-only -f -"
_ROWS = r"""
PGDATABASE=$LOADING ask <<'SQL'
select json_object_agg(quote_ident(n.nspname) || '.' || quote_ident(c.relname),
    (xpath('/row/c/text()', query_to_xml(format('select count(*) as c from only %I.%I', n.nspname, c.relname),
        false, true, '')))[1]::text::bigint)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_toast'
    and not exists (select from pg_depend d where d.objid = c.oid and d.classid = 'pg_class'::regclass
        and d.deptype = 'e');
SQL
"""


class ActionModule(DrillDatabase, LoadAction):
    """Into a database of a name that nobody else uses, which is dropped whatever happens."""

    ARGUMENTS = dict(DRILL, **postgresql.SERVER)

    def load(self):
        args = self.args
        self._env, self._login = postgresql.reached(args, args["password"])
        self._signs = {**postgresql.said_of(args, self.title), **postgresql_load.SAYS}
        if self.file == postgresql.GLOBALS_FILE:
            text = []
            seconds = self.timed(lambda: text.append(self.extract_into("cat")))
            roles = postgresql_load.missing_roles(text[0], [])[1]
            if not roles:
                raise Failure("not_proved", "The archive %s of roles names no role." % args["archive"])
            facts = {"how": "read", "files": 1, "bytes": self.size, "seconds": seconds}
            return {"facts": facts, "result": dict(facts, changed=False)}
        dumped, _events = self.dumped("postgresql", before=_COUNT, env=self._env)
        self._env.update(TARGET="", LOADING=self.name_of_drill(), BEFORE="", OWNERS="no", REPLACES="no")
        try:
            seconds = self.timed(
                lambda: self.extract_into(
                    postgresql_load.loaded, secrets=self._login, env=self._env, says=self._signs
                )
            )
            done = self._run("rows", postgresql.PRELUDE + _ROWS)
        finally:
            left = self.shell(
                "gone", postgresql_load.dropped, secrets=self._login, env=self._env, timeout=SWAP_TIME, watched=False
            )
            if left["rc"]:
                told = (self._env["LOADING"], left["err"].strip())
                self.warn("The database %s of this drill could not be dropped: %s" % told)
        try:
            told = json.loads(done["out"].strip() or "null") or {}
            loaded = {name.encode("utf-8", "surrogateescape"): int(rows) for name, rows in told.items()}
        except (ValueError, TypeError, AttributeError):
            raise Failure("unparsable", "The rows cannot be counted: %r" % done["out"][:200]) from None
        return self.compared(dumped, loaded, seconds)

    def _run(self, step, script):
        done = self.shell(step, script, secrets=self._login, env=self._env)
        if done["rc"]:
            raise postgresql.meant(self._signs, done["err"], "load_failed", "PostgreSQL refused it.")
        return done
