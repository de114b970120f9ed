# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of its own: counts the tables and rows that a dump on its stdin says it has, and prints them as JSON.

`main("mysql")` reads what mariadb-dump and mysqldump write, `main("postgresql")` what pg_restore makes of the data in
an archive. Neither knows SQL: they know how these programs write, and take what they do not know for no table at all,
so that the comparison with the server fails. Lines may be as long as they like; memory is not.
"""

import json
import os
import re
import sys

PIECE = 1 << 20
#: A whole string; and the rest of one, up to its end if that is there.
STRING, REST = re.compile(rb"'(?:[^'\\]|\\.)*'", re.DOTALL), re.compile(rb"(?:[^'\\]|\\.)*", re.DOTALL)
TABLE = re.compile(rb"CREATE TABLE (?:IF NOT EXISTS )?`((?:[^`]|``)+)` \(")
INSERT = re.compile(rb"INSERT INTO `((?:[^`]|``)+)` (?:\((?:`(?:[^`]|``)+`(?:, ?)?)+\) )?VALUES\s*")
#: An event of a dump, which the server would begin to run.
EVENT = re.compile(rb"\bEVENT `")
NAME = rb"(?:[^\" .(]+|\"(?:[^\"]|\"\")+\")"
COPY = re.compile(rb"COPY (" + NAME + rb"\." + NAME + rb") (?:\(.*\) )?FROM stdin;\n")


class Rows:
    """Counts the rows in INSERT statements: each is in parentheses, which other values have in strings only."""

    def __init__(self):
        self.tables, self.events = {}, 0
        self.table = None  # of the statement that is read
        self.inside = self.escaped = False  # in a string; right behind a backslash in it
        self.ordinary = True  # the delimiter is the usual one

    def piece(self, data, begins):
        """``begins``: it is the beginning of a line."""
        if begins and self.table is None and not self.inside:
            data = self.statement(data)
        if self.table is not None:
            self.values(data)

    def statement(self, line):
        if line.startswith(b"DELIMITER "):
            self.ordinary = line.split() == [b"DELIMITER", b";"]
        elif not self.ordinary:
            self.events += len(EVENT.findall(line))
        elif line.startswith(b"CREATE TABLE"):
            found = TABLE.match(line)
            if found:
                self.tables.setdefault(found.group(1), 0)
        elif line.startswith(b"INSERT INTO"):
            found = INSERT.match(line)
            if found:
                self.table = found.group(1)
                self.tables.setdefault(self.table, 0)
                return line[found.end():]
        return line

    def values(self, data):
        if self.inside:
            if self.escaped:
                data, self.escaped = data[1:], False
            end = REST.match(data).end()
            if data[end:end + 1] != b"'":
                self.escaped = data[end:] == b"\\"
                return
            data, self.inside = data[end + 1:], False
        bare = STRING.sub(b"", data)
        start = bare.find(b"'")
        if start >= 0:
            self.inside, self.escaped = True, bare[start + 1:][REST.match(bare[start + 1:]).end():] == b"\\"
            bare = bare[:start]
        self.tables[self.table] += bare.count(b"(")
        if not self.inside and bare.rstrip(b"\n").endswith(b";"):
            self.table = None


class Copied:
    """Counts the lines of COPY, which end with one that is a backslash and a dot."""

    def __init__(self):
        self.tables, self.events, self.table = {}, 0, None

    def piece(self, data, begins):
        if self.table is None:
            found = COPY.match(data) if begins else None
            if found:
                self.table = found.group(1)
                self.tables.setdefault(self.table, 0)
        elif begins and data == b"\\.\n":
            self.table = None
        elif data.endswith(b"\n"):
            self.tables[self.table] += 1


def main(kind):
    """Reads stdin to its end."""
    counter, begins = Rows() if kind == "mysql" else Copied(), True
    source = os.fdopen(0, "rb", PIECE)
    while True:
        data = source.readline(PIECE)
        if not data:
            break
        counter.piece(data, begins)
        begins = data.endswith(b"\n")
    if counter.table is not None:
        sys.stderr.write("cyborg: the dump ends in the middle of a table\n")
        sys.exit(1)
    tables = {name.hex(): rows for name, rows in counter.tables.items()}
    sys.stdout.write(json.dumps({"tables": tables, "events": counter.events}))
