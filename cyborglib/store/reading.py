"""Reading the values of one class, kept in one table."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar

import attrs
from sqlalchemy import ColumnElement, Connection, RowMapping, TextClause, func, select
from sqlalchemy.exc import DBAPIError, StatementError

from ..errors import CyborgError, Invalid, NotFound, SealBroken, StoreError, WrongKey
from .database import Database
from .mapped import Mapped

T = TypeVar("T", bound=attrs.AttrsInstance)
Item = TypeVar("Item")
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
        try:
            with self._database.reading() as connection:
                return self._select(connection, *conditions)
        except StatementError as error:
            if isinstance(error, DBAPIError):
                raise
            # A value of a type that its column does not know: it was never sent.
            raise Invalid(f"{self.things} cannot be found by {', '.join(equal)} like that: {error.orig}") from error

    def many(self, ids: Iterable[int]) -> list[T]:
        """Those of some ids that are there, in the order of ids."""
        wanted = sorted(set(ids))
        with self._database.reading() as connection:
            some = (self._select(connection, self._table.c.id.in_(page)) for page in pages(wanted))
            return [value for values in some for value in values]

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
            # No database takes a NUL or half a character, and no name holds one.
            name = id_or_name.replace("\x00", "").encode("utf-8", "ignore").decode().lower()
            return _is(func.lower(self._table.c[self.naming]), name)
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
        converter = getattr(attrs.fields_dict(self._mapped.cls)[name], "converter", None)
        if value is None:
            return self._table.c[name].is_(None)
        try:
            value = converter(value) if callable(converter) else getattr(value, "id", value)
        except ValueError as error:
            raise Invalid(f"{name}={value!r} cannot be searched for: {error}") from error
        return _is(self._table.c[name], value)

    def _select(self, connection: Connection, *conditions: ColumnElement[bool] | TextClause) -> list[T]:
        rows = self._rows(connection, *conditions)
        return [value for page in pages(rows) for value in self._values(connection, page)]

    def _rows(self, connection: Connection, *conditions: ColumnElement[bool] | TextClause) -> Sequence[RowMapping]:
        query = select(self._table).where(*conditions).order_by(self._table.c.id)
        return connection.execute(query).mappings().all()

    def _values(self, connection: Connection, rows: Sequence[RowMapping]) -> list[T]:
        found = []
        for row in self._completed(connection, rows):
            try:
                found.append(self._value(row))
            except WrongKey:
                raise  # It is not that value: none would open.
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
            with self._database.reading() as connection:
                self._database.check_key(connection)
            raise
        except (CyborgError, ValueError, TypeError, KeyError) as error:
            raise StoreError(
                f"the {self.thing} {row['id']} in the table {self._table.name} cannot be used as it is: {error}. "
                "Another release wrote it, or another program; set it right there, or remove it"
            ) from error


class ReadOnly(ReadShelf[T]):
    """What hosts get of a shelf that jobs alone write to: its values, and no way to change or remove them."""

    def __init__(self, shelf: ReadShelf[T]) -> None:
        super().__init__(shelf._database, shelf._mapped)
        self._shelf = shelf

    def get(self, id_or_name: int | str) -> T:
        """See `ReadShelf.get`."""
        return self._shelf.get(id_or_name)

    def find(self, **equal: Any) -> list[T]:
        """See `ReadShelf.find`."""
        return self._shelf.find(**equal)

    def many(self, ids: Iterable[int]) -> list[T]:
        """See `ReadShelf.many`."""
        return self._shelf.many(ids)

    def __iter__(self) -> Iterator[T]:
        return iter(self._shelf)

    def __contains__(self, value: object) -> bool:
        return value in self._shelf


def pages(items: Sequence[Item]) -> list[Sequence[Item]]:
    """Ids or rows in portions that one statement takes."""
    return [items[start : start + PAGE] for start in range(0, len(items), PAGE)]


def _is(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    same: ColumnElement[bool] = column == value
    return same
