"""How the fields of values are checked, converted and marked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeVar

import attrs
from attrs import Attribute

from ..errors import Invalid

T = TypeVar("T")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_LABEL = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_ACCOUNT = re.compile(r"[a-z_][a-z0-9_.-]{0,31}\$?", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

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


def check_name(what: str, value: object) -> str:
    """A name: a letter or digit, then at most 62 letters, digits, dots, dashes or underscores."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Invalid(
            f"{what} {value!r} cannot be used: it must begin with a letter or digit and hold only letters, "
            "digits, '.', '_' and '-', at most 63 of them"
        )
    return value


def check_host(what: str, value: object) -> str:
    """A host: a name after RFC 1123, or an IP address (IPv6 without brackets)."""
    if isinstance(value, str) and value:
        try:
            ipaddress.ip_address(value)
        except ValueError:
            if len(value) <= 253 and all(_LABEL.fullmatch(label) for label in value.split(".")):
                return value
        else:
            if "%" not in value:
                return value
    raise Invalid(
        f"{what} {value!r} cannot be used: give a host name of letters, digits, dots and inner dashes "
        "(like web1.example.org), or an IP address"
    )


def check_account(what: str, value: object) -> str:
    """The name of a Unix account."""
    if not isinstance(value, str) or not _ACCOUNT.fullmatch(value):
        raise Invalid(f"{what} {value!r} cannot be used: it must be the name of a Unix account, like 'root' or 'borg'")
    return value


def check_plain(what: str, value: object) -> str:
    """A text without control characters."""
    if not isinstance(value, str):
        raise Invalid(f"{what} must be a text, not {type(value).__name__}")
    if _CONTROL.search(value):
        raise Invalid(f"{what} {value!r} holds a control character (a newline, a tab or the like); leave it out")
    return value


def name_of(what: str) -> Callable[[Any, Attribute[str], object], None]:
    """A validator: see `check_name`."""
    return lambda _instance, _attribute, value: (check_name(what, value), None)[1]


def optional(check: Callable[[str, object], Any], what: str) -> Callable[[Any, Attribute[Any], object], None]:
    """A validator that lets None and the empty text pass, and hands all else to `check`."""

    def validate(_instance: Any, _attribute: Attribute[Any], value: object) -> None:
        if value is not None and value != "":
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

    def validate(_instance: Any, _attribute: Attribute[Any], value: object) -> None:
        if value is None and none:
            return
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise Invalid(f"{what} {value!r} must be a whole number from {least} to {most}")

    return validate


def truth(what: str, *, none: bool = False) -> Callable[[Any, Attribute[Any], object], None]:
    """A validator for True or False, or None where that is allowed."""

    def validate(_instance: Any, _attribute: Attribute[Any], value: object) -> None:
        if not (isinstance(value, bool) or (none and value is None)):
            raise Invalid(f"{what} must be True or False, not {value!r}")

    return validate


def one_of(what: str, choices: Iterable[str]) -> Callable[[Any, Attribute[Any], object], None]:
    """A validator for one of some texts."""
    known = tuple(choices)

    def validate(_instance: Any, _attribute: Attribute[Any], value: object) -> None:
        if value not in known:
            raise Invalid(f"{what} {value!r} is not known; choose one of {', '.join(known)}")

    return validate


def as_id(value: Any) -> Any:
    """An object of the store as its id; an id and None stay what they are."""
    if value is None or isinstance(value, int):
        return value
    found = getattr(value, "id", value)
    if found is None:
        raise Invalid(f"{type(value).__name__} has no id yet: add it first, and use what `add` gives back")
    if not isinstance(found, int):
        raise Invalid(f"{value!r} is neither an id nor something the store gave out")
    return found


def as_ids(values: Any) -> tuple[int, ...]:
    """Objects or ids as a tuple of ids, each once, in the order given."""
    if isinstance(values, int | str) or not isinstance(values, Iterable):
        values = (values,)
    return tuple(dict.fromkeys(as_id(value) for value in values))


def as_texts(values: Any) -> tuple[str, ...]:
    """Several texts as a tuple; one text is not taken for its letters."""
    if isinstance(values, str):
        raise Invalid(f"give a list of texts, like [{values!r}], not one text")
    return tuple(values)


def as_utc(value: datetime | None) -> datetime | None:
    """An aware time in UTC; a naive one is refused, as nobody knows what it means."""
    if value is None:
        return None
    if value.tzinfo is None:
        raise Invalid(f"the time {value!r} has no time zone; use an aware one, like datetime.now(UTC)")
    return value.astimezone(UTC)
