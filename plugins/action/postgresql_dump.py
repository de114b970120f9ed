# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases of PostgreSQL: see the documentation in plugins/modules/postgresql_dump.py."""

from __future__ import annotations

from ansible_collections.cyborg.backup.plugins.plugin_utils import postgresql, postgresql_dump
from ansible_collections.cyborg.backup.plugins.plugin_utils.stream_action import STREAM, Failure, Part, StreamAction


class ActionModule(StreamAction):
    """One archive for each database, and one for what belongs to none: roles and tablespaces."""

    ARGUMENTS = dict(
        STREAM,
        **postgresql.SERVER,
        databases={"type": "raw", "default": None},
        database={"type": "str", "default": ""},
        leave_out={"type": "list", "elements": "str", "default": []},
        globals={"type": "bool", "default": None},
        allow_empty={"type": "bool", "default": False},
    )

    def parts(self):
        args = self.args
        self._title = self.vars.get("cyborg_title") or self.vars.get("inventory_hostname") or "the host"
        self._env, self._login = postgresql.reached(args, args["password"])
        self._signs = postgresql.said_of(args, self._title)
        names = postgresql.named(args)
        known = self._cluster(names)
        wanted, notes = postgresql_dump.chosen(known, names, args["leave_out"])
        for note in notes:
            self.warn(note)
        if names is None:
            wanted = self._with_something(wanted)
        with_globals = args["globals"] if args["globals"] is not None else names is None
        parts = [self._globals(known, wanted)] if with_globals else []
        there = [one["name"] for one in known["databases"]]
        return parts + [self._database(name, known["user"], there, named=names is not None) for name in wanted]

    def _cluster(self, names):
        """Which databases there are, and what we may do."""
        env = dict(self._env, FIRST=names[0]) if names else self._env
        done = self.question("databases", postgresql_dump.cluster(), secrets=self._login, env=env)
        if done["rc"]:
            raise postgresql.meant(self._signs, done["err"], "dump_failed", "PostgreSQL could not be asked.")
        return postgresql_dump.understood(done["out"])

    def _with_something(self, names):
        """All but `postgres`, if that is as empty as it came. Nothing anywhere is a failure, unless it may be."""
        script, env = postgresql_dump.holds(names)
        done = self.question("contents", script, secrets=self._login, env=dict(self._env, **env))
        if done["rc"]:
            raise postgresql.meant(self._signs, done["err"], "dump_failed", "PostgreSQL could not be asked.")
        held = postgresql_dump.answered(done["out"], names)
        if not any(held.values()) and not self.args["allow_empty"]:
            raise Failure(
                "source_empty",
                "There is no database with anything in it on the server. If that can be right, set allow_empty.",
            )
        for name in names:
            if not held[name] and name != "postgres":
                self.say("The database %s is empty." % name)
        return [name for name in names if held[name] or name != "postgres"]

    def _globals(self, known, databases):
        script, env = postgresql_dump.globals_dumped(passwords=known["passwords"])
        if not known["passwords"]:
            self.warn(
                "The roles were saved without their passwords: %s may not read them. Grant it pg_read_all_data, or let "
                "a superuser make the backup." % known["user"]
            )
        taken = postgresql.GLOBALS in databases
        return Part(
            name=postgresql.GLOBALS + " (roles)" if taken else postgresql.GLOBALS,
            file=postgresql.GLOBALS_FILE,
            script=script,
            secrets=self._login,
            env=dict(self._env, **env),
            ends=postgresql_dump.GLOBALS_END,
            counts={"\nCREATE ROLE ": known["roles"]},
            says=dict(self._signs, **postgresql_dump.refused("the roles", known["user"])),
        )

    def _database(self, name, user, there, *, named):
        # Of all databases an empty one is saved for its settings; one that was named should hold something.
        script, env, programs = postgresql_dump.dumped(name, allow_empty=self.args["allow_empty"] or not named)
        own = {
            'database "%s" does not exist' % name: ("source_missing", postgresql_dump.absent(name, there)),
            "cyborg: holds nothing": (
                "source_empty", "The database %s is empty. If that can be right, set allow_empty." % name,
            ),
        }  # fmt: skip
        return Part(
            name=name,
            file=postgresql.file_of(name),
            script=script,
            secrets={**self._login, **programs},
            env=dict(self._env, **env),
            says={**own, **postgresql_dump.refused("the database %s" % name, user), **self._signs},
        )
