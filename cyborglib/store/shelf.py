"""Keeping the values of one class: adding, replacing, removing, and what jobs write to them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs
from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from ..errors import AlreadyExists, InUse, Invalid, NotFound, Stale
from ..model.fields import declared_fields, observed_fields
from ..secret import SHORTEST, Secret
from .mapped import fields_of
from .reading import ReadShelf

logger = logging.getLogger("cyborglib")

T = TypeVar("T", bound=attrs.AttrsInstance)


class Shelf(ReadShelf[T]):
    """Values that are read, added, replaced and removed."""

    #: Asked before a value is added or replaced, inside the transaction; may give back another one, or raise.
    check: Callable[[T], T] | None = None

    def add(self, value: T) -> T:
        """Keep a new value; gives it back with its id. Raises `AlreadyExists` or `Invalid`, and keeps nothing then."""
        self._must_be_ours(value)
        if _field(value, "id") is not None:
            raise Invalid(f"this {self.thing} has the id {_field(value, 'id')} already; use replace to change it")
        with self._database.transaction() as connection:
            value = self._prepared(connection, value, None)
            fields = fields_of(value) | ({"revision": 0} if "revision" in self._table.c else {})
            del fields["id"]
            self._check_references(connection, fields)
            self._check_name(connection, value)
            try:
                row = insert(self._table).values(self._mapped.row(fields))
                number = connection.execute(row.returning(self._table.c.id)).scalar_one()
            except IntegrityError as error:
                raise AlreadyExists(f"another {self.thing} stands in the way: {error.orig}") from error
            self._write_rest(connection, number, fields)
            added = self.get(number)
        self._tell_of_short(value)
        return added

    def replace(self, value: T) -> T:
        """Write the declared fields of a value over those kept; the fields that jobs fill stay as they are.

        Raises `NotFound`, `Stale` if it was changed since it was read, `AlreadyExists`, `Invalid`.
        """
        self._must_be_ours(value)
        number, revision = _field(value, "id"), _field(value, "revision")
        if number is None:
            raise Invalid(f"this {self.thing} has no id, so nothing can be replaced: take the one that add or get gave")
        with self._database.transaction() as connection:
            old = self._kept(connection, number)
            if _field(old, "revision") != revision:
                raise Stale(
                    f"the {self.thing} {self._called(old)} was changed since it was read (revision {revision}, now "
                    f"{_field(old, 'revision')}): get it again, change that, and replace it"
                )
            value = self._prepared(connection, value, old)
            fields = {name: _field(value, name) for name in self._replaced(value, old)}
            self._check_references(connection, fields)
            self._check_name(connection, value)
            self._update(connection, number, {**fields, "revision": revision + 1})
            replaced = self.get(number)
        self._tell_of_short(value)
        return replaced

    def remove(self, value_or_id: T | int | str) -> None:
        """Remove a value. Raises `NotFound`, and `InUse` while anything refers to it."""
        with self._database.transaction() as connection:
            key = getattr(value_or_id, "id", value_or_id)
            value = self._kept(connection, key)
            number = _field(value, "id")
            if users := self._users(connection, number):
                instead = "disable it instead, or " if hasattr(value, "enabled") else ""
                raise InUse(
                    f"the {self.thing} {self._called(value)} is used by {', '.join(users)}; {instead}remove those first"
                )
            self._remove_rest(connection, number)
            try:
                connection.execute(delete(self._table).where(self._table.c.id == number))
            except IntegrityError as error:
                raise InUse(f"the {self.thing} {self._called(value)} is still used: {error.orig}") from error

    def observe(self, id: int, /, **fields: Any) -> T:
        """Write fields that the library fills, without touching the revision. For jobs, not for users."""
        allowed = observed_fields(self._mapped.cls)
        for name in fields:
            if name not in allowed or name in ("id", "revision"):
                raise Invalid(f"{name} of a {self.thing} is not one of the fields that jobs fill: {', '.join(allowed)}")
        with self._database.transaction() as connection:
            value = attrs.evolve(self._kept(connection, id), **fields)  # type: ignore[misc] # mypy wants one class
            self._update(connection, id, {name: _field(value, name) for name in fields})
            return self.get(id)

    def _tell_of_short(self, value: T) -> None:
        for name in declared_fields(self._mapped.cls):
            secret = _field(value, name)
            if isinstance(secret, Secret) and 0 < len(secret.reveal()) < SHORTEST:
                logger.warning(
                    "the %s of the %s %s has fewer than %d characters: should it ever stand in what a job says, it is "
                    "not taken out there. Give a longer one",
                    name.replace("_", " "), self.thing, self._called(value), SHORTEST,
                )  # fmt: skip

    # Inside; what a shelf of one class does differently

    def _prepared(self, connection: Connection, value: T, old: T | None) -> T:
        """The value as it is to be kept, `old` being what it replaces."""
        return self.check(value) if self.check is not None else value

    def _replaced(self, value: T, old: T) -> tuple[str, ...]:
        """The fields that `replace` writes."""
        return declared_fields(self._mapped.cls)

    def _users(self, connection: Connection, id: int) -> list[str]:
        """What refers to a value, in words."""
        return []

    def _write_rest(self, connection: Connection, id: int, fields: Mapping[str, Any]) -> None:
        """Write what is not a plain column of the row: what is sealed, as that needs the id."""
        if not self._mapped.sealed.intersection(fields):
            return
        sealed = self._mapped.sealed_row(fields, id, self._database.sealing())
        if sealed:
            connection.execute(update(self._table).where(self._table.c.id == id).values(sealed))

    def _remove_rest(self, connection: Connection, id: int) -> None:
        """Remove what a value has in other tables."""

    def _update(self, connection: Connection, id: int, fields: Mapping[str, Any]) -> None:
        plain = self._mapped.row(fields)
        if plain:
            try:
                connection.execute(update(self._table).where(self._table.c.id == id).values(plain))
            except IntegrityError as error:
                raise AlreadyExists(f"another {self.thing} stands in the way: {error.orig}") from error
        self._write_rest(connection, id, fields)

    def _kept(self, connection: Connection, key: Any) -> T:
        query = select(self._table).where(self._is(key))
        row = connection.execute(query if self._database.sqlite else query.with_for_update()).mappings().one_or_none()
        if row is None:
            raise NotFound(self._missing(connection, key))
        return self._value(self._completed(connection, [row])[0])

    def _must_be_ours(self, value: T) -> None:
        if not isinstance(value, self._mapped.cls):
            raise Invalid(f"this shelf keeps {self.things}: give a {self._mapped.cls.__name__}, not {value!r}")

    def _check_name(self, connection: Connection, value: T) -> None:
        if not self.naming:
            return
        name = _field(value, self.naming)
        same = func.lower(self._table.c[self.naming]) == name.lower()
        found = connection.scalar(select(self._table.c.id).where(same))
        if found is not None and found != _field(value, "id"):
            raise AlreadyExists(
                f"there is a {self.thing} called {name!r} already (names differ in more than case); choose another name"
            )

    def _check_references(self, connection: Connection, fields: Mapping[str, Any]) -> None:
        for name, value in fields.items():
            if value is None or name not in self._table.c:
                continue
            for foreign in self._table.c[name].foreign_keys:
                target = foreign.column
                if connection.scalar(select(target).where(target == value)) is None:
                    raise Invalid(
                        f"the {name} {value} of this {self.thing} does not exist; add it first, and give what add gave"
                    )

    def _called(self, value: T) -> str:
        return str(_field(value, self.naming) if self.naming else _field(value, "id"))


def _field(value: Any, name: str) -> Any:
    return getattr(value, name)
