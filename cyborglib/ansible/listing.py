"""Borg's listing of what is in an archive, read piece by piece. Hostile text: clients wrote the archives.

The collection's plugin_utils/borg_argv.py says how Borg prints an entry (`ENTRY`): ten fields with a TAB between them
and two TABs behind, the first the beginning of the archive's id. Names are as Python's `ascii()` writes them.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from ..model import Item

#: Hexadecimal digits of an archive's id that each entry begins with.
DIGITS = 16
#: Characters of one entry, and entries of one archive. A path has no more than 4096 bytes, four characters each here.
LONGEST, MOST = 200_000, 50_000_000
#: How long a name of an account is at most, and a link's target.
ACCOUNT, TARGET = 256, 8192
#: How many ends of entries are remembered.
ENDS = 10_000
_EPOCH, _MICROSECOND = datetime(1970, 1, 1), timedelta(microseconds=1)  # noqa: DTZ001 - Borg runs with TZ=UTC
_MODE = re.compile(r"[-dlhpcbs?]([r-][w-][xsS-])([r-][w-][xsS-])([r-][w-][xtT-])")
_ESCAPE = r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt\\'\"])"
_ESCAPED = re.compile(_ESCAPE)
_QUOTED = re.compile(rf"'(?:[^'\\]|{_ESCAPE})*'|\"(?:[^\"\\]|{_ESCAPE})*\"")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t"}
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


_End = tuple[str, int | None, int | None, int | None, str, str]


class Unreadable(ValueError):
    """A listing that cannot be read: nothing of it is believed."""


class Listing:
    """The listing of one archive. Raises `Unreadable`, and is of no use after that."""

    def __init__(self, borg_id: str) -> None:
        self._begin = borg_id[:DIGITS] + "\t"
        self._between = "\t\t" + self._begin
        self._rest = ""
        self._count = 0
        #: What comes last in an entry (type, mode and whose it is), which most entries have in common -> what it means.
        self._ends: dict[str, _End] = {}

    def feed(self, text: str) -> list[Item]:
        """The entries that are complete now."""
        text = self._rest + text
        end = text.rfind("\t\t") + 2
        whole, self._rest = (text[:end], text[end:]) if end > 1 else ("", text)
        if len(self._rest) > LONGEST:
            raise Unreadable("an entry is longer than any can be")
        return self._items(whole) if whole else []

    def end(self) -> list[Item]:
        """The last entries. Raises `Unreadable` if the listing was cut."""
        text, self._rest = self._rest, ""
        return self._items(text) if text else []

    def _items(self, text: str) -> list[Item]:
        if not text.startswith(self._begin) or not text.endswith("\t\t"):
            raise Unreadable("it is not of this archive, or was cut")
        entries = text[len(self._begin) : -2].split(self._between)
        self._count += len(entries)
        if self._count > MOST:
            raise Unreadable(f"it has more than {MOST} entries")
        return [self._item(entry) for entry in entries]

    def _item(self, entry: str) -> Item:
        try:
            size, mtime, path, target, end = entry.split("\t", 4)
            kind, mode, uid, gid, user, group = self._ends.get(end) or self._end(end)
            plain = path[0] == "'" == path[-1] and "\\" not in path and path.count("'") == 2
            return Item(
                path[1:-1] if plain else _text(path),
                kind,
                int(size),
                (datetime.fromisoformat(mtime) - _EPOCH) // _MICROSECOND,
                mode,
                uid,
                gid,
                user,
                group,
                "" if target == "''" else _text(target)[:TARGET],
            )
        except (ValueError, IndexError, TypeError, OverflowError) as problem:
            raise Unreadable(f"an entry cannot be read: {ascii(entry)[:200]}") from problem

    def _end(self, text: str) -> _End:
        mode, uid, gid, user, group = text.split("\t")
        kind = "h" if mode[1] == "h" else mode[0]
        found = kind, _mode(mode[1:]), _number(uid), _number(gid), _account(user), _account(group)
        if len(self._ends) > ENDS:
            self._ends.clear()
        self._ends[text] = found
        return found


def _mode(text: str) -> int | None:
    """0o644 of "-rw-r--r--"; None for what is none."""
    found = _MODE.fullmatch(text)
    if not found:
        return None
    number = 0
    for place, (three, odd) in enumerate(zip(found.groups(), (0o4000, 0o2000, 0o1000), strict=True)):
        bits = (three[0] == "r") * 4 + (three[1] == "w") * 2 + (three[2] in "xst")
        number |= bits << (6 - 3 * place) | (odd if three[2] in "sStT" else 0)
    return number


def _number(text: str) -> int | None:
    number = int(text) if text != "None" and len(text) <= 20 else -1
    return number if 0 <= number < 2**32 else None


def _account(text: str) -> str:
    # An account without a name is told by its number, which stands beside it.
    return _text(text)[:ACCOUNT] if text[:1] in ("'", '"') else ""


def _text(quoted: str) -> str:
    """What `ascii()` was given. Raises `ValueError` for what it never writes."""
    if len(quoted) > LONGEST or not _QUOTED.fullmatch(quoted) or not _PRINTABLE.fullmatch(quoted):
        raise ValueError("not a text in quotes")
    inner = quoted[1:-1]
    if "\\" not in inner:
        return inner
    text = _ESCAPED.sub(_letter, inner)
    # Halves that stand for bytes are what they are; no others are ever written.
    text.encode("utf-8", "surrogateescape")
    return text


def _letter(found: re.Match[str]) -> str:
    escaped = found[1]
    return chr(int(escaped[1:], 16)) if escaped[0] in "xuU" else _LETTERS.get(escaped, escaped)
