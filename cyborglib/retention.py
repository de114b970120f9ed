"""Which archives of a series a retention keeps, and why. Pure.

A *series* is what one policy made of one client in one vault (of one database, where a backup makes an archive for
each). The rules are those of `borg prune` (1.2 and 1.4), and a test compares the two; what differs is which archives
take part. They go by `recorded_at`, when the controller recorded them, and never by the time that a client wrote into
an archive.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from attrs import frozen

from .model import Archive, Retention
from .timezones import validate_timezone

#: Of each period the newest archive is kept. In Borg's order: what one rule keeps does not count for a later one.
PERIODS = {"hourly": "%Y-%m-%d %H", "daily": "%Y-%m-%d", "weekly": "%G-%V", "monthly": "%Y-%m", "yearly": "%Y"}
#: Hours of the units of `within`, as Borg has them.
HOURS = {"H": 1, "d": 24, "w": 24 * 7, "m": 24 * 31, "y": 24 * 365}

Series = tuple[int, int | None, int | None, str]


@frozen
class Verdict:
    """What a prune does with an archive, and why.

    `rule` is Borg's where one keeps it ("daily #3", "yearly[oldest] #1"), or says in words what else does; "" where
    it goes.
    """

    archive: Archive
    keep: bool
    rule: str


def series(archives: Iterable[Archive]) -> dict[Series, list[Archive]]:
    """Archives by vault, policy, client and part."""
    found: dict[Series, list[Archive]] = defaultdict(list)
    for archive in archives:
        found[archive.vault, archive.policy, archive.client, archive.part].append(archive)
    return dict(found)


def plan(
    archives: Iterable[Archive],
    retention: Retention | None,
    *,
    now: datetime,
    timezone: str = "UTC",
    share: float = 0.5,
) -> list[Verdict]:
    """What becomes of the archives of one policy; nothing of a series in which one is doubtful."""
    found: list[Verdict] = []
    for members in series(archives).values():
        hold = held(members)
        found += verdicts(members, retention, now=now, timezone=timezone, share=share, hold=hold)
    return found


def held(archives: Iterable[Archive]) -> str:
    """Why nothing of a series goes now, in a sentence; "" if there is no reason."""
    doubts = doubted(archives)
    if not doubts:
        return ""
    first, more = doubts[0], f" and {len(doubts) - 1} more" if len(doubts) > 1 else ""
    return (
        f"{first.name}{more} may not be what it should be ({first.doubtful}). Look at that client; when all is well, "
        "release(archive) lets older archives go again"
    )


def verdicts(
    archives: Iterable[Archive],
    retention: Retention | None,
    *,
    now: datetime,
    timezone: str = "UTC",
    share: float = 0.5,
    hold: str = "",
) -> list[Verdict]:
    """What becomes of the archives of one series, the newest first.

    :param timezone: whose days, weeks and months are meant; Borg's are those of the host it runs on
    :param share: at most this share of what counts goes in one go, the oldest first
    :param hold: why nothing goes now, if there is a reason
    """
    ordered = sorted(archives, key=lambda archive: (archive.recorded_at or now, archive.id or 0), reverse=True)
    counted = [archive for archive in ordered if not why_left_out(archive)]
    kept = _kept(counted, retention, now, timezone)
    _protect(counted, kept, share)
    found = []
    for archive in ordered:
        rule = why_left_out(archive) or kept.get(archive.id, "")
        if not rule and hold:
            rule = f"held: {hold}"
        # One that was to go before, and is still there, goes whatever is decided now.
        keep = bool(rule) and archive.pruned_at is None
        found.append(Verdict(archive, keep, rule if keep else ""))
    return found


def why_left_out(archive: Archive) -> str:
    """Why an archive neither counts for a retention nor goes by it; "" for one that does."""
    if archive.pruned_at is not None:
        return "it was decided before that it goes"
    if archive.foreign or archive.recorded_at is None:
        return "foreign: no job of ours made it"
    if archive.missing_at is not None:
        return "missing: the last listing did not find it"
    if archive.confirmed_at is None:
        return "not confirmed: the controller has not seen it in the vault yet"
    return f"doubtful: {archive.doubtful}" if archive.doubtful else ""


def doubted(archives: Iterable[Archive]) -> list[Archive]:
    """Those that hold the prune of their series until a person has looked, the oldest first."""
    there = [archive for archive in archives if archive.doubtful and archive.pruned_at is None]
    return sorted(there, key=lambda archive: archive.id or 0)


def _kept(
    counted: Sequence[Archive], retention: Retention | None, now: datetime, timezone: str
) -> dict[int | None, str]:
    """The rule that keeps each archive that one keeps; `counted` are those that count, the newest first."""
    if retention is None or retention == Retention():
        return {archive.id: "no retention" for archive in counted}
    kept: dict[int | None, str] = {}
    if retention.within:
        since = now - timedelta(hours=int(retention.within[:-1]) * HOURS[retention.within[-1]])
        within = [archive for archive in counted if archive.recorded_at is not None and archive.recorded_at > since]
        kept = {archive.id: f"within #{number}" for number, archive in enumerate(within, 1)}
    zone = validate_timezone(timezone)
    local = {archive.id: archive.recorded_at.astimezone(zone) for archive in counted if archive.recorded_at}
    for rule, pattern in PERIODS.items():
        periods = [f"{local[archive.id]:{pattern}}" for archive in counted]
        _keep_newest(counted, periods, kept, rule, getattr(retention, rule))
    return kept


def _keep_newest(
    counted: Sequence[Archive], periods: Sequence[str], kept: dict[int | None, str], rule: str, number: int
) -> None:
    """Add to `kept` the newest of each of the last `number` periods, as Borg's `prune_split` does."""
    if not number:
        return
    last, found = "", 0
    for archive, this in zip(counted, periods, strict=True):
        if this == last:
            continue
        last = this
        if archive.id not in kept:
            found += 1
            kept[archive.id] = f"{rule} #{found}"
            if found == number:
                return
    # While the history is shorter than the rule, the oldest stays as well: else nothing would ever grow old.
    if counted and counted[-1].id not in kept:
        kept[counted[-1].id] = f"{rule}[oldest] #{found + 1}"


def _protect(counted: Sequence[Archive], kept: dict[int | None, str], share: float) -> None:
    """Add what stays whatever the retention says."""
    proved = [archive for archive in counted if archive.proved_at is not None]
    for archive, rule in [*((one, "newest") for one in counted[:1]), *((one, "newest proved") for one in proved[:1])]:
        kept.setdefault(archive.id, rule)
    going = [archive for archive in reversed(counted) if archive.id not in kept]
    for archive in going[math.floor(len(counted) * share + 1e-9) :]:
        kept[archive.id] = "max_prune_share: not so many in one go"
