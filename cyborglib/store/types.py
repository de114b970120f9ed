"""Column types that carry the values of the model in and out of a database, exactly.

JSON is kept as text: native JSON types lose the order of keys (jsonb) or refuse escaped NULs, and as text
both databases keep the same thing.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import attrs
from sqlalchemy import BigInteger, DateTime, Dialect, Integer, String, Text, TypeDecorator
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from ..errors import CyborgError, Invalid

_SURROGATE = re.compile("[\ud800-\udfff]")
_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class CannotKeep(Invalid, DontWrapMixin):
    """A value that no column takes. SQLAlchemy lets it through as it is, without the statement and its values."""


@attrs.frozen
class Unreadable:
    """What a column gives that cannot be read: whoever needs the value raises, and other rows are read on."""

    error: Exception


def to_json(value: Any) -> str:
    """JSON that every database takes and that reads back as it was. Raises `CannotKeep` where that cannot be."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        if _SURROGATE.search(text):
            # File names that are no UTF-8 come so. Escaped they are plain ASCII, but two halves would merge.
            if _PAIR.search(text):
                raise CannotKeep("a text holds two halves of a character that do not belong together; leave them out")
            text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    except (ValueError, TypeError, RecursionError) as error:
        if isinstance(error, CannotKeep):
            raise
        raise CannotKeep(f"a value cannot be kept as JSON: {error}") from error
    return text


class UTCDateTime(TypeDecorator[datetime]):
    """An aware time in UTC; SQLite, which has no time zones, keeps it without."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise CannotKeep(f"the time {value!r} has no time zone; use an aware one, like datetime.now(UTC)")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Whole(TypeDecorator[int]):
    """A whole number of 64 bits."""

    impl = BigInteger
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        # An INTEGER PRIMARY KEY is what SQLite counts up, and its INTEGER has 64 bits.
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else BigInteger())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        if value is not None and not isinstance(value, int):
            raise CannotKeep(f"{value!r} is not a whole number")
        if value is not None and not -(2**63) <= value < 2**63:
            raise CannotKeep(f"the number {value} is too large to keep; 64 bits is the limit")
        return value


class Plain(TypeDecorator[str]):
    """A text kept as it is. What PostgreSQL cannot keep (NUL, half characters) is refused on each database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is not None and _UNSTORABLE.search(value):
            raise CannotKeep(
                f"the text {value[:100]!r} holds a NUL or half a character, which cannot be kept; leave it out"
            )
        return value


class Said(TypeDecorator[str]):
    """A text for people, of which what cannot be kept (NUL, half characters) is shown escaped."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or not _UNSTORABLE.search(value):
            return value
        return value.replace("\x00", "\\x00").encode("utf-8", "backslashreplace").decode()


class Choice(TypeDecorator[Any]):
    """One of an enumeration of texts."""

    impl = String(32)
    cache_ok = True

    def __init__(self, cls: type[enum.StrEnum]) -> None:
        super().__init__()
        self.cls = cls

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        if value is None:
            return None
        try:
            return self.cls(value).value
        except ValueError:
            raise CannotKeep(f"{value!r} is not known; choose one of {', '.join(self.cls)}") from None

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        try:
            return None if value is None else self.cls(value)
        except ValueError as error:
            return Unreadable(error)


class Json(TypeDecorator[Any]):
    """A value that has a JSON form: `dump` makes it, `load` reads it."""

    impl = Text
    cache_ok = True

    def __init__(self, dump: Callable[[Any], Any], load: Callable[[Any], Any]) -> None:
        super().__init__()
        self.dump, self.load = dump, load

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else to_json(self.dump(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        try:
            return None if value is None else self.load(json.loads(value))
        except (ValueError, TypeError, AttributeError, CyborgError) as error:
            return Unreadable(error)


class Sealed(TypeDecorator[str]):
    """What is sealed. Here it is a text that says nothing: sealing needs the row's id, so `Mapped` does it."""

    impl = Text
    cache_ok = True

    def __init__(self, dump: Callable[[Any], str | None], load: Callable[[str], Any]) -> None:
        super().__init__()
        self.dump, self.load = dump, load


def _asdict(value: Any) -> dict[str, Any]:
    return attrs.asdict(value)


class Value(Json):
    """A small frozen value, as a JSON object of its fields."""

    cache_ok = True

    def __init__(self, cls: type[Any]) -> None:
        super().__init__(_asdict, _Loader(cls))


@attrs.frozen
class _Loader:
    """Compares equal for the same class, so that statements are cached."""

    cls: type[Any]

    def __call__(self, fields: dict[str, Any]) -> Any:
        return self.cls(**fields)


class database_ms(FunctionElement[int]):  # noqa: N801 - it is read like a function of SQL
    """Milliseconds since 1970 by the *database's* clock, whoever asks: leases are measured with it alone."""

    type = Whole()
    inherit_cache = True


@compiles(database_ms, "sqlite")
def _sqlite_ms(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000.0 AS INTEGER)"


@compiles(database_ms, "postgresql")
def _postgresql_ms(_element: Any, _compiler: Any, **_options: Any) -> str:
    return "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)"


class place_of(FunctionElement[int]):  # noqa: N801 - it is read like a function of SQL
    """Where in a text another one begins: 1 at its first character, 0 nowhere. Case counts, no character is special."""

    type = Whole()
    inherit_cache = True


@compiles(place_of, "sqlite")
def _sqlite_place(element: Any, compiler: Any, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(place_of, "postgresql")
def _postgresql_place(element: Any, compiler: Any, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"
