# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases of MariaDB or MySQL: see the documentation in plugins/modules/mysql_dump.py."""

from __future__ import annotations

import shlex

from ansible_collections.cyborg.backup.plugins.plugin_utils import mysql_dump_script, mysql_grants, mysql_server
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_login import (
    LOGIN,
    meaning,
    option_file,
    prelude,
    says,
)
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_names import OWN, file_of, listed, nearest
from ansible_collections.cyborg.backup.plugins.plugin_utils.stream_action import STREAM, Failure, Part, StreamAction

#: What a dump holds besides tables and views, each an option of its own.
KINDS = ("routines", "events", "triggers")
_EXECUTE = "A view calls a function, which the account has to be able to run so that the view can be described: %s"


class ActionModule(StreamAction):
    """One archive for each database."""

    ARGUMENTS = dict(
        STREAM,
        **LOGIN,
        databases={"type": "raw", "default": None},
        database={"type": "str", "default": ""},
        leave_out={"type": "list", "elements": "str", "default": []},
        allow_empty={"type": "bool", "default": False},
        **{kind: {"type": "bool", "default": True} for kind in KINDS},
    )

    def parts(self):
        args = self.args
        named = names_of(args["databases"], args["database"])
        if named and args["leave_out"]:
            raise Failure(
                "bad_arguments", "Name the databases, or leave some out of all (leave_out); both together say nothing."
            )
        try:
            self._secret = {"MY_CNF": option_file(args["password"])}
        except ValueError as problem:
            raise Failure("bad_arguments", "This password cannot be right: %s." % problem) from problem
        server = self._asked()
        parts = self._named(server, named) if named else self._all(server)
        without = [kind for kind in KINDS if not args[kind]]
        if without:
            self.warn("The backup holds no %s, as the policy says." % " and no ".join(without))
        return parts

    def _asked(self):
        """The server, as it describes itself."""
        script = prelude(self.args) + "sql <<'END'\n%sEND\n" % mysql_server.QUESTION
        done = self.question("databases", script, secrets=self._secret)
        if done["rc"]:
            code, sentence = meaning(self.args, done["err"]) or ("dump_failed", "The server could not be asked.")
            raise Failure(code, "%s It said: %s" % (sentence, done["err"].strip() or "nothing"))
        try:
            return mysql_server.Server(done["out"])
        except (mysql_server.Unexpected, ValueError, TypeError) as problem:
            raise Failure("unparsable", "The server's description of itself cannot be read: %s." % problem) from problem

    def _missing(self, server, databases, everything):
        wanted = {kind: self.args[kind] for kind in KINDS}
        return mysql_grants.missing(server.grants, server, databases, everything=everything, **wanted)

    # -- all of them ---------------------------------------------------------------------------------------

    def _all(self, server):
        left_out = self.args["leave_out"]
        for name in left_out:
            if name not in server.databases:
                self.warn("The database %s, which is to be left out, is not there." % name)
        chosen = [database for name, database in sorted(server.databases.items()) if name not in left_out]
        lacking = self._missing(server, chosen, True)
        if lacking:
            statements = list(dict.fromkeys(text for texts in lacking.values() for text in texts))
            raise Failure("grants_missing", refusal(server, statements))
        users = [database for database in chosen if database.name != OWN]
        if all(database.empty for database in users) and not self.args["allow_empty"]:
            raise Failure(
                "source_empty",
                "There is no database with anything in it on the server, but for its own (%s). If that can be right, "
                "set allow_empty." % OWN,
            )
        for database in users:
            if database.empty:
                self.say("The database %s is empty." % database.name)
        return [self._part(database, server.account) for database in chosen]

    # -- some of them --------------------------------------------------------------------------------------

    def _named(self, server, named):
        there = [server.databases[name] for name in named if name in server.databases]
        lacking = self._missing(server, there, False)
        parts, refused = [], {}
        for name in named:
            problem = self._problem(server, name, lacking.get(name))
            if problem:
                refused[name] = problem
            parts.append(_refused(name, *problem) if problem else self._part(server.databases[name], server.account))
        if len(refused) == len(parts):
            code = next(iter(refused.values()))[0]
            raise Failure(code, " ".join(sentence for _, sentence in refused.values()))
        return parts

    def _problem(self, server, name, statements):
        """Why a database cannot be dumped: (code, sentence), or None."""
        if name not in server.databases:
            meant = nearest(name, server.databases)
            hint = "Did you mean %s?" % meant if meant else "There are: %s." % listed(server.databases)
            return "source_missing", "There is no database %s on the server, or the account %s may not see it. %s" % (
                name, server.account, hint,
            )  # fmt: skip
        if statements:
            return "grants_missing", refusal(server, statements)
        if server.databases[name].empty and not self.args["allow_empty"]:
            return "source_empty", "The database %s is empty. If that can be right, set allow_empty." % name
        return None

    def _part(self, database, account):
        args = self.args
        if database.name != OWN:
            for sentence in mysql_server.warnings(database):
                self.warn(sentence)
        grant = mysql_grants.statement("EXECUTE", database.name, account)
        return Part(
            name=database.name,
            file=file_of(database.name),
            script=mysql_dump_script.dump(args, database),
            secrets=self._secret,
            ends=mysql_dump_script.END,
            counts=mysql_server.counts(database, **{kind: args[kind] for kind in KINDS}),
            says=dict(says(args), **{"(1370)": ("grants_missing", _EXECUTE % grant)}),
        )


def names_of(databases, database):
    """The databases that were named, each once: one text is one name, whatever is in it."""
    found = databases if isinstance(databases, (list, tuple)) else [databases]
    if any(isinstance(name, (dict, list, bool)) for name in found):
        raise Failure("bad_arguments", "databases is one name, or a list of names.")
    names = [str(name) for name in [*found, database] if name not in (None, "")]
    return list(dict.fromkeys(names))


def refusal(server, statements):
    """The sentence for an account that may not see everything."""
    return (
        "The account %s may not read all that this backup is to hold, and what it may not read would be missing "
        "without a word. Run on the server: %s" % (server.account, " ".join(statements))
    )


def _refused(name, code, sentence):
    """A part that fails with a sentence, so that the others are made."""
    script = "printf '%%s\\n' %s >&2\nexit 1\n" % shlex.quote("cyborg: refused")
    return Part(name=name, file=file_of(name), script=script, says={"cyborg: refused": (code, sentence)})
