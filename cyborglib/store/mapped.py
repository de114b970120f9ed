"""How a value of the model lies in a row, and comes back from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Generic, TypeVar

import attrs
from sqlalchemy import RowMapping, Table

from ..errors import StoreError
from ..model import Archive, Client, Job, Policy, Proof, Repository, Schedule, Settings, Vault
from ..sealing import Sealer
from . import schema
from .types import Sealed, Unreadable

T = TypeVar("T", bound=attrs.AttrsInstance)


class Mapped(Generic[T]):
    """A class and its table: each field has a column of its name, but for those named as `linked`.

    Raises `TypeError` for a field without a column, which would be lost otherwise.
    """

    __slots__ = ("_sealed", "cls", "fields", "linked", "table")

    def __init__(self, cls: type[T], table: Table, linked: Iterable[str] = ()) -> None:
        self.cls, self.table, self.linked = cls, table, frozenset(linked)
        names = tuple(attribute.name for attribute in attrs.fields(cls))
        self.fields = tuple(name for name in names if name not in self.linked)
        for name in self.fields:
            if name not in table.c:
                raise TypeError(f"{cls.__name__}.{name} has no column in {table.name}")
        types = {name: table.c[name].type for name in self.fields}
        self._sealed: dict[str, Sealed] = {name: kind for name, kind in types.items() if isinstance(kind, Sealed)}

    @property
    def sealed(self) -> frozenset[str]:
        """The fields that are encrypted."""
        return frozenset(self._sealed)

    def row(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The columns that are kept as they are, of some fields and their values."""
        return {name: value for name, value in values.items() if name in self.fields and name not in self._sealed}

    def sealed_row(self, values: Mapping[str, Any], id: int, sealer: Sealer) -> dict[str, str | None]:
        """The columns that are encrypted, which needs the id: it is part of the place."""
        found: dict[str, str | None] = {}
        for name, kind in self._sealed.items():
            if name in values:
                text = None if values[name] is None else kind.dump(values[name])
                found[name] = None if text is None else sealer.seal(self.place(name, id), text)
        return found

    def value(self, row: Mapping[str, Any] | RowMapping, sealer: Sealer) -> T:
        """The value in a row, to which the linked fields were added. Raises what its class does, or `StoreError`."""
        arguments = {name: row[name] for name in self.fields}
        for name, found in arguments.items():
            if isinstance(found, Unreadable):
                raise StoreError(f"{name}: {found.error}") from found.error
        for name, kind in self._sealed.items():
            if arguments[name] is not None:
                arguments[name] = kind.load(sealer.unseal(self.place(name, row["id"]), arguments[name]))
        for name in self.linked:
            arguments[name] = row[name]
        return self.cls(**arguments)

    def place(self, field: str, id: int) -> str:
        """Where a sealed text belongs: table, field and row."""
        return f"{self.table.name.removeprefix('cyborg_')}/{field}/{id}"


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of a value, not those of the values in it."""
    return {attribute.name: getattr(value, attribute.name) for attribute in attrs.fields(type(value))}


# Made at import, so that a field that was forgotten in the schema is noticed before anything is opened.
CLIENTS = Mapped(Client, schema.clients)
REPOSITORIES = Mapped(Repository, schema.repositories)
SCHEDULES = Mapped(Schedule, schema.schedules)
POLICIES = Mapped(Policy, schema.policies, linked=("clients",))
VAULTS = Mapped(Vault, schema.vaults)
JOBS = Mapped(Job, schema.jobs, linked=("after", "archives"))
ARCHIVES = Mapped(Archive, schema.archives)
PROOFS = Mapped(Proof, schema.proofs)
SETTINGS = Mapped(Settings, schema.settings)
ALL: tuple[Mapped[Any], ...] = (CLIENTS, REPOSITORIES, SCHEDULES, POLICIES, VAULTS, JOBS, ARCHIVES, PROOFS, SETTINGS)
