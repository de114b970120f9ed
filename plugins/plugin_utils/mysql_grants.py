# SPDX-License-Identifier: GPL-3.0-or-later
"""What an account of MariaDB or MySQL may do, by SHOW GRANTS, and which GRANT statements it lacks for a dump. Pure.

What an account may not see, the server leaves out without a word, and so does the dump, down to its end marker: so this
is settled before the dump begins.
"""

from __future__ import annotations

import re

from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_names import quoted, unquoted

_NAME = r"`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'|\"(?:[^\"\\]|\"\"|\\.)*\"|[\w$%]+"
_LINE = re.compile(
    r"(?P<verb>GRANT|REVOKE) (?P<what>.+?) ON (?:TABLE )?"
    r"(?:(?P<whole>\*\.\*)|(?P<database>%(n)s)\.(?:\*|(?P<table>%(n)s)))"
    r" (?:TO|FROM) (?P<who>(?:%(n)s)(?:@(?:%(n)s))?)" % {"n": _NAME},
    re.DOTALL,
)
#: Privileges on single columns do not show the whole table.
_COLUMNS = re.compile(r"[A-Z ]+ \((?:[^)`]|`(?:[^`]|``)*`)*\)")
_ALL = frozenset({"ALL", "ALL PRIVILEGES"})
#: The order in which they are named in a statement.
ORDER = ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT", "SHOW CREATE ROUTINE", "SHOW DATABASES")
#: Databases are only seen by whoever may do something in them, or has one of these for the whole server.
_SEES_ALL = ("SHOW DATABASES", "SELECT")


class Grants:
    """The lines of SHOW GRANTS of the current account, with those of its roles that are in force."""

    def __init__(self, lines):
        self._global, self._revoked, self._tables = set(), {}, {}
        self._databases = {}
        for line in lines:
            found = _LINE.match(line)
            if found:
                self._take(found)

    def _take(self, found):
        what = {part.strip().upper() for part in _COLUMNS.sub("", found["what"]).split(",")}
        if found["whole"]:
            self._global |= what if found["verb"] == "GRANT" else set()
            return
        database = unquoted(found["database"])
        if found["verb"] == "REVOKE":
            self._revoked.setdefault(database, set()).update(what)
        elif found["table"]:
            self._tables.setdefault((database, unquoted(found["table"])), set()).update(what)
        else:
            self._databases.setdefault(found["who"], {}).setdefault(database, set()).update(what)

    def may(self, privilege, database=None, table=None):
        """Whether it has a privilege for the server, for a database, or for one table."""
        if database is None:
            return _has(self._global, privilege)
        if _has(self._global, privilege) and not _has(self._revoked.get(database, ()), privilege):
            return True
        if any(_has(_nearest(patterns, database), privilege) for patterns in self._databases.values()):
            return True
        return table is not None and _has(self._tables.get((database, table), ()), privilege)

    def revoked(self, privilege, database):
        """Whether it was taken away for this database alone (MySQL's partial revokes)."""
        return _has(self._revoked.get(database, ()), privilege)

    @property
    def sees_all(self):
        """Whether it sees each database that there is."""
        return any(_has(self._global, privilege) for privilege in _SEES_ALL)


def _has(privileges, privilege):
    return privilege in privileges or not _ALL.isdisjoint(privileges)


def _nearest(patterns, database):
    """The privileges of the entry that the server takes: only the most exact one counts."""
    if database in patterns:
        return patterns[database]
    fitting = [pattern for pattern in patterns if _like(pattern).fullmatch(database)]
    return patterns[max(fitting, key=_exactness)] if fitting else ()


def _like(pattern):
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    special = {"%": ".*", "_": "."}
    return re.compile("".join(special.get(part) or re.escape(part.lstrip("\\") or part) for part in parts), re.DOTALL)


def _exactness(pattern):
    free = re.search(r"(?<!\\)[%_]", pattern)
    return free.start() if free else len(pattern) + 1


def missing(grants, server, databases, *, everything, routines, events, triggers):
    """The GRANT statements that are lacking: {database name, or None for all: [statement]}.

    `databases` are those to dump (as `mysql_server` describes them); `everything`: they are all there are.
    """
    lacking = {}
    for database in databases:
        wanted = ["SELECT", *["SHOW VIEW"] * bool(database.views), *["TRIGGER"] * triggers, *["EVENT"] * events]
        where = _everything_in(database.name)
        pairs = [(privilege, where) for privilege in wanted if not grants.may(privilege, database.name)]
        if routines and not _shows_routines(grants, server, database.name):
            pairs.append(_routine_grant(server))
        if pairs:
            lacking[database.name] = pairs
    if everything and not grants.sees_all:
        # What it does not see may hold anything.
        wanted = ["SELECT", "SHOW VIEW", *["TRIGGER"] * triggers, *["EVENT"] * events]
        lacking = {None: [(privilege, "*.*") for privilege in wanted if not grants.may(privilege)]}
    elif everything and lacking and grants.may("SELECT"):
        # An account for the whole server gets what it lacks for the whole server, as far as nobody took it away.
        named = [(name, pair) for name, pairs in lacking.items() for pair in pairs]
        taken = [pair for name, pair in named if grants.revoked(pair[0], name)]
        others = [pair for _, pair in named if pair not in taken]
        lacking = {None: [(privilege, "*.*") for privilege, _ in others] + taken}
    return {name: _statements(pairs, server) for name, pairs in lacking.items()}


def _shows_routines(grants, server, name):
    """Whether the account may read the bodies of all routines of a database."""
    if not server.mariadb and server.version >= (8, 0, 20):
        return grants.may("SHOW_ROUTINE") or grants.may("SELECT")
    if grants.may("SELECT", "mysql", "proc"):
        return True
    return server.mariadb and server.version >= (11, 3) and grants.may("SHOW CREATE ROUTINE", name)


def _routine_grant(server):
    if not server.mariadb and server.version >= (8, 0, 20):
        return "SHOW_ROUTINE", "*.*"
    return "SELECT", "`mysql`.`proc`"


def _statements(pairs, server):
    """A statement for each thing that privileges are on."""
    found = {}
    for privilege, where in pairs:
        found.setdefault(where, set()).add(privilege)
    return [
        "GRANT %s ON %s TO %s;" % (", ".join(sorted(privileges, key=_rank)), where, server.account)
        for where, privileges in found.items()
    ]


def _rank(privilege):
    return (ORDER.index(privilege) if privilege in ORDER else len(ORDER), privilege)


def statement(privilege, database, account):
    """The statement that gives an account one privilege in a database."""
    return "GRANT %s ON %s TO %s;" % (privilege, _everything_in(database), account)


def _everything_in(database):
    """What is in a database, as GRANT takes it: there `_` and `%` would stand for other letters."""
    return quoted(re.sub(r"([_%])", r"\\\1", database)) + ".*"
