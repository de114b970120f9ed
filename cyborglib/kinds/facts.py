"""What a host said of itself, made into values of known types and sizes.

Whatever a host returns is hostile text: one that was broken into answers what it likes.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from typing import Any

from ..errors import ErrorCode, Invalid
from ..model import Variables
from ..sealing import parse_public_key
from .work import Refused

_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9]{1,6}){1,3}[0-9A-Za-z.+-]{0,20}")
_HEX = re.compile(r"[0-9a-f]{64}")
_PATH = re.compile(r"/[\w./+@-]{0,250}")
_MOST = 16 * 1024


def _hostile(what: str) -> Refused:
    return Refused(
        ErrorCode.HOSTILE_ANSWER,
        f"the host answered with {what}, which cannot be; nothing of it was kept. Look at that host before you "
        "prepare it again: it may be broken or broken into",
    )


def version(facts: Mapping[str, Any], name: str) -> str:
    """A version, or "" if there is none."""
    value = facts.get(name, "")
    if value == "" or (isinstance(value, str) and _VERSION.fullmatch(value)):
        return str(value)
    raise _hostile(f"a {name.replace('_', ' ')} that is none")


def address(facts: Mapping[str, Any], name: str) -> str:
    """An IP address, or ""."""
    value = facts.get(name, "")
    try:
        return str(ipaddress.ip_address(value)) if value else ""
    except ValueError:
        raise _hostile("an address that is none") from None


def public_key(facts: Mapping[str, Any], name: str) -> str:
    """A public key as type and base64, without its comment."""
    try:
        return parse_public_key(str(facts.get(name, "")))
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
    value = facts.get(name, "")
    if value == "" or (isinstance(value, str) and _PATH.fullmatch(value) and ".." not in value.split("/")):
        return str(value)
    raise _hostile(f"a path for {name} that is none")


def rest(facts: Mapping[str, Any], known: tuple[str, ...]) -> Variables:
    """The named facts that are there, bounded in size, without control characters."""
    found = {name: _clean(facts[name], 4) for name in known if name in facts}
    if len(json.dumps(found)) > _MOST:
        raise _hostile("more facts than fit")
    return Variables(found)


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return "".join(letter if letter.isprintable() else " " for letter in value[:1024])
    if isinstance(value, bool | int | float) or value is None:
        return value
    if isinstance(value, Mapping) and depth:
        return {str(key)[:64]: _clean(item, depth - 1) for key, item in list(value.items())[:100]}
    if isinstance(value, list | tuple) and depth:
        return [_clean(item, depth - 1) for item in value[:100]]
    raise _hostile("facts of a strange shape")
