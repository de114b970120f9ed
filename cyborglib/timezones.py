"""The wall clock of a time zone: which zones there are, and at which instants a clock there shows a time.

An *instant* is an aware datetime in UTC, a *wall time* a naive one as a clock in the zone would show it.
"""

from __future__ import annotations

import difflib
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from .errors import Invalid

_SECOND = timedelta(seconds=1)

# Files of the zone directory that are no zone's name: copies (those under `right/` count leap seconds), and
# `localtime`, which means something else on every machine.
_NOT_NAMES = ("posix/", "right/", "posixrules", "localtime", "Factory")


def validate_timezone(name: object) -> ZoneInfo:
    """The time zone of an IANA name, like "Europe/Paris" or "UTC".

    Raises `Invalid` for any other value, with the names nearest to it.
    """
    if not isinstance(name, str):
        raise Invalid(f"the time zone is a name like 'Europe/Paris' or 'UTC', not {type(name).__name__}")
    if not name.startswith(_NOT_NAMES):
        try:
            return ZoneInfo(name)
        # KeyError: no such zone; ValueError: not a plain relative name; OSError: a folder, or too long.
        except (KeyError, ValueError, OSError):
            pass
    near = _nearest(name[:100])
    hint = f"did you mean {near}?" if near else "use a name like 'Europe/Paris', 'America/New_York' or 'UTC'"
    raise Invalid(f"the time zone {name[:100]!r} is not known; {hint}")


def _nearest(name: str) -> str:
    """Up to three known names that resemble `name` as a whole or in their last part, ready for a sentence."""
    # Never suggested: Etc/GMT+2, whose sign is the opposite of what people expect, and EST, which has no summer time.
    known = sorted(zone for zone in available_timezones() if "/" in zone and not zone.startswith("Etc/"))
    known.append("UTC")
    spellings: dict[str, str] = {}
    for zone in known:
        spellings.setdefault(zone.lower().rpartition("/")[2], zone)
    spellings.update((zone.lower(), zone) for zone in known)
    wanted = name.strip().lower().replace(" ", "_")
    found = difflib.get_close_matches(wanted, spellings, n=6, cutoff=0.7)
    return " or ".join(f"'{zone}'" for zone in list(dict.fromkeys(spellings[match] for match in found))[:3])


def wall_time(zone: ZoneInfo, instant: datetime) -> datetime:
    """What a clock in the zone shows at the instant."""
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def shown_at(zone: ZoneInfo, wall: datetime) -> tuple[datetime, ...]:
    """The instants at which the clock shows exactly `wall`: none in a gap, two in a doubled hour, else one."""
    first = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    second = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    # For a time in a gap Python takes the offset before the gap with fold=0, and gets the later instant (PEP 495).
    return (first,) if first == second else (first, second) if first < second else ()


def first_reached(zone: ZoneInfo, wall: datetime) -> datetime:
    """The first instant at which the clock shows `wall` or, where it skips that, something later.

    In a doubled hour this is the first of the two, in a gap the gap's end. It never falls as `wall` rises.
    """
    shown = shown_at(zone, wall)
    if shown:
        return shown[0]
    # In a gap the offset after the change leads to an instant before the change, and the other way round.
    # The change lies between the two; zone files know changes to the second.
    before = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    after = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    while after - before > _SECOND:
        middle = before + (after - before) // _SECOND // 2 * _SECOND
        if wall_time(zone, middle) < wall:
            before = middle
        else:
            after = middle
    return after


def lowest_ahead(zone: ZoneInfo, instant: datetime) -> datetime:
    """A wall time that the clock does not fall below from this instant on."""
    local = instant.astimezone(zone)
    return wall_time(zone, instant) - (_doubled(local) if local.fold == 0 else timedelta(0))


def highest_so_far(zone: ZoneInfo, instant: datetime) -> datetime:
    """A wall time that the clock has not gone beyond up to this instant."""
    local = instant.astimezone(zone)
    return wall_time(zone, instant) + (_doubled(local) if local.fold == 1 else timedelta(0))


def _doubled(local: datetime) -> timedelta:
    """How far the clock goes back at the end of the doubled hour that `local` lies in; zero outside one."""
    first, second = local.replace(fold=0).utcoffset(), local.replace(fold=1).utcoffset()
    assert first is not None
    assert second is not None
    return first - second
