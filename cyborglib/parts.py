"""What the archives of one backup are called that makes several: one for each database, say."""

from __future__ import annotations

import hashlib
import re
import string

#: Stands before the two digits of a byte that a name cannot hold as it is.
ESCAPE = "@"
_KEPT = frozenset((string.ascii_letters + string.digits + "_-.").encode())
#: The most letters of a part's name in that of its archive.
LONGEST = 100


def encoded(name: str) -> str:
    """A name as a part of an archive's name: `a b` is `a@20b`. A long one is cut, and ends with its digest.

    The host that makes the archives has the same (plugins/plugin_utils/parts.py); a test holds them together.
    """
    data = name.encode("utf-8", "surrogateescape")
    text = "".join(chr(byte) if byte in _KEPT else f"{ESCAPE}{byte:02x}" for byte in data)
    if len(text) <= LONGEST:
        return text
    return text[: LONGEST - 18] + ESCAPE * 2 + hashlib.sha256(data).hexdigest()[:16]


def decoded(text: str) -> str:
    """The name of a part, from that of its archive. Not that of a long one, of which only a digest is left."""
    data = re.sub(rb"@([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode("ascii", "replace"))
    return data.decode("utf-8", "surrogateescape")
