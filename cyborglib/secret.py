"""A text that must not be seen by accident."""

from __future__ import annotations

import hmac
import secrets
from typing import Final


class Secret:
    """Holds a secret text; `repr`, `str` and formatting show `***`, and only `reveal()` gives it out.

    Compares in constant time. Not pickled and not copied into JSON: whoever stores it seals it first.
    """

    __slots__ = ("_text",)
    _text: Final[str]

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a secret is a text, not {type(text).__name__}")
        self._text = text

    @classmethod
    def generate(cls) -> Secret:
        """A new random secret of 256 bits, in the letters of URLs."""
        return cls(secrets.token_urlsafe(32))

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled; seal it first")


def as_secret(value: Secret | str | None) -> Secret | None:
    """A text as a `Secret`; None and a `Secret` stay what they are."""
    return Secret(value) if isinstance(value, str) else value
