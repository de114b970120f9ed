"""A text that must not be seen by accident."""

from __future__ import annotations

import hmac
import secrets
from typing import Any, NoReturn

from .errors import Invalid

#: Shorter ones are not taken out of what is said: they would also stand in lines that have nothing to do with them.
SHORTEST = 8


class Secret:
    """Holds a secret text; `repr`, `str` and formatting show `***`, and only `reveal()` gives it out.

    Compares in constant time. Cannot be changed, is not pickled and not copied into JSON: whoever stores it
    seals it first.
    """

    __slots__ = ("_text",)
    _text: str

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise Invalid(f"a secret is a text, not {type(text).__name__}")
        object.__setattr__(self, "_text", "".join(text))

    @classmethod
    def generate(cls) -> Secret:
        """A new random secret of 256 bits, in the letters of URLs."""
        return cls(secrets.token_urlsafe(32))

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __format__(self, _spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._text), _bytes(other._text))

    def __hash__(self) -> int:
        return hash(self._text)

    def __setattr__(self, name: str, _value: object) -> NoReturn:
        raise AttributeError("a secret cannot be changed; make another one")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError("a secret cannot be changed; make another one")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, _memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled; seal it first")


def as_secret(value: Secret | str | None) -> Secret | None:
    """A text as a `Secret`; None and a `Secret` stay what they are. Raises `Invalid` for anything else."""
    return value if value is None or isinstance(value, Secret) else Secret(value)


def _bytes(text: str) -> bytes:
    # Half characters too: an error would carry the text.
    return text.encode("utf-8", "surrogatepass")
