"""What a host says is hostile text until it was made harmless here."""

from __future__ import annotations

import re

#: Control characters can rewrite a terminal; NUL is refused by PostgreSQL.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x80-\x9f]")
LONGEST = 4000


def harmless(text: object, limit: int = LONGEST) -> str:
    """A text without control characters and without bytes that are not UTF-8, cut at `limit` characters."""
    plain = str(text)[: limit + 1]
    if len(plain) <= limit and plain.isascii() and plain.isprintable():
        return plain
    plain = plain.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    plain = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", plain)
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"
