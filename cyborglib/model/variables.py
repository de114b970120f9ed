"""Variables for a role: a mapping that cannot change and does not show its values."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from ..errors import Invalid
from .fields import check_name


def _frozen(value: Any, place: str) -> Any:
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise Invalid(f"{place} has the key {key!r}; keys are texts")
        return MappingProxyType({key: _frozen(item, f"{place}.{key}") for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_frozen(item, f"{place}[{n}]") for n, item in enumerate(value))
    if isinstance(value, str):
        if "\x00" in value:
            raise Invalid(f"{place} holds a NUL character, which no program takes; leave it out")
        return value
    if value is None or isinstance(value, bool | int | float):
        return value
    raise Invalid(
        f"{place} is a {type(value).__name__}; only texts, numbers, True, False, None, lists and mappings are kept"
    )


def _thawed(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _thawed(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_thawed(item) for item in value]
    return value


class Variables(Mapping[str, Any]):
    """Names and JSON-like values (texts, numbers, booleans, None, sequences, mappings), copied and frozen.

    `repr` masks the values, as any of them may be a secret. Raises `Invalid` for anything that is not
    JSON-like, for a NUL character, and for a name that Ansible would read as its own (`ansible_*`).
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, Any] | None = None, /) -> None:
        found: dict[str, Any] = {}
        for key, value in dict(values or {}).items():
            check_name("the variable name", key)
            if key.lower().startswith("ansible_"):
                raise Invalid(
                    f"the variable {key!r} would change how Ansible reaches hosts; set the client's own fields "
                    "(address, port, user, become …) instead"
                )
            found[key] = _frozen(value, key)
        self._values = found

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
            return self._values == other._values
        if isinstance(other, Mapping):
            try:
                return self == Variables(other)
            except Invalid:
                return False
        return NotImplemented

    def __hash__(self) -> int:
        return hash(json.dumps(self.plain(), sort_keys=True))

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{key!r}: ***" for key in self._values) + "}"


def as_variables(values: Mapping[str, Any] | None) -> Variables:
    """A mapping as `Variables`; None is an empty one."""
    return values if isinstance(values, Variables) else Variables(values)
