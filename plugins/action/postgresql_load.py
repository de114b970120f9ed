# SPDX-License-Identifier: GPL-3.0-or-later
"""A database of PostgreSQL back: see the documentation in plugins/modules/postgresql_load.py."""

from __future__ import annotations

import functools
import time

from ansible_collections.cyborg.backup.plugins.plugin_utils import postgresql, postgresql_load
from ansible_collections.cyborg.backup.plugins.plugin_utils.load_action import LOAD, Failure, LoadAction

#: Seconds that renaming may take: it waits for whoever is in the database.
SWAP_TIME = 600


class ActionModule(LoadAction):
    """Into a new database, or in the place of one; or roles, where they are missing."""

    ARGUMENTS = dict(
        LOAD,
        **postgresql.SERVER,
        into={"type": "str", "default": ""},
        roles={"type": "bool", "default": False},
        owners={"type": "bool", "default": True},
    )

    def load(self):
        args = self.args
        self._env, self._login = postgresql.reached(args, args["password"])
        self._signs = {**postgresql.said_of(args, self.title), **postgresql_load.SAYS}
        if self.file == postgresql.GLOBALS_FILE:
            return self._only_roles()
        target = self._target()
        self._env.update(
            TARGET=target,
            LOADING="%s%s_%s" % (postgresql_load.LOADING, self.vars.get("cyborg_store") or 0, self._number),
            BEFORE=postgresql.derived(target, "_before_" + self._number),
        )
        exists = "There is a database %s on the server already. Give another name (into), or say overwrite." % target
        self._signs['database "%s" already exists' % target] = ("database_exists", exists)
        there = self._look()
        if there and not args["overwrite"]:
            raise Failure("database_exists", exists)
        if self.dry:
            how = "in the place of the database" if there else "into the new database"
            self.say("would load %d bytes (%s) %s %s" % (self.size, self.file, how, target))
        else:
            if args["roles"]:
                self._apply(self._sibling())
            self._bring(there)
        return {"facts": {"database": target}, "result": {"database": target, "replaced": there, "bytes": self.size}}

    # -- names ---------------------------------------------------------------------------------------------

    def _target(self):
        args = self.args
        source = args["part"] or postgresql.name_in(self.file)
        if not args["into"] and not source:
            raise Failure(
                "bad_arguments", "The archive does not tell its database's name. Say into which it goes (into)."
            )
        name = args["into"] or (
            source if args["overwrite"] else postgresql.derived(source, "_restored_" + self._number)
        )
        if name in ("template0", "template1"):
            raise Failure("bad_arguments", "%s is the server's own. Restore into another name (into)." % name)
        return postgresql.database("into", name)

    @functools.cached_property
    def _number(self):
        """What makes names of ours unique: the job, or the moment."""
        return str(self.vars.get("cyborg_job") or time.strftime("%Y%m%d%H%M%S", time.gmtime()))

    # -- steps ---------------------------------------------------------------------------------------------

    def _look(self):
        """Whether the database is there. Notes the roles that are."""
        done = self._run("look", postgresql_load.look)
        told = postgresql_load.looked(done["out"])
        self._there = told["roles"]
        for name in told["left"]:
            self.warn(
                "The database %s is of a restore that is at work, or was killed. If none is at work, drop it." % name
            )
        return told["there"]

    def _run(self, step, script, secrets=None, **asked):
        done = self.shell(step, script, secrets=dict(self._login, **(secrets or {})), env=self._env, **asked)
        if done["rc"]:
            raise postgresql.meant(self._signs, done["err"], "load_failed", "PostgreSQL refused it.")
        return done

    def _bring(self, there):
        self._env.update(OWNERS="yes" if self.args["owners"] else "no", REPLACES="yes" if there else "no")
        try:
            if "not analyzed" in self.extract_into(
                postgresql_load.loaded, secrets=self._login, env=self._env, says=self._signs
            ):
                self.warn("The new database has no statistics yet, so it may be slow. Run ANALYZE in it.")
            # In the middle of it nothing is half: both names change at once. A cancel waits for the end all the same.
            done = self._run("swap", postgresql_load.swapped, timeout=SWAP_TIME, watched=False)
        except Failure as failure:
            _, missing, roles = failure.message.partition(postgresql_load.NO_ROLES)
            if missing:
                failure.message = (
                    "The dump gives things to roles that are not on the server: %s. Restore its roles too (roles), "
                    "make them there, or let everything belong to whoever restores it (owners: false)." % roles.strip()
                )
            left = self.shell(
                "drop", postgresql_load.dropped, secrets=self._login, env=self._env, timeout=SWAP_TIME, watched=False
            )
            if left["rc"]:
                failure.message += " The unfinished database %s could not be dropped: %s" % (
                    self._env["LOADING"], left["err"].strip(),
                )  # fmt: skip
            raise
        if "kept" in done["out"]:
            self.warn(
                "The database that was replaced could not be dropped: it is there as %s. It said: %s"
                % (self._env["BEFORE"], done["err"].strip())
            )

    # -- roles ---------------------------------------------------------------------------------------------

    def _only_roles(self):
        self._env.update(TARGET="", LOADING="", BEFORE="")
        self._look()
        if self.dry:
            self.say("would make the roles of %s that are missing" % self.args["archive"])
            return {"facts": {}, "result": {"roles": []}}
        return {"facts": {}, "result": {"roles": self._apply(self.extract_into("cat"))}}

    def _sibling(self):
        """The archive of roles that the same job made."""
        base, plus, _ = self.args["archive"].rpartition("+")
        if not plus:
            raise Failure(
                "bad_arguments", "The archive %s is of no job that saved roles; leave roles out." % self.args["archive"]
            )
        kept = self.args["archive"], self._file
        self.args["archive"], self._file = base + "+" + postgresql.GLOBALS, postgresql.GLOBALS_FILE
        try:
            return self.extract_into("cat", step="globals")
        except Failure as failure:
            failure.message = "The archive of the roles (%s) cannot be read; restore without roles. %s" % (
                self.args["archive"], failure.message,
            )  # fmt: skip
            raise
        finally:
            self.args["archive"], self._file = kept

    def _apply(self, text):
        statements, made, spaces = postgresql_load.missing_roles(text, self._there)
        if spaces:
            self.say("Tablespaces are not made here; those of the server it came from: %s." % ", ".join(spaces))
        if made:
            self._run("roles", postgresql_load.applied, secrets={"STATEMENTS": statements})
            self.say("Made the roles %s." % ", ".join(made))
        else:
            self.say("All roles are there already; none was changed.")
        return made
