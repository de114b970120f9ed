"""What a host says is hostile text until it was made harmless here."""

from __future__ import annotations

import re

#: Control characters can rewrite a terminal; NUL is refused by PostgreSQL.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x80-\x9f]")
LONGEST = 4000
#: Half characters, as which bytes come that are not UTF-8, and where they are while Ansible has them, which refuses a
#: whole inventory because of one. What a text really holds of that place stands behind a mark of its own.
HALF, PLACE, MARK = 0xD800, 0x10F000, "\U0010f800"
_CARRIED = re.compile("[\ud800-\udfff\U0010f000-\U0010f800]")


def harmless(text: object, limit: int = LONGEST) -> str:
    """A text without control characters and without bytes that are not UTF-8, cut at `limit` characters."""
    plain = str(text)[: limit + 1]
    if len(plain) <= limit and plain.isascii() and plain.isprintable():
        return plain
    plain = plain.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    plain = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", plain)
    return plain if len(plain) <= limit else plain[: limit - 1] + "…"


def carried(text: str) -> str:
    """A text as Ansible takes it, whatever it holds. The actions of the collection make of it what it was."""
    return _CARRIED.sub(_as_carried, text)


def _as_carried(found: re.Match[str]) -> str:
    letter = ord(found[0])
    return chr(letter - HALF + PLACE) if letter < PLACE else MARK + found[0]
