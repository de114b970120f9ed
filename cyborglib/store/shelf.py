"""All values of one class, kept in one table."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import attrs
from sqlalchemy import ColumnElement, Connection, RowMapping, TextClause, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from ..errors import AlreadyExists, CyborgError, InUse, Invalid, NotFound, SealBroken, Stale, StoreError
from ..model.fields import declared_fields, observed_fields
from .database import Database
from .mapped import Mapped, fields_of

T = TypeVar("T")
logger = logging.getLogger("cyborglib")

#: How many rows are read at a time; also the limit of ids in one statement.
PAGE = 500


class ReadShelf(Generic[T]):
    """Values that are read: `get(id_or_name)`, `find(**equal)`, iteration in the order of ids, `len`, `in`."""

    #: The column that is a value's name, "" if it has none; and what a person calls the thing, one and many.
    naming: ClassVar[str] = ""
    thing: ClassVar[str] = "value"
    things: ClassVar[str] = "values"

    def __init__(self, database: Database, mapped: Mapped[T]) -> None:
        self._database = database
        self._mapped = mapped
        self._table = mapped.table

    def get(self, id_or_name: int | str) -> T:
        """The value of an id, or of a name in any case. Raises `NotFound`; `StoreError` if its row cannot be used."""
        with self._database.reading() as connection:
            row = connection.execute(select(self._table).where(self._is(id_or_name))).mappings().one_or_none()
            if row is None:
                raise NotFound(self._missing(connection, id_or_name))
            return self._value(self._completed(connection, [row])[0])

    def find(self, **equal: Any) -> list[T]:
        """Those whose fields equal what is given, in the order of ids; None finds those without a value.

        Raises `Invalid` for a field that is not there or is sealed. A row that cannot be used is left out
        and logged, so that it never stops the others; `get` says what is wrong with it.
        """
        conditions = [self._equals(name, value) for name, value in equal.items()]
        with self._database.reading() as connection:
            return self._select(connection, *conditions)

    def many(self, ids: Iterable[int]) -> list[T]:
        """Those of some ids that are there, in the order of ids."""
        wanted = sorted(set(ids))
        with self._database.reading() as connection:
            return [
                value
                for start in range(0, len(wanted), PAGE)
                for value in self._select(connection, self._table.c.id.in_(wanted[start : start + PAGE]))
            ]

    def __iter__(self) -> Iterator[T]:
        last = 0
        while True:
            with self._database.reading() as connection:
                query = select(self._table).where(self._table.c.id > last).order_by(self._table.c.id).limit(PAGE)
                rows = connection.execute(query).mappings().all()
                values = self._values(connection, rows)
            yield from values
            if len(rows) < PAGE:
                return
            last = rows[-1]["id"]

    def __len__(self) -> int:
        with self._database.reading() as connection:
            return connection.scalar(select(func.count()).select_from(self._table)) or 0

    def __contains__(self, value: object) -> bool:
        key = getattr(value, "id", value)
        if isinstance(key, bool) or not isinstance(key, int | str) or (isinstance(key, str) and not self.naming):
            return False
        with self._database.reading() as connection:
            return connection.scalar(select(self._table.c.id).where(self._is(key))) is not None

    # Inside

    def _is(self, id_or_name: int | str) -> ColumnElement[bool]:
        if isinstance(id_or_name, int) and not isinstance(id_or_name, bool):
            # Beyond 64 bits there is no id, and no database takes the question.
            return self._table.c.id == (id_or_name if abs(id_or_name) < 2**63 else -1)
        if isinstance(id_or_name, str) and self.naming:
            lower: ColumnElement[bool] = func.lower(self._table.c[self.naming]) == id_or_name.replace("\x00", "").lower()
            return lower
        what = "id or name" if self.naming else "id"
        raise Invalid(f"{id_or_name!r} is not the {what} of a {self.thing}")

    def _missing(self, connection: Connection, key: int | str) -> str:
        if isinstance(key, int):
            return f"there is no {self.thing} with the id {key}"
        names = list(connection.scalars(select(self._table.c[self.naming]).limit(1000)))
        near = difflib.get_close_matches(key, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {len(names)} {self.things}, and none is called so"
        return f"there is no {self.thing} called {key!r}; {hint}"

    def _equals(self, name: str, value: Any) -> ColumnElement[bool]:
        searchable = [field for field in self._mapped.fields if field not in self._mapped.sealed]
        if name not in searchable:
            if name in self._mapped.sealed or name in self._mapped.linked:
                raise Invalid(f"{self.things} cannot be found by {name}; go through them instead")
            near = difflib.get_close_matches(name, searchable, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(searchable)}"
            raise Invalid(f"a {self.thing} has no field {name!r}; {hint}")
        converter = getattr(attrs.fields_dict(self._mapped.cls)[name], "converter", None)  # type: ignore[arg-type]
        if value is None:
            return self._table.c[name].is_(None)
        try:
            value = converter(value) if callable(converter) else getattr(value, "id", value)
        except ValueError as error:
            raise Invalid(f"{name}={value!r} cannot be searched for: {error}") from error
        return self._table.c[name] == value

    def _select(self, connection: Connection, *conditions: ColumnElement[bool] | TextClause) -> list[T]:
        query = select(self._table).where(*conditions).order_by(self._table.c.id)
        rows = connection.execute(query).mappings().all()
        return [
            value
            for start in range(0, len(rows), PAGE)
            for value in self._values(connection, rows[start : start + PAGE])
        ]

    def _values(self, connection: Connection, rows: Sequence[RowMapping]) -> list[T]:
        found = []
        for row in self._completed(connection, rows):
            try:
                found.append(self._value(row))
            except StoreError as error:
                logger.error("%s", error)  # noqa: TRY400 - the sentence is all there is to say
        return found

    def _completed(self, connection: Connection, rows: Sequence[RowMapping]) -> list[dict[str, Any]]:
        """Rows with what lies in other tables added, for the fields that have no column."""
        return [dict(row) for row in rows]

    def _value(self, row: Mapping[str, Any] | RowMapping) -> T:
        try:
            return self._mapped.value(row, self._database.sealer)
        except SealBroken:
            raise
        except (CyborgError, ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"the {self.thing} {row['id']} in the table {self._table.name} cannot be used as it is: {error}. "
                "Another release wrote it, or another program; set it right there, or remove it"
            ) from error


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
                key = connection.execute(insert(self._table).values(self._mapped.row(fields)).returning(self._table.c.id))
                number = key.scalar_one()
            except IntegrityError as error:
                raise AlreadyExists(f"another {self.thing} stands in the way: {error.orig}") from error
            self._write_rest(connection, number, fields)
            return self.get(number)

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
            return self.get(number)

    def remove(self, value_or_id: T | int | str) -> None:
        """Remove a value. Raises `NotFound`, and `InUse` while anything refers to it."""
        with self._database.transaction() as connection:
            key = getattr(value_or_id, "id", value_or_id)
            value = self._kept(connection, key)
            number = _field(value, "id")
            if users := self._users(connection, number):
                raise InUse(
                    f"the {self.thing} {self._called(value)} is used by {', '.join(users)}; "
                    + ("disable it instead, or remove those first" if hasattr(value, "enabled") else "remove those first")
                )
            self._remove_rest(connection, number)
            try:
                connection.execute(delete(self._table).where(self._table.c.id == number))
            except IntegrityError as error:
                raise InUse(f"the {self.thing} {self._called(value)} is still used: {error.orig}") from error

    def observe(self, id: int, **fields: Any) -> T:
        """Write fields that the library fills, without touching the revision. For jobs, not for users."""
        allowed = observed_fields(self._mapped.cls)
        for name in fields:
            if name not in allowed or name in ("id", "revision"):
                raise Invalid(f"{name} of a {self.thing} is not one of the fields that jobs fill: {', '.join(allowed)}")
        with self._database.transaction() as connection:
            value = attrs.evolve(self._kept(connection, id), **fields)  # type: ignore[misc]
            self._update(connection, id, {name: _field(value, name) for name in fields})
            return self.get(id)

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
        sealed = self._mapped.sealed_row(fields, id, self._database.sealer)
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
                        f"the {name} {value} of this {self.thing} does not exist; add it first, and give what add gave back"
                    )

    def _called(self, value: T) -> str:
        return str(_field(value, self.naming) if self.naming else _field(value, "id"))


def _field(value: Any, name: str) -> Any:
    return getattr(value, name)
