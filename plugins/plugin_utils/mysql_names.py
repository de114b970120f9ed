# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of MariaDB and MySQL: how they are quoted, sent, told, and made. Pure."""

from __future__ import annotations

import difflib
import re

from ansible_collections.cyborg.backup.plugins.plugin_utils.parts import ESCAPE, encoded

#: Characters that a name may have.
LONGEST = 64
#: Databases that the server makes up itself.
MADE_UP = ("information_schema", "performance_schema", "sys")
#: The database of the server's own accounts and settings.
OWN = "mysql"


def quoted(name):
    """A name for SQL."""
    return "`%s`" % name.replace("`", "``")


def unquoted(text):
    """A name as SHOW GRANTS writes it, without its quotes."""
    mark = text[:1]
    if mark not in "`'\"" or len(text) < 2:
        return text
    return text[1:-1].replace(mark * 2, mark)


def hexed(name):
    """A name as a literal in which nothing can be taken for SQL, and which equals no other name.

    The server takes `Café` and `cafe` for the same text, while they are two databases.
    """
    return "CONVERT(0x%s USING utf8mb4) COLLATE utf8mb4_bin" % name.encode("utf-8").hex()


def unhexed(text):
    """A name that came as HEX() gives it."""
    return bytes.fromhex(text).decode("utf-8", "surrogateescape")


def file_of(name):
    """What the dump of a database is called in its archive."""
    safe = encoded(name)
    if safe[:1] in ("-", ".", "_"):
        safe = "%s%02x%s" % (ESCAPE, ord(safe[0]), safe[1:])
    return "mysql/%s.sql" % safe


def made(name, ending):
    """A name for a database beside another one: `<name>_<ending>`, as long as a name may be."""
    ending = "_" + ending
    return name[: LONGEST - len(ending)].rstrip() + ending


def nearest(name, known):
    """The name that was probably meant, or ""."""
    found = difflib.get_close_matches(name, list(known), 1, 0.5)
    return found[0] if found else ""


def listed(names, most=8):
    """Some names for a sentence."""
    names = list(names)
    more = len(names) - most
    return ", ".join(names[:most]) + (" and %d more" % more if more > 0 else "")


def name_in(file):
    """The database's name in what `file_of` gives; "" where that is none, or was cut."""
    if not (file.startswith("mysql/") and file.endswith(".sql")) or ESCAPE * 2 in file:
        return ""
    parts = re.split(ESCAPE + "([0-9a-f]{2})", file[len("mysql/") : -len(".sql")])
    data = b"".join(bytes.fromhex(part) if at % 2 else part.encode() for at, part in enumerate(parts))
    return data.decode("utf-8", "replace")
