"""Whether a backup looks like those before it. Pure.

A backup that Borg made well may be one of the wrong thing: a folder that was emptied, a database that was restored in
part, files that somebody encrypts and renames away. It stays successful, but nothing older of its series goes until a
person has looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from .executor import ArchiveMade
from .model import Archive, Settings

#: How many good archives there have to be before a new one is compared with them.
ENOUGH = 2
#: Fewer files or bytes than these come and go by nature.
FEW_FILES, FEW_BYTES = 20, 1_000_000
#: What is not less than this share of the least one before is as usual, however much more others had: a night with a
#: large file in it is no measure, and what a person has released once is not doubted again.
USUAL = 0.9


def doubt(made: ArchiveMade, before: Iterable[Archive], settings: Settings) -> str:
    """What is odd about an archive, in a sentence; "" if nothing is.

    :param before: archives of the same policy and client, the newest first
    """
    history = [archive for archive in before if archive.part == made.part and is_good(archive)]
    missed = _missed(made, history)
    if missed:
        return missed
    files = [archive.files for archive in history]
    size = [archive.original_bytes for archive in history]
    return _fewer("files", made.stats.files, files, settings.max_fewer_files, FEW_FILES) or _fewer(
        "bytes", made.stats.original_bytes, size, settings.max_fewer_bytes, FEW_BYTES
    )


def is_good(archive: Archive) -> bool:
    """True for one that others are compared with. One that is not confirmed yet may have been made a moment ago."""
    return not archive.doubtful and not archive.foreign and archive.missing_at is None


def _missed(made: ArchiveMade, history: Sequence[Archive]) -> str:
    if not history:
        return ""
    gone = sorted({root for root, _system in history[0].roots} - {root for root, _system in made.roots})
    if not gone:
        return ""
    return f"it has nothing of {', '.join(gone[:5])}{' and more' if len(gone) > 5 else ''}, which the backup before had"


def _fewer(what: str, found: int, history: Sequence[int], most: float, few: int) -> str:
    """A sentence if a number dropped by more than a share against the last one, or against what was usual."""
    if len(history) < ENOUGH or found >= USUAL * min(history):
        return ""
    usual = median(history)
    for before, name in ((history[0], "the backup before"), (usual, "what was usual")):
        if before >= few and found < (1 - most) * before:
            return f"it has {found} {what}, which is {1 - found / before:.0%} less than {name} ({before:.0f})"
    return ""
