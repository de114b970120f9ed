"""Variables for a role: a mapping that cannot change and does not show its values."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

from ..errors import Invalid
from ..secret import Secret
from .fields import check_name, shown

#: How deep values may be nested, and how large a whole number may be: what every JSON reader takes.
_DEEPEST, _LARGEST = 20, 2**63


def _frozen(value: Any, place: str, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise Invalid(f"{place[:100]}… is nested more than {_DEEPEST} deep; make it flatter")
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str) or "\x00" in key:
                raise Invalid(f"{place} has the key {shown(key)}; keys are texts without a NUL character")
        return MappingProxyType(
            {str.__str__(key): _frozen(item, f"{place}.{key}", depth + 1) for key, item in value.items()}
        )
    if isinstance(value, list | tuple):
        return tuple(_frozen(item, f"{place}[{n}]", depth + 1) for n, item in enumerate(value))
    if isinstance(value, str):
        if "\x00" in value:
            raise Invalid(f"{place} holds a NUL character, which no program takes; leave it out")
        return str.__str__(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and -_LARGEST <= value < _LARGEST:
        return int(value)
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, int | float):
        raise Invalid(f"{place} is a number that JSON does not hold (infinite, none at all, or beyond 64 bits)")
    hint = "; give its text, as all variables are sealed and masked" if isinstance(value, Secret) else ""
    raise Invalid(
        f"{place} is a {type(value).__name__}{hint}; only texts, numbers, True, False, None, lists and mappings are "
        "kept"
    )


def _thawed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_thawed(item) for item in value]
    return value


class Variables(Mapping[str, Any]):
    """Names and JSON-like values (texts, numbers, booleans, None, sequences, mappings), copied and frozen.

    `repr` masks the values, as any of them may be a secret, and for the same reason they are not pickled.
    Raises `Invalid` for anything that is not JSON-like, for a NUL character, and for a name that Ansible
    would read as its own (`ansible_*`); the message begins with `what`, the field they are meant for.
    """

    __slots__ = ("_text", "_values")

    def __init__(self, values: Mapping[str, Any] | None = None, /, *, what: str = "the variables") -> None:
        if values is not None and not isinstance(values, Mapping):
            raise Invalid(f"{what} must be a mapping like {{'name': 'value'}}, not a {type(values).__name__}")
        found: dict[str, Any] = {}
        for key, value in (values or {}).items():
            name = check_name(f"{what}: the name", key)
            if name.lower().startswith("ansible_"):
                raise Invalid(
                    f"{what}: {name!r} would change how Ansible reaches hosts; set the client's own fields "
                    "(address, port, user, become …) instead"
                )
            found[name] = _frozen(value, f"{what}: {name}")
        self._values = found
        # Tells True from 1 from 1.0, as a role does; and equal ones have the same hash.
        self._text = json.dumps(self.plain(), sort_keys=True)

    def plain(self) -> dict[str, Any]:
        """The values as lists and dicts of their own, ready for JSON."""
        return {key: _thawed(value) for key, value in self._values.items()}

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Variables):
            return self._text == other._text
        if isinstance(other, Mapping):
            try:
                return self == Variables(other)
            except Invalid:
                return False
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{key!r}: ***" for key in self._values) + "}"

    def __copy__(self) -> Variables:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Variables:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("variables are not pickled, as they may hold secrets; seal them first")


def as_variables(values: Mapping[str, Any] | None) -> Variables:
    """A mapping as `Variables`; None is an empty one."""
    return values if isinstance(values, Variables) else Variables(values)


def as_extra_vars(values: Mapping[str, Any] | None) -> Variables:
    """The same, for a field of that name."""
    return values if isinstance(values, Variables) else Variables(values, what="extra_vars")
