"""What a task says of how its job ended, made into an `Outcome`: typed, bounded and harmless."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ErrorCode, JobError
from ..executor import ArchiveMade, Outcome
from ..model import Progress, Stats
from .texts import harmless

#: Bounds of what one job may tell.
WARNINGS, ARCHIVES, DEPTH, PART = 200, 100_000, 20, 1000
_ID = re.compile(r"[0-9a-f]{64}")
_UNKEPT = re.compile("[\\x00\ud800-\udfff]")


class HostileAnswer(ValueError):
    """What was told is not what it should be."""


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**62:
        raise HostileAnswer(f"{harmless(value, 50)!r} is not a number of bytes or files")
    return int(value)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 10**10:
        raise HostileAnswer(f"{harmless(value, 50)!r} is not a number of seconds")
    return float(value)


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise HostileAnswer(f"{harmless(value, 50)!r} is not a mapping")
    return value


def _list(value: object, most: int) -> list[Any]:
    if not isinstance(value, list) or len(value) > most:
        raise HostileAnswer(f"a list of at most {most} was expected")
    return value


def _amounts(value: object) -> dict[str, Any]:
    told = _mapping(value)
    amounts: dict[str, Any] = {
        name: _number(told.get(name, 0))
        for name in ("files", "original_bytes", "compressed_bytes", "deduplicated_bytes")
    }
    return {**amounts, "seconds": _seconds(told.get("seconds", 0))}


def as_stats(value: object) -> Stats:
    """Files, bytes and seconds."""
    return Stats(**_amounts(value))


def as_progress(value: object) -> Progress:
    """How far a job is."""
    return Progress(**_amounts(value), path=harmless(_mapping(value).get("path", "")))


def _archive(value: object) -> ArchiveMade:
    told = _mapping(value)
    borg_id = told.get("borg_id")
    if not isinstance(borg_id, str) or not _ID.fullmatch(borg_id):
        raise HostileAnswer(f"{harmless(borg_id, 80)!r} is not the id of an archive")
    # One whose path cannot be kept as it is would be missed by the next backup, under a name that nothing has.
    roots = tuple(
        (root, harmless(system)) for root, system in _list(told.get("roots", []), 10_000) if root == harmless(root)
    )
    return ArchiveMade(
        name=harmless(told.get("name", ""), 300),
        borg_id=borg_id,
        stats=as_stats(told.get("stats", {})),
        roots=roots,
        part=_part(told.get("part", "")),
    )


def _part(value: object) -> str:
    # What a store cannot keep would cost the job its whole end, and its archives.
    if not isinstance(value, str) or len(value) > PART or _UNKEPT.search(value):
        raise HostileAnswer(f"{harmless(value, 50)!r} is not the name of a part of a backup")
    return value


def plain(value: object, depth: int = 0) -> Any:
    """JSON-plain values with harmless texts."""
    if depth > DEPTH:
        raise HostileAnswer("it is nested too deeply")
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        if value.isascii() and value.isprintable():
            return value
        return "\n".join(harmless(line, 1 << 20) for line in value.split("\n"))
    if isinstance(value, list):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {harmless(key, 300): plain(item, depth + 1) for key, item in value.items()}
    raise HostileAnswer(f"{type(value).__name__} is not a plain value")


def as_error(value: object, clean: Callable[[str], str]) -> JobError:
    """An error's code and sentence."""
    told = _mapping(value)
    try:
        code = ErrorCode(str(told.get("code")))
    except ValueError:
        code = ErrorCode.INTERNAL
    message = clean(harmless(told.get("message", "The job failed without saying why.")))
    permanent = told.get("permanent")
    return JobError(code, message, permanent=permanent) if isinstance(permanent, bool) else JobError(code, message)


def as_outcome(value: object, clean: Callable[[str], str]) -> Outcome:
    """What a task told as its job's end. `clean` takes secrets out of texts.

    What cannot be believed gives an outcome with the error `hostile_answer`, never an exception.
    """
    try:
        told = _mapping(value)
        error = told.get("error")
        stats = told.get("stats")
        return Outcome(
            error=None if error is None else as_error(error, clean),
            warnings=tuple(clean(harmless(line)) for line in _list(told.get("warnings", []), 10**6)[:WARNINGS]),
            archives=tuple(_archive(archive) for archive in _list(told.get("archives", []), ARCHIVES)),
            stats=None if stats is None else as_stats(stats),
            facts=plain(_mapping(told.get("facts", {}))),
            gone=told.get("gone") is True,
        )
    except (HostileAnswer, ValueError, TypeError) as problem:
        return Outcome(
            error=JobError(
                ErrorCode.HOSTILE_ANSWER, f"What came back from the host cannot be believed: {clean(str(problem))}."
            ),
            gone=True,
        )
