"""The five fields of a crontab line: what each takes, and the numbers that its text stands for."""

from __future__ import annotations

import re

from attrs import frozen


@frozen
class Field:
    """One of the five fields: what it is called, what it takes, and an example for who got it wrong."""

    name: str
    low: int
    high: int
    example: str
    #: Other spellings of the numbers, the first one of `low`.
    names: tuple[str, ...] = ()

    @property
    def takes(self) -> str:
        """What may stand here, for a sentence."""
        names = f" or {' '.join(self.names)}" if self.names else ""
        return f"{self.low} to {self.high}{names}, with * , - and /; for example '{self.example}'"

    def values(self, text: str) -> frozenset[int]:
        """The numbers that a list, range, step, name or `*` stands for. Raises ValueError saying what is wrong."""
        return frozenset(number for item in text.split(",") for number in self._item(item))

    def _item(self, item: str) -> range:
        base, slash, step = item.partition("/")
        if base == "*":
            low, high = self.low, self.high
        elif "-" in base:
            low, high = self._range(base)
        elif slash:
            low = self._number(base)
            meant = f"{low}-{self.high}/{self._step(step)}"
            # Vixie cron ignores such a step, others count on from the number.
            raise ValueError(f"a step needs * or a range before it; write '{meant}' or '*/{step}'")
        else:
            low = high = self._number(base)
        return range(low, high + 1, self._step(step) if slash else 1)

    def _range(self, text: str) -> tuple[int, int]:
        first, _, last = text.partition("-")
        low, high = self._number(first), self._number(last)
        if self.high == 7 and high == 0 < low:
            high = 7  # Sunday is 0 and 7: `fri-sun` is the end of a week
        if low > high:
            meant = f"{low}-{self.high},{self.low}-{high}"
            raise ValueError(f"the range '{text}' runs backwards; to go on past the end write '{meant}'")
        return low, high

    def _number(self, text: str) -> int:
        if text.lower() in self.names:
            return self.names.index(text.lower()) + self.low
        number = _integer(text)
        if number is None:
            kind = "neither a number nor a name" if self.names else "not a number"
            raise ValueError(f"{text[:40]!r} is {kind}" if text else "a number is missing")
        if not self.low <= number <= self.high:
            raise ValueError(f"{text} is out of range")
        return number

    def _step(self, text: str) -> int:
        step = _integer(text)
        if step is None or not 1 <= step <= self.high:
            raise ValueError(f"the step {text[:40]!r} is not a number from 1 to {self.high}")
        return step


def _integer(text: str) -> int | None:
    """A number of ASCII digits; None for anything else, and for what is far too long to be one of ours."""
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")

#: In the order of a line.
FIELDS = (
    Field("minute", 0, 59, "0,30"),
    Field("hour", 0, 23, "8-18/2"),
    Field("day of month", 1, 31, "1,15"),
    Field("month", 1, 12, "1-6", _MONTHS),
    Field("day of week", 0, 7, "mon-fri", _WEEKDAYS),
)
