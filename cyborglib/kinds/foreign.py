"""Archives in a vault that no job of ours recorded: somebody made them by hand, or with another program.

They are shown and can be restored. They count for nothing, and nothing here deletes them. All that is known of them is
what whoever writes the vault chose to write, so it is bounded: a client can make a hundred thousand of them in a night.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import frozen

from ..errors import ErrorCode
from ..model import Archive
from .makers import jobs_named, maker, may_record
from .work import Refused, Work

#: How many of them are recorded in one vault.
MOST = 10_000
_ID = re.compile(r"[0-9a-f]{64}")
#: Of a time that a listing tells: others are not taken in, as they sort before or after everything.
_YEARS = range(1990, 2200)


@frozen
class Listed:
    """An archive in a listing of Borg's."""

    name: str
    borg_id: str
    time: str = ""


@frozen
class Strangers:
    """What came of those that were not known: to be recorded, and what is to be said of others."""

    new: tuple[Archive, ...] = ()
    #: Those of ours whose name another archive bears now.
    replaced: tuple[Archive, ...] = ()
    warnings: tuple[str, ...] = ()


def entries(facts: Mapping[str, Any]) -> list[Listed]:
    """The archives of a listing. Raises `Refused` for one that is none, as nothing may be concluded from that."""
    listed = facts.get("archives")
    if isinstance(listed, list | tuple) and all(isinstance(entry, Mapping) for entry in listed):
        found = [Listed(*(entry.get(name, "") for name in ("name", "id", "time"))) for entry in listed]
        texts = all(isinstance(one.name, str) and isinstance(one.time, str) for one in found)
        ids = texts and all(isinstance(one.borg_id, str) and _ID.fullmatch(one.borg_id) for one in found)
        # Of two archives of one name or id nobody could say which is ours.
        if ids and len({one.name for one in found}) == len({one.borg_id for one in found}) == len(found):
            return found
    raise Refused(ErrorCode.UNPARSABLE, "the listing of the vault cannot be read; nothing was changed by it")


def strangers(work: Work, listed: Sequence[Listed]) -> Strangers:
    """Those of a listing that are not known yet, and what they mean."""
    vault = work.vault
    assert vault is not None
    known = {archive.borg_id for archive in work.recorded}
    ours = {archive.name: archive for archive in work.recorded if not archive.foreign}
    unknown = [one for one in listed if one.borg_id not in known]
    room = max(0, MOST - sum(archive.foreign for archive in work.recorded))
    # What bears a name of ours comes first, so that nobody hides it behind many others.
    unknown.sort(key=lambda one: one.name not in ours)
    looked, beyond = unknown[:room], unknown[room:]
    jobs = work.jobs(jobs_named(one.name for one in looked))
    new: list[Archive] = []
    lost: list[str] = []
    for one in looked:
        job = maker(one.name, jobs, vault.id)
        if job is not None and one.name not in ours and may_record(job):
            lost += [one.name] if job.finished else []
            continue
        why = ""
        if one.name in ours:
            why = f"it bears the name of an archive that was made here, whose id was {ours[one.name].borg_id[:12]}…"
        elif job is not None:
            why = f"job {job.id} was to give an archive this name, and did not end as if it had made it"
        new.append(_archive(work, one, why))
    warnings = []
    if lost:
        warnings.append(
            f"in {vault.location} lies what may be of jobs that were lost: {_few(lost)}. It counts as no backup of ours"
        )
    if beyond:
        warnings.append(
            f"{len(beyond)} more archives in {vault.location} are of nobody here, and were not recorded: {MOST} are "
            "the most. Look at who makes them, and remove with borg what nobody wants"
        )
    replaced = tuple(ours[one.name] for one in unknown if one.name in ours)
    return Strangers(tuple(new), replaced, tuple(warnings))


def _archive(work: Work, one: Listed, why: str) -> Archive:
    vault = work.vault
    assert vault is not None
    return Archive(
        name=one.name,
        borg_id=one.borg_id,
        vault=vault.id or 0,
        client=vault.client,
        created_at=moment(one.time),
        recorded_at=work.now,
        confirmed_at=work.now,
        doubtful=why,
        foreign=True,
    )


def moment(text: str) -> datetime | None:
    """When a listing says that an archive was begun, which is the word of who made it; None for what is no such time.

    The Borg that lists is told to show times in UTC.
    """
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found if found.year in _YEARS else None


def seen(archives: Collection[Archive], listed: Mapping[str, str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Of foreign archives: ids of those that are gone now, and of those that were and are there again."""
    there = [archive for archive in archives if listed.get(archive.name) == archive.borg_id]
    back = tuple(archive.id or 0 for archive in there if archive.missing_at is not None)
    still = {archive.id for archive in there}
    gone = tuple(one.id or 0 for one in archives if one.id not in still and one.missing_at is None)
    return gone, back


def _few(names: Sequence[str]) -> str:
    return ", ".join(sorted(names)[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
