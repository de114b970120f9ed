"""File names as a database keeps them: as text, whatever bytes they have, and so that they can be searched. Pure.

No database takes halves of characters, which stand for the bytes that are no UTF-8, nor a NUL. So each becomes two
characters: one that no name has (and if one has it nevertheless, it is doubled), and one that stands for it.
"""

from __future__ import annotations

import re
import unicodedata

_MARK = "\U0010ffff"
_ODD = re.compile(f"[\x00\ud800-\udfff{_MARK}]")
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
_KEPT = re.compile(f"{_MARK}(.)", re.DOTALL)
#: Bytes that a name may take in a database: an index of PostgreSQL's takes no more than 2700.
LONGEST = 2000
#: Characters with which a path of ASCII keeps to all that is below.
_SHORT = LONGEST // 6
#: Folders that a path may go down through, and the characters it may have.
DEEPEST, LONGEST_PATH = 1000, 32768


def kept(name: str) -> str:
    """A name, or any text, for the database."""
    return name if name.isascii() and "\x00" not in name else _ODD.sub(_kept, name)


def given(text: str) -> str:
    """What `kept` was given."""
    if text.isascii() or _MARK not in text:
        return text
    return _KEPT.sub(_given, text)


def _kept(odd: re.Match[str]) -> str:
    return _MARK + ({_MARK: _MARK, "\x00": "0"}.get(odd[0]) or chr(ord(odd[0]) - 0xD800 + 0x1000))


def _given(pair: re.Match[str]) -> str:
    return {_MARK: _MARK, "0": "\x00"}.get(pair[1]) or chr(ord(pair[1]) - 0x1000 + 0xD800)


def folded(text: str) -> str:
    """What is compared in a search: without regard to case, and to how accents are written."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def split(path: str) -> list[str] | None:
    """The parts of a path as somebody gives it; None for one that no entry can have."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return None if "\x00" in path or ".." in parts else parts


def refused(path: str) -> bool:
    """True for a path that Borg never writes: somebody else did, and no such entry could be restored."""
    if not path or path[0] == "/" or path[-1] == "/" or "\x00" in path or "//" in path:
        return True
    dotted = path[0] == "." or "/." in path
    if len(path) <= _SHORT and not dotted and path.isascii():
        return False  # As nearly all are; each of them goes through here.
    if len(path) > LONGEST_PATH:
        return True
    if dotted:
        parts = path.split("/")
        if "." in parts or ".." in parts:
            return True
    if path.count("/") >= DEEPEST or (not path.isascii() and _HALF.search(path)):
        return True
    # Six bytes at most for each of the path's own.
    return len(path) * 6 > LONGEST and any(len(kept(part).encode()) > LONGEST for part in path.split("/"))
