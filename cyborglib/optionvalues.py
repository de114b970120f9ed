"""Rules for the values of a policy type's options, stricter than Ansible's own.

Ansible's validator reads much into a text: `"a,b"` is two elements, `"x=1"` a mapping, `"~"` the home of whoever runs
it, a list where a text is meant is the text "['a']". Names of files and databases are data, so here nothing is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .errors import Invalid

__all__ = ["STYLES", "TYPES", "check_value"]

#: The types that an argument spec can name.
TYPES = ("str", "list", "dict", "bool", "int", "float", "path", "raw", "jsonarg", "json", "bytes", "bits")

#: How the pattern of an exclude is read: `path` is that path and all below it, the others are Borg's styles.
STYLES = ("path", "shell", "fnmatch", "regex")


def check_value(name: str, value: Any, kind: str, elements: str = "", *, secret: bool = False) -> Any:
    """The value of an option as its type has it. An option called `exclude` holds excludes, whatever its type.

    Raises `Invalid`, which does not show the value of a secret.
    """
    if kind in ("list", "raw"):
        several = value if isinstance(value, list) else [value]
        if kind == "list" and not isinstance(value, list | str):
            raise _wrong(name, "a list", value, secret)
        checker = _exclude if name == "exclude" else _CHECKS.get(elements, _anything)
        return [checker(f"{name}[{n}]", item, secret) for n, item in enumerate(several)]
    return _CHECKS.get(kind, _anything)(name, value, secret)


def _wrong(place: str, what: str, value: Any, secret: bool) -> Invalid:
    return Invalid(f"{place} must be {what}, not {'what it is' if secret else repr(value)[:200]}")


def _anything(_place: str, value: Any, _secret: bool) -> Any:
    return value


def _text(place: str, value: Any, secret: bool) -> Any:
    if isinstance(value, bool | list | dict):
        raise _wrong(place, "a text", value, secret)
    text = str(value)
    if secret and any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in text):
        # It goes into a shell or a server's file of passwords, and would be another text there.
        raise Invalid(f"{place} holds a NUL or half a character, which no shell and no server takes; leave it out")
    return text


def _number(place: str, value: Any, secret: bool) -> Any:
    if isinstance(value, bool | list | dict):
        raise _wrong(place, "a number", value, secret)
    return value


def _mapping(place: str, value: Any, secret: bool) -> Any:
    if not isinstance(value, dict):
        raise _wrong(place, "a mapping", value, secret)
    return value


def _path(place: str, value: Any, secret: bool) -> Any:
    if not isinstance(value, str) or not value.startswith("/"):
        raise _wrong(place, "a whole path on the client, from / on", value, secret)
    if ".." in value.split("/"):
        raise _wrong(place, "a path without '..'", value, secret)
    return _utf8(place, value, secret)


def _utf8(place: str, value: str, secret: bool) -> str:
    """Borg keeps its arguments in each archive, as UTF-8, and cannot make one of anything else."""
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        meant = "UTF-8, as Borg takes no other (name a folder above it, or a pattern that fits)"
        raise _wrong(place, meant, value, secret)
    return value


def _exclude(place: str, value: Any, _secret: bool) -> Any:
    """A text is a path; anything else is a mapping that says how it is to be read."""
    if isinstance(value, str):
        if not value.startswith("/") or "*" in value:
            meant = value if value.startswith(("/", "**/")) else f"**/{value}"
            raise Invalid(
                f"{place} is {value!r}, which is no whole path (from / on, without '*'). For a pattern write "
                f"{{'style': 'shell', 'pattern': {meant!r}}}; styles are {', '.join(STYLES)}"
            )
        return _path(place, value, False)
    if not isinstance(value, dict) or set(value) != {"style", "pattern"}:
        raise Invalid(f"{place} must be a path, or a mapping of 'style' and 'pattern', not {value!r:.200}")
    style, pattern = value["style"], value["pattern"]
    if style not in STYLES:
        raise Invalid(f"{place} has the style {style!r}; styles are {', '.join(STYLES)}")
    if not isinstance(pattern, str) or not pattern:
        raise Invalid(f"{place} has the pattern {pattern!r}; a pattern is a text")
    _utf8(f"the pattern of {place}", pattern, False)
    if style == "path":
        _path(f"the pattern of {place}", pattern, False)
    if style == "regex":
        try:
            re.compile(pattern)
        except (re.error, OverflowError, RecursionError) as error:
            raise Invalid(f"{place} has the regular expression {pattern!r}, which is wrong: {error}") from error
    return value


_CHECKS: dict[str, Callable[[str, Any, bool], Any]] = {
    "str": _text,
    "path": _path,
    "int": _number,
    "float": _number,
    "dict": _mapping,
}
