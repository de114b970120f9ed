"""Spans: in which archives of a series a path is in a certain state. Pure.

Archives of a series are counted by their ids. A span holds from `first` to `last`; one that began with the oldest
archive begins at `BEGIN`, one that goes on in the newest ends at `OPEN`. So an archive that changes nothing writes
nothing, at whichever end of the series it comes in. What a span says of an archive that is not in the catalogue means
nothing, and is set right when that archive comes in. Spans of one path never overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

#: Neither is the id of an archive. In SQLite the one takes no byte, the other six.
BEGIN, OPEN = 0, 2**47 - 1

#: What is compared: type, size, mtime, mode, owner, target.
State = tuple[str, int, int | None, int | None, int, str | None]


class Span(NamedTuple):
    """A state of a path, and where it holds."""

    first: int
    last: int
    state: State

    def holds(self, archive: int) -> bool:
        """True for an archive within it."""
        return self.first <= archive <= self.last


def put(
    spans: Iterable[Span], state: State | None, *, before: int | None, archive: int, after: int | None
) -> list[Span]:
    """The spans of a path once `archive` holds it in a state, or (None) does not hold it.

    `before` and `after` are the archives of the series that the catalogue has next to it, None where there is none.
    For those and all others nothing changes.
    """
    kept: list[Span] = []
    left = right = None
    for span in spans:
        if not span.holds(archive):
            kept.append(span)
            continue
        if before is not None and span.first <= before:
            kept.append(Span(span.first, before, span.state))
        if after is not None and span.last >= after:
            kept.append(Span(after, span.last, span.state))
    if state is None:
        return kept
    for span in kept:
        if span.state == state:
            if before is not None and span.holds(before):
                left = span
            elif after is not None and span.holds(after):
                right = span
    first = left.first if left else archive if before is not None else BEGIN
    last = right.last if right else archive if after is not None else OPEN
    return [*(span for span in kept if span is not left and span is not right), Span(first, last, state)]
