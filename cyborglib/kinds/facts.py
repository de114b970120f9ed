"""What a host said of itself, made into values of known types and sizes.

Whatever a host returns is hostile text: one that was broken into answers what it likes.
"""

from __future__ import annotations

import ipaddress
import json
import math
import re
from collections.abc import Mapping
from itertools import islice
from typing import Any

from ..errors import ErrorCode, Invalid
from ..model import Variables
from ..sealing import parse_public_key
from .work import Refused, Room

_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,6}){1,3}[0-9A-Za-z.+-]{0,20}")
_FILESYSTEM = re.compile(r"[0-9a-f.:-]{1,64}")
_HEX = re.compile(r"[0-9a-f]{64}")
_PATH = re.compile(r"/[\w./+@-]{0,250}")
#: Bytes of all facts of a host together, letters of one text, depth and members of one value.
_MOST, _LONGEST, _DEEPEST, _WIDEST = 16 * 1024, 1024, 4, 100


def _hostile(what: str) -> Refused:
    return Refused(
        ErrorCode.HOSTILE_ANSWER,
        f"the host answered with {what}, which cannot be; nothing of it was kept. Look at that host before you "
        "prepare it again: it may be broken or broken into",
    )


def version(facts: Mapping[str, Any], name: str) -> str:
    """A version, or "" if there is none."""
    value = _text(facts, name)
    if value and not _VERSION.fullmatch(value):
        raise _hostile(f"a {name.replace('_', ' ')} that is none")
    return value


def address(facts: Mapping[str, Any], name: str) -> str:
    """An IP address, or ""."""
    value = _text(facts, name)
    try:
        # What follows a '%' is the name of an interface, which may be any text.
        return str(ipaddress.ip_address(value.partition("%")[0])) if value else ""
    except ValueError:
        raise _hostile("an address that is none") from None


def public_key(facts: Mapping[str, Any], name: str) -> str:
    """A public key as type and base64, without its comment."""
    try:
        return parse_public_key(_text(facts, name))
    except Invalid:
        raise _hostile("a public key that is not exactly one key") from None


def borg_id(facts: Mapping[str, Any], name: str) -> str:
    """A Borg id: 64 hexadecimal digits."""
    value = facts.get(name)
    if not isinstance(value, str) or not _HEX.fullmatch(value):
        raise Refused(ErrorCode.UNPARSABLE, "Borg's answer holds no id of the vault; look at the job's output")
    return value


def path(facts: Mapping[str, Any], name: str) -> str:
    """A plain absolute path, or ""."""
    value = _text(facts, name)
    if value and not (_PATH.fullmatch(value) and ".." not in value.split("/")):
        raise _hostile(f"a path for {name} that is none")
    return value


def number(facts: Mapping[str, Any], name: str) -> int | None:
    """A whole number of 32 bits, like an account's; None if there is none."""
    value = facts.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32):
        raise _hostile(f"a {name} that is no number")
    return value


def room(facts: Mapping[str, Any]) -> Room | None:
    """How much room a host says there is where a vault lies; None if it says nothing of that."""
    if facts.get("filesystem") in (None, ""):
        return None
    filesystem = _text(facts, "filesystem")
    if not _FILESYSTEM.fullmatch(filesystem):
        raise _hostile("a file system that is none")
    sizes = [facts.get("free"), facts.get("total")]
    if any(isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 2**62 for size in sizes):
        raise _hostile("a size that is none")
    free, total = sizes
    assert free is not None
    assert total is not None
    return Room(filesystem=filesystem, free=free, total=total)


def truth(facts: Mapping[str, Any], name: str) -> bool:
    """True or False; False if there is none."""
    value = facts.get(name)
    if value is not None and not isinstance(value, bool):
        raise _hostile(f"a {name} that is neither true nor false")
    return bool(value)


def rest(facts: Mapping[str, Any], known: tuple[str, ...]) -> Variables:
    """The named facts that are there, bounded in size, without control characters."""
    found = {name: _clean(facts[name], _DEEPEST) for name in known if name in facts}
    if len(json.dumps(found)) > _MOST:
        raise _hostile("more facts than fit")
    try:
        return Variables(found)
    except Invalid:
        raise _hostile("facts of a strange shape") from None


def _text(facts: Mapping[str, Any], name: str) -> str:
    value = facts.get(name)
    if value is not None and not isinstance(value, str):
        raise _hostile(f"a {name.replace('_', ' ')} that is no text")
    return value or ""


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return "".join(letter if letter.isprintable() else " " for letter in value[:_LONGEST])
    if isinstance(value, bool) or value is None or (isinstance(value, int) and abs(value) < 2**63):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, Mapping) and depth:
        return {
            _clean(str(key)[:64], depth): _clean(item, depth - 1) for key, item in islice(value.items(), _WIDEST)
        }
    if isinstance(value, list | tuple) and depth:
        return [_clean(item, depth - 1) for item in value[:_WIDEST]]
    raise _hostile("facts of a strange shape")
