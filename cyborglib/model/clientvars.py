"""What single clients of a policy take otherwise than the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from ..errors import Invalid
from .client import Client
from .fields import as_id, shown
from .variables import Variables, as_extra_vars

_WHAT = "client_extra_vars"


class ClientVariables(Mapping[int, Variables]):
    """Ids of clients and the variables of each, copied and frozen. `repr` masks the values.

    Takes clients or their ids. Raises `Invalid` for anything else, and for what `Variables` does not take.
    """

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[Client | int, Mapping[str, Any]] | None = None, /) -> None:
        if values is not None and not isinstance(values, Mapping):
            raise Invalid(f"{_WHAT} must be a mapping of clients to their variables, not {shown(values)}")
        found: dict[int, Variables] = {}
        for client, variables in (values or {}).items():
            number = as_id(client, _WHAT, Client)
            if number is None:
                raise Invalid(f"{_WHAT} has None where a client is meant: give the client, or its id")
            if number in found:
                raise Invalid(f"{_WHAT} has the client {number} twice")
            found[number] = as_extra_vars(variables)
        self._values = {number: found[number] for number in sorted(found)}

    def plain(self) -> dict[str, dict[str, Any]]:
        """The values as dicts of their own, ready for JSON, where an id is a text."""
        return {str(number): variables.plain() for number, variables in self._values.items()}

    @classmethod
    def of_plain(cls, values: Mapping[str, Mapping[str, Any]]) -> ClientVariables:
        """What `plain` gave, read back."""
        return cls({int(number): variables for number, variables in values.items()})

    def __getitem__(self, client: int) -> Variables:
        return self._values[client]

    def __iter__(self) -> Iterator[int]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ClientVariables):
            return self._values == other._values
        return NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        return repr(self._values)

    def __copy__(self) -> ClientVariables:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> ClientVariables:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("variables are not pickled, as they may hold secrets; seal them first")


def as_client_variables(values: Mapping[Any, Mapping[str, Any]] | None) -> ClientVariables:
    """A mapping as `ClientVariables`; None is an empty one."""
    return values if isinstance(values, ClientVariables) else ClientVariables(values)
