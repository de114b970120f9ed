# SPDX-License-Identifier: GPL-3.0-or-later
"""The parts of a backup that is more than one archive: one for each database, say. Pure."""

from __future__ import annotations

import hashlib
import string
from dataclasses import dataclass, field

#: Stands before the two digits of a byte that a name cannot hold as it is.
ESCAPE = "@"
_KEPT = frozenset((string.ascii_letters + string.digits + "_-.").encode())
#: The most letters of a part's name in that of its archive.
LONGEST = 100


@dataclass(frozen=True)
class Part:
    """One archive, made of what a script prints.

    :param name: what it is of, any text (a database's own name); "" where there is only one
    :param file: what the stream is called in the archive: "mysql/orders.sql"
    :param script: a text for `bash -o pipefail`; what it prints on stdout becomes the file
    :param secrets: {name: text}: the script has the path of a FIFO in $name, which can be read once
    :param env: {name: text}: variables of the script, nothing secret
    :param allow_empty: nothing at all may be printed
    :param ends: text that stands in the last 400 bytes of a whole stream; "" for none
    :param counts: {text: how often it occurs in a whole stream}
    :param says: {sign on stderr: (code, sentence)}, for failures of which more is known
    """

    name: str
    file: str
    script: str
    secrets: dict = field(default_factory=dict, repr=False)
    env: dict = field(default_factory=dict)
    allow_empty: bool = False
    ends: str = ""
    counts: dict = field(default_factory=dict)
    says: dict = field(default_factory=dict)


def encoded(name):
    """A name as a part of archives' and files' names: `a b` is `a@20b`. A long one is cut, and ends with its digest.

    The library has the same (cyborglib/parts.py), and refuses an archive with another name.
    """
    data = name.encode("utf-8", "surrogateescape")
    text = "".join(chr(byte) if byte in _KEPT else "%s%02x" % (ESCAPE, byte) for byte in data)
    if len(text) <= LONGEST:
        return text
    return text[: LONGEST - 18] + ESCAPE * 2 + hashlib.sha256(data).hexdigest()[:16]
