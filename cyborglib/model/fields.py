"""How the fields of values are checked, converted and marked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import attrs
from attrs import Attribute

from ..errors import Invalid
from ..secret import Secret

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
#: ssh and libc read these as an address (127.1, 2130706433, 0x7f000001), whatever was meant.
_NUMERIC = re.compile(r"([0-9]+|0[xX][0-9A-Fa-f]*)")

#: Metadata keys. *observed*: written by jobs, not by `replace`. *sealed*: encrypted in the store.
#: *executes*: whoever writes the field decides what is run or where a secret goes.
OBSERVED, SEALED, EXECUTES = "observed", "sealed", "executes"


def observed(default: Any = None, *, sealed: bool = False, **arguments: Any) -> Any:
    """A field that the library fills: `replace` leaves it alone, jobs write it."""
    metadata = {OBSERVED: True, SEALED: sealed}
    if "factory" not in arguments:
        arguments["default"] = default
    return attrs.field(kw_only=True, metadata=metadata, **arguments)


def declared_fields(cls: type[Any]) -> tuple[str, ...]:
    """The names of the fields that a user writes."""
    return tuple(a.name for a in attrs.fields(cls) if not a.metadata.get(OBSERVED))


def observed_fields(cls: type[Any]) -> tuple[str, ...]:
    """The names of the fields that the library writes."""
    return tuple(a.name for a in attrs.fields(cls) if a.metadata.get(OBSERVED))


def sealed_fields(cls: type[Any]) -> tuple[str, ...]:
    """The names of the fields that are encrypted in the store."""
    return tuple(a.name for a in attrs.fields(cls) if a.metadata.get(SEALED))


def shown(value: object) -> str:
    """A value for a message: its repr, not longer than fits into a sentence."""
    try:
        text = repr(value)
    except Exception:
        # A number of many digits has none, nor has somebody's broken class.
        return f"of type {type(value).__name__}"
    return text if len(text) <= 100 else f"{text[:100]}…"


def check_name(what: str, value: object) -> str:
    """A name: a letter or digit, then at most 62 letters, digits, dots, dashes or underscores."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Invalid(
            f"{what} {shown(value)} cannot be used: it must begin with a letter or digit and hold only letters, "
            "digits, '.', '_' and '-', at most 63 of them"
        )
    return value


def check_host(what: str, value: object) -> str:
    """A host: a name after RFC 1123, or an IP address (IPv6 without brackets)."""
    if isinstance(value, str) and value:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            labels = value.split(".")
            if len(value) <= 253 and all(map(_LABEL.fullmatch, labels)) and not _NUMERIC.fullmatch(labels[-1]):
                return value
        else:
            if "%" not in value:
                return value
    raise Invalid(
        f"{what} {shown(value)} cannot be used: give a host name of letters, digits, dots and inner dashes whose last "
        "part is not a number (like web1.example.org), or an IP address"
    )


def check_account(what: str, value: object) -> str:
    """The name of a Unix account."""
    if not isinstance(value, str) or not _ACCOUNT.fullmatch(value):
        raise Invalid(
            f"{what} {shown(value)} cannot be used: it must be the name of a Unix account, like 'root' or 'borg'"
        )
    return value


def check_plain(what: str, value: object) -> str:
    """A text of characters that show as what they are: nothing that controls, hides or turns round."""
    if not isinstance(value, str):
        raise Invalid(f"{what} must be a text, not {type(value).__name__}")
    if not value.isprintable():
        raise Invalid(
            f"{what} {shown(value)} holds a character that does not print (a newline, a tab or the like); leave it out"
        )
    return value


def name_of(what: str) -> Callable[[Any, Attribute[str], object], None]:
    """A validator: see `check_name`."""
    return lambda _instance, _attribute, value: (check_name(what, value), None)[1]


def optional(check: Callable[[str, object], Any], what: str) -> Callable[[Any, Attribute[Any], object], None]:
    """A validator that lets None pass, and hands all else to `check`."""

    def validate(_instance: Any, _attribute: Attribute[Any], value: object) -> None:
        if value is not None:
            check(what, value)

    return validate


def maybe_empty(check: Callable[[str, object], Any], what: str) -> Callable[[Any, Attribute[Any], object], None]:
    """A validator that lets the empty text pass, and hands all else to `check`."""

    def validate(_instance: Any, _attribute: Attribute[Any], value: object) -> None:
        if value != "":
            check(what, value)

    return validate


def checked(check: Callable[[str, object], Any], what: str) -> Callable[[Any, Attribute[Any], object], None]:
    """A validator that hands every value to `check`."""

    def validate(_instance: Any, _attribute: Attribute[Any], value: object) -> None:
        check(what, value)

    return validate


def whole_number(
    what: str, *, least: int = 0, most: int = 2**62, none: bool = False
) -> Callable[[Any, Attribute[Any], object], None]:
    """A validator for an int between `least` and `most`, or None where that is allowed."""
    span = f"from {least} to {most}" if most < 2**62 else f"of at least {least}"
    wanted = f"must be a whole number {span}{', or None' if none else ''}"

    def validate(_instance: Any, _attribute: Attribute[Any], value: object) -> None:
        if value is None and none:
            return
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise Invalid(f"{what} {shown(value)} {wanted}")

    return validate


def share(what: str) -> Callable[[Any, Attribute[Any], object], None]:
    """A validator for a share of a whole: above 0, and no more than 1."""

    def validate(_instance: Any, _attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= 1:
            raise Invalid(f"{what} {shown(value)} must be a share above 0 and no more than 1, like 0.5 for half")

    return validate


def truth(what: str, *, none: bool = False) -> Callable[[Any, Attribute[Any], object], None]:
    """A validator for True or False, or None where that is allowed."""

    def validate(_instance: Any, _attribute: Attribute[Any], value: object) -> None:
        if not (isinstance(value, bool) or (none and value is None)):
            raise Invalid(f"{what} must be True or False{' or None' if none else ''}, not {shown(value)}")

    return validate


def one_of(what: str, choices: Iterable[str]) -> Callable[[Any, Attribute[Any], object], None]:
    """A validator for one of some texts."""
    known = tuple(choices)

    def validate(_instance: Any, _attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, str) or value not in known:
            raise Invalid(f"{what} {shown(value)} is not known; choose one of {', '.join(known)}")

    return validate


def secret_line(_instance: Any, attribute: Attribute[Any], value: object) -> None:
    """A validator for a secret that somebody types: one line, or None."""
    if value is None:
        return
    if not isinstance(value, Secret):
        raise Invalid(f"{attribute.name} must be a text or None, not {type(value).__name__}")
    if any(letter < " " or letter == "\x7f" or "\ud800" <= letter <= "\udfff" for letter in value.reveal()):
        raise Invalid(
            f"{attribute.name} holds a newline or another control character, which no prompt would take; was it "
            "read from a file? Then strip its line end"
        )


def wrapped_secret(value: Secret | str | None) -> Secret | None:
    """A converter: a text becomes a `Secret`, and all else is left to `secret_line`, which names the field."""
    return Secret(value) if isinstance(value, str) else value


def as_id(value: Any, what: str = "this", kind: type[Any] | None = None) -> Any:
    """An object of the store as its id; an id and None stay what they are. `kind` is the only class taken."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    found = getattr(value, "id", value) if kind is None or isinstance(value, kind) else value
    if found is None:
        raise Invalid(f"{what}: {type(value).__name__} has no id yet; add it first, and use what `add` gives back")
    if not isinstance(found, int) or isinstance(found, bool):
        wanted = f"a {kind.__name__}" if kind else "something"
        raise Invalid(f"{what}: {shown(value)} is neither an id nor {wanted} that the store gave out")
    return found


def as_ids(values: Any, what: str = "these", kind: type[Any] | None = None) -> tuple[int, ...]:
    """Objects or ids as a tuple of ids, each once, in the order given."""
    if isinstance(values, int | str | bytes | Mapping) or not isinstance(values, Iterable):
        values = (values,)
    found = tuple(dict.fromkeys(as_id(value, what, kind) for value in values))
    if None in found:
        raise Invalid(f"{what}: None is among them; give a list of ids, or of what the store gave out")
    return found


def as_texts(values: Any, what: str = "these") -> tuple[str, ...]:
    """Several texts as a tuple; one text is not taken for its letters."""
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise Invalid(f"{what}: give a list of texts, like ['a', 'b'], not {shown(values)}")
    found = tuple(values)
    for value in found:
        if not isinstance(value, str):
            raise Invalid(f"{what}: give a list of texts; {shown(value)} among them is none")
    return found


def as_utc(value: datetime | None) -> datetime | None:
    """An aware time in UTC; a naive one is refused, as nobody knows what it means."""
    if value is None:
        return None
    if not isinstance(value, datetime):
        raise Invalid(f"{shown(value)} is not a time; use an aware datetime, like datetime.now(UTC)")
    if value.utcoffset() is None:
        raise Invalid(f"the time {value!r} has no time zone; use an aware one, like datetime.now(UTC)")
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise Invalid(f"the time {value!r} lies outside the years 1 to 9999 in UTC") from None
