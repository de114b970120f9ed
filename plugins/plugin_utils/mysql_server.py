# SPDX-License-Identifier: GPL-3.0-or-later
"""What a MariaDB or MySQL server holds: what it is asked, what is made of that, and what a dump must then hold. Pure.

Names come in hexadecimal, so none of them can be taken for anything else.
"""

from __future__ import annotations

import re

from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_grants import Grants
from ansible_collections.cyborg.backup.plugins.plugin_utils.mysql_names import MADE_UP, OWN, listed, quoted, unhexed

#: How many tables are named in a warning's question.
_SOME = 50
_TABLES = "TABLE_TYPE IN ('BASE TABLE', 'SYSTEM VERSIONED')"
_OUTSIDE = "CAST(TABLE_SCHEMA AS BINARY) NOT IN (%s)" % ", ".join("'%s'" % name for name in (*MADE_UP, OWN))

#: Everything in one conversation. The lines of SHOW GRANTS come last, and have no mark of their own. Names are compared
#: as bytes: the server takes `Shop` and `shop` for the same text.
QUESTION = """\
SELECT 'server', VERSION(), HEX(CURRENT_USER());
SELECT 'database', HEX(SCHEMA_NAME), DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME
  FROM information_schema.SCHEMATA;
SELECT 'table', HEX(TABLE_SCHEMA), TABLE_TYPE, COALESCE(ENGINE, ''), COUNT(*)
  FROM information_schema.TABLES GROUP BY HEX(TABLE_SCHEMA), TABLE_TYPE, ENGINE;
SELECT 'plain', HEX(TABLE_SCHEMA), HEX(TABLE_NAME) FROM information_schema.TABLES
  WHERE %(tables)s AND %(outside)s
  AND ENGINE NOT IN (SELECT ENGINE FROM information_schema.ENGINES WHERE TRANSACTIONS = 'YES') LIMIT %(some)d;
SELECT 'versioned', HEX(TABLE_SCHEMA), HEX(TABLE_NAME) FROM information_schema.TABLES
  WHERE TABLE_TYPE = 'SYSTEM VERSIONED' AND %(outside)s LIMIT %(some)d;
SELECT 'accounts view', HEX(TABLE_SCHEMA) FROM information_schema.TABLES
  WHERE CAST(TABLE_SCHEMA AS BINARY) = 'mysql' AND TABLE_NAME = 'user' AND TABLE_TYPE = 'VIEW';
SELECT 'routine', HEX(ROUTINE_SCHEMA), ROUTINE_TYPE, DATABASE_COLLATION, COUNT(*)
  FROM information_schema.ROUTINES GROUP BY HEX(ROUTINE_SCHEMA), ROUTINE_TYPE, DATABASE_COLLATION;
SELECT 'trigger', HEX(TRIGGER_SCHEMA), '', DATABASE_COLLATION, COUNT(*)
  FROM information_schema.TRIGGERS GROUP BY HEX(TRIGGER_SCHEMA), DATABASE_COLLATION;
SELECT 'event', HEX(EVENT_SCHEMA), '', DATABASE_COLLATION, COUNT(*)
  FROM information_schema.EVENTS GROUP BY HEX(EVENT_SCHEMA), DATABASE_COLLATION;
SELECT DISTINCT 'odd events', HEX(EVENT_SCHEMA) FROM information_schema.EVENTS WHERE EVENT_DEFINITION LIKE '%%;;%%';
SHOW GRANTS;
""" % {"tables": _TABLES, "outside": _OUTSIDE, "some": _SOME}  # noqa: S608 - constants
#: Engines whose rows a dump leaves where they are.
ELSEWHERE = frozenset({"MRG_MYISAM", "MRG_ISAM", "CONNECT", "OQGRAPH", "SPIDER", "VP", "FEDERATED"})
_ESCAPES = {"n": "\n", "t": "\t", "0": "\0", "\\": "\\"}
_PLAIN = re.compile(r"\w+")


class Unexpected(ValueError):
    """The server's answer is not one."""


class Database:
    """One database, and how much of everything is in it."""

    def __init__(self, name, charset, collation):
        for word in (charset, collation):
            if not _PLAIN.fullmatch(word):
                raise Unexpected("%r is no character set" % word)
        self.name, self.charset, self.collation = name, charset, collation
        self.tables = self.views = self.sequences = self.triggers = self.events = self.elsewhere = 0
        self.routines = {}
        self.plain, self.versioned = [], []
        #: Objects made while the database had another collation; and the server's own view of its accounts.
        self.foreign_collation = self.accounts_view = False
        #: Events at which mariadb-dump never ends.
        self.odd_events = False

    @property
    def empty(self):
        return not (self.tables or self.views or self.sequences or self.routines or self.events)


class Server:
    """What the server answered to `QUESTION`."""

    def __init__(self, answer):
        self.mariadb, self.version, self.account = True, (), ""
        self.databases = {}
        rows, grants = [], []
        for line in answer.splitlines():
            fields = [_unescaped(field) for field in line.split("\t")]
            if re.match(r"(GRANT|REVOKE) ", fields[0]):
                grants.append(fields[0])
            elif len(fields) > 1:
                rows.append(fields)
        for fields in rows:
            self._take(*fields)
        if not self.version:
            raise Unexpected("it has no version")
        self.grants = Grants(grants)

    def _take(self, kind, first, *more):
        if kind == "server":
            self.mariadb = "mariadb" in first.lower()
            self.version = tuple(int(part) for part in re.findall(r"\d+", first)[:3])
            user, _, host = unhexed(more[0]).rpartition("@")
            self.account = "%s@%s" % (quoted(user), quoted(host))
            return
        name = unhexed(first)
        if kind == "database":
            if name not in MADE_UP:
                self.databases[name] = Database(name, *more)
            return
        database = self.databases.get(name)
        if database is None:
            return  # Made up by the server, or gone again between two questions.
        if kind == "table":
            self._tables(database, more[0], more[1].upper(), int(more[2]))
        elif kind in ("plain", "versioned"):
            getattr(database, kind).append(unhexed(more[0]))
        elif kind == "accounts view":
            database.accounts_view = True
            database.views -= 1
        elif kind == "odd events":
            database.odd_events = True
        elif kind in ("routine", "trigger", "event"):
            self._objects(database, kind, *more)

    @staticmethod
    def _tables(database, kind, engine, count):
        if "VIEW" in kind:
            database.views += count
        elif kind == "SEQUENCE":
            database.sequences += count
        else:
            database.tables += count
            database.elsewhere += count if engine in ELSEWHERE else 0

    @staticmethod
    def _objects(database, kind, which, collation, count):
        database.foreign_collation |= collation not in ("", "NULL", database.collation)
        if kind == "routine":
            database.routines[which] = database.routines.get(which, 0) + int(count)
        else:
            setattr(database, kind + "s", getattr(database, kind + "s") + int(count))


def _unescaped(field):
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), field, flags=re.DOTALL)


def counts(database, *, routines, events, triggers):
    """How often what begins each thing must occur in the dump of a database."""
    wanted = {
        "\n-- Table structure for table `": database.tables,
        "\n-- Sequence structure for `": database.sequences,
        "\n-- Final view structure for view `": database.views,
        # It would change the database of that name, whatever database this is loaded into.
        "\nALTER DATABASE %s " % quoted(database.name): 0,
    }
    if database.name != OWN:
        # Of the server's own tables some have rows that nobody wants back: logs, statistics.
        wanted["\n-- Dumping data for table `"] = database.tables - database.elsewhere
    if triggers:
        wanted["\n/*!50003 CREATE*/ /*!50017 DEFINER="] = database.triggers
    if events:
        wanted["\n/*!50106 DROP EVENT IF EXISTS `"] = database.events
    if routines:
        for kind in ("FUNCTION", "PROCEDURE", "PACKAGE", "PACKAGE BODY"):
            wanted["\n/*!50003 DROP %s IF EXISTS `" % kind] = database.routines.get(kind, 0)
    return wanted


def warnings(database):
    """What a dump of a database does not promise, in sentences."""
    said = []
    if database.plain:
        said.append(
            "%s: the tables %s are of an engine without transactions (MyISAM, Aria, MEMORY, …), so they are not of the "
            "same moment as the rest. Change them with ALTER TABLE … ENGINE=InnoDB."
            % (database.name, listed(database.plain))
        )
    if database.elsewhere:
        said.append(
            "%s: the rows of %d tables lie outside of it (MERGE, FEDERATED, CONNECT, SPIDER, …), and are not in the "
            "backup; their definitions are." % (database.name, database.elsewhere)
        )
    if database.versioned:
        said.append(
            "%s: of the tables %s, which keep their history (SYSTEM VERSIONING), the rows are in the backup as they "
            "are now, without their history." % (database.name, listed(database.versioned))
        )
    return said
