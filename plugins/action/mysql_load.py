# SPDX-License-Identifier: GPL-3.0-or-later
"""A database of MariaDB or MySQL back: see the documentation in plugins/modules/mysql_load.py."""

from __future__ import annotations

import time

from ansible_collections.cyborg.backup.plugins.plugin_utils import mysql_load_script
from ansible_collections.cyborg.backup.plugins.plugin_utils.load_action import LOAD, Failure, LoadAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_load_script import PUT_BACK, SPLIT
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_login import LOGIN, meaning, option_file, says
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_names import (
    LONGEST,
    MADE_UP,
    OWN,
    listed,
    made,
    name_in,
    unhexed,
)

#: Seconds that the change of places may take: definitions only, and locks of whoever uses the tables.
SWAP_TIME = 1800
_LARGE = (
    "load_failed",
    "A row of the archive is larger than the server takes at once. Raise its max_allowed_packet (to 1G), and restore "
    "again.",
)
_THERE = ("database_exists", "There is a database of that name on the server already. Give another name (into).")
_FULL = ("client_full", "The disk of the server is full.")
#: Signs of what can go wrong while a dump is loaded.
SAYS = {
    "ERROR 1007": _THERE,
    "(1356)": (
        "load_failed",
        "The old database holds a view that cannot be read any more, as what it refers to is gone. Drop that view, or "
        "restore into a new database.",
    ),
    "ERROR 1153": _LARGE,
    "ERROR 2020": _LARGE,
    "ERROR 2006": (
        "load_failed",
        "The server broke off the connection: a row of the archive may be larger than it takes at once "
        "(max_allowed_packet), or it ended.",
    ),
    "ERROR 2013": ("load_failed", "The server ended, or broke off the connection, while the archive was loaded."),
    "ERROR 1114": _FULL,
    "rror: 28 ": _FULL,
    "errno: 28": _FULL,
    "ERROR 1227": (
        "grants_missing",
        "The archive holds views, triggers, routines or events of other accounts (DEFINER), and the account may not "
        "make such. Restore as an administrator, or grant it SET USER (MySQL: SET_USER_ID).",
    ),
    "ERROR 1044": (
        "grants_missing",
        "The account may not make or fill this database. Restore as an administrator: with another user and password, "
        "or with empty ones as the login itself.",
    ),
    "ERROR 1142": ("grants_missing", "The account may not make all of the archive. Restore as an administrator."),
    "ERROR 1273": (
        "load_failed",
        "The server does not know a collation of the archive: it is older than the one that it came from.",
    ),
}  # fmt: skip


class ActionModule(LoadAction):
    """Into a new database, or in the place of one."""

    ARGUMENTS = dict(LOAD, **LOGIN, into={"type": "str", "default": ""})

    def load(self):
        args = self.args
        try:
            self._secret = {"MY_CNF": option_file(args["password"])}
        except ValueError as problem:
            raise Failure("bad_arguments", "This password cannot be right: %s." % problem) from problem
        target = self._target()
        there, referred = self._look(target)
        if there and not args["overwrite"]:
            raise Failure(
                "database_exists",
                "There is a database %s on the server already. Give another name (into), or say overwrite." % target,
            )
        if referred:
            raise Failure(
                "load_failed",
                "Foreign keys of other databases refer to tables of %s (%s), and would refer to the old ones. Restore "
                "into a new database, or drop those keys first." % (target, listed(referred)),
            )
        how = "in the place of the database" if there else "into the new database"
        if self.dry:
            self.say("would load %d bytes (%s) %s %s" % (self.size, self.file, how, target))
        elif there:
            self._replace(target)
        else:
            self._new(target)
        return {"facts": {"database": target}, "result": {"database": target, "replaced": there, "bytes": self.size}}

    # -- names ---------------------------------------------------------------------------------------------

    def _target(self):
        args = self.args
        source = args["part"] or name_in(self.file)
        number = str(self.vars.get("cyborg_job") or self._number())
        target = args["into"] or (source if args["overwrite"] else made(source, "restored_" + number))
        if not target or len(target) > LONGEST or target != target.rstrip():
            raise Failure(
                "bad_arguments",
                "%r is no name for a database: 1 to %d characters, no blank at the end." % (target, LONGEST),
            )
        if target.lower() in (OWN, *MADE_UP):
            raise Failure(
                "bad_arguments",
                "%s is the server's own and cannot be replaced while it runs. Restore into another name (into), and "
                "take from there what you need; the README of the role policy_mysql shows how." % target,
            )
        return target

    def _number(self):
        """What makes names of ours unique: the job and its attempt, or the moment."""
        return (self.job or time.strftime("%Y%m%d%H%M%S", time.gmtime())).replace(".", "_")

    # -- steps ---------------------------------------------------------------------------------------------

    def _look(self, target, step="look"):
        """(whether it is there, tables of other databases that refer to it)."""
        rows = [line.split("\t") for line in self._sql(step, mysql_load_script.look(self.args, target)).splitlines()]
        self._events = sum(int(row[1]) for row in rows if row[0] == "event")
        referred = ["%s.%s" % (unhexed(row[1]), unhexed(row[2])) for row in rows if row[0] == "referred"]
        return any(row[0] == "there" for row in rows), referred

    def _sql(self, step, script, **asked):
        done = self.shell(step, script, secrets=self._secret, **asked)
        if done["rc"]:
            raise self._failure(done["err"])
        return done["out"]

    def _failure(self, words):
        found = meaning(self.args, words) or next((SAYS[sign] for sign in SAYS if sign in words), None)
        code, sentence = found or ("load_failed", "The server refused it.")
        return Failure(code, "%s It said: %s" % (sentence, words.strip() or "nothing"))

    def _new(self, target):
        self._sql("create", mysql_load_script.create(self.args, target))
        self._load(target)
        self._look(target, "look again")
        if self._events:
            self.warn(
                "%d events of the database %s are enabled, as they were where it came from. If they should not run "
                "here, say ALTER EVENT … DISABLE." % (self._events, target)
            )

    def _load(self, name):
        """The archive into a database of ours, which is removed if that fails."""
        try:
            says_ = dict(says(self.args), **SAYS)
            self.extract_into(mysql_load_script.load(self.args, name), secrets=self._secret, says=says_)
        except Failure as failure:
            done = self.shell("drop", mysql_load_script.drop(self.args, name), secrets=self._secret, watched=False)
            if done["rc"]:
                failure.message += " The unfinished database %s could not be removed: %s" % (name, done["err"].strip())
            raise

    def _replace(self, target):
        number = self._number()
        staging, kept, outline = ("cyborg_%s_%s" % (number, role) for role in ("staging", "kept", "outline"))
        self._sql("create", mysql_load_script.create(self.args, staging))
        self._load(staging)
        script = mysql_load_script.swap(self.args, target, staging, kept, outline)
        # Half of it would be worse than all or nothing, so a cancel waits for its end.
        done = self.shell("swap", script, secrets=self._secret, timeout=SWAP_TIME, watched=False)
        if done["rc"] == 0:
            if "leftovers stay" in done["err"]:
                self.warn("The databases %s could not be removed: %s" % (listed([staging, kept, outline]), done["err"]))
            return
        failure = self._failure(done["err"])
        if done["rc"] == SPLIT or done["rc"] not in (PUT_BACK, mysql_load_script.UNTOUCHED):
            failure.message += (
                " The old database could not be put together again. Nothing of it is lost: its tables are in %s or "
                "still in %s, its definitions in %s; what the archive holds is in %s. The README of the role "
                "policy_mysql says what to do." % (kept, target, outline, staging)
            )
        else:
            failure.message += " The database %s is as it was." % target
        raise failure
