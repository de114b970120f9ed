"""Pure: when it is whose turn to be checked or drilled, which archives a drill takes, and what such jobs are.

Turns come in cycles of some days, and where in the cycle that of a number is follows from the number alone: a fleet's
vaults are spread over all of it, whatever is added or removed, and two engines know the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from math import floor, ldexp

from .errors import Invalid
from .model import Archive, Client, Drill, JobKind, Policy, Repository, Settings, Variables, Vault
from .model.fields import shown
from .planning import Key, NewJob, client_keys, job_at, vault_key, vault_keys

#: What of a vault is checked: the files of its repository, what its archives are made of, or the data in them too.
PARTS = ("repository", "archives", "data")
DAY = timedelta(days=1)
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
#: The golden ratio's fraction, of 2^32: its multiples are spread evenly, however many there are of them.
_GOLDEN = 2654435769

#: Seconds: what a check takes besides its work, and how fast it must be to be let go on: bytes of data, files of
#: archives. A slow disk over a slow line does ten times that.
_START, _BYTES, _FILES = 3600, 5_000_000, 1_000


def turn(number: int, days: float, after: datetime) -> datetime:
    """When it is the turn of a number (an id) the next time after a moment, in a cycle of some days."""
    cycle = timedelta(days=days)
    first = _BEGIN + cycle * ldexp(number * _GOLDEN % 2**32, -32)
    return first + cycle * (floor((after - first) / cycle) + 1)


def days_of(part: str, settings: Settings) -> int:
    """In how many days all of a part is to be gone through; 0 never."""
    found: int = getattr(settings, f"check_{part}_days")
    return found


def due_parts(vault: Vault, settings: Settings, now: datetime) -> list[str]:
    """The parts of a vault whose turn has come since they were last gone through as a whole."""
    return [part for part in PARTS if (moment := _moment(vault, part, settings, now)) is not None and moment <= now]


def look_again(vault: Vault, settings: Settings, now: datetime) -> datetime:
    """When to look at a vault again: at its next turn, in a day at the latest.

    So what did not come to its end is tried again each day, and changed settings take effect.
    """
    moments = (_moment(vault, part, settings, now) for part in PARTS)
    return min([now + DAY, *(moment for moment in moments if moment is not None and moment > now)])


def _moment(vault: Vault, part: str, settings: Settings, now: datetime) -> datetime | None:
    """The turn of a part that was not answered yet; None if it is never checked."""
    days = days_of(part, settings)
    since: datetime | None = getattr(vault, f"{part}_checked_at") or vault.prepared_at or vault.created_at
    if not days:
        return None
    # What a clock wrote that was wrong does not count.
    return turn(vault.id or 0, days, min(since, now) if since is not None else now - timedelta(days=days))


def as_parts(parts: Iterable[str] | str) -> tuple[str, ...]:
    """Some of `PARTS`, as a caller named them. Raises `Invalid`."""
    found = (parts,) if isinstance(parts, str) else tuple(parts)
    if not found or any(part not in PARTS for part in found):
        raise Invalid(f"parts {shown(parts)} cannot be checked; name some of {', '.join(PARTS)}")
    return tuple(part for part in PARTS if part in found)


def timeout(part: str, settings: Settings, *, seconds: int, files: int, stored: int) -> int:
    """Seconds that a check may take, by what lies in the vault: files of all archives, bytes stored.

    `seconds` is after how many Borg is to end the check of a repository by itself; 0 for all of it.
    """
    if part == "repository":
        wanted = _START + (seconds or stored // _BYTES)
    else:
        wanted = _START + files // _FILES + (stored // _BYTES if part == "data" else 0)
    return min(wanted, settings.check_timeout)


def check(
    repository: Repository,
    vault: Vault,
    client: Client | None,
    part: str,
    settings: Settings,
    *,
    launched_by: str,
    timeout: int,
    seconds: int = 0,
    due: datetime | None = None,
) -> NewJob:
    """A look at one part of a vault. It writes nothing, but nobody may write meanwhile.

    For a vault in a folder of a client (the owner) it runs there, and holds the client too.
    """
    local = client if vault.where.local else None
    # One who is switched off has a vault still, which rots like any other.
    job = job_at(
        JobKind.CHECK,
        repository,
        vault,
        local,
        settings,
        client_name=client.hostname if client else "",
        options=Variables({"part": part, "seconds": seconds if part == "repository" else 0}),
        launched_by=launched_by,
        due=due,
        timeout=timeout,
    )
    return NewJob(job, vault_keys(vault, local, settings, alone=True))


def drilled(policy: Policy, since: datetime, now: datetime) -> list[int]:
    """The clients of a policy whose turn for a drill came after `since`, and by now."""
    days = policy.drill.days
    return [client for client in policy.clients if days and turn(_pair(policy, client), days, since) <= now]


def next_drill(policy: Policy, now: datetime) -> datetime:
    """When to look at a policy's drills again: at its clients' next turn, in a day at the latest."""
    days = policy.drill.days
    return min([now + DAY, *(turn(_pair(policy, client), days, now) for client in policy.clients if days)])


def _pair(policy: Policy, client: int) -> int:
    """One number for a policy and client; clients of one policy have consecutive ones, and so turns far apart."""
    return (policy.id or 0) * 1_000_003 + client


def choose(archives: Iterable[Archive]) -> list[Archive]:
    """Which of the archives of a policy and client a drill takes, by risk and age: at most two.

    One that is doubtful and was not proved since, the newest of them. And of the others one of the part (a database)
    that was not proved for longest, if ever; of those one that was never proved before those that were, then the one
    whose proof is oldest, and the newest before older ones: what is most likely to be needed.

    Whatever is pruned, missing, foreign or empty is not looked at.
    """
    there = [
        one
        for one in archives
        if not (one.foreign or one.pruned_at or one.missing_at) and (one.files or one.original_bytes)
    ]
    proved: dict[str, datetime] = {}
    for one in there:
        if one.proved_at is not None:
            proved[one.part] = max(one.proved_at, proved.get(one.part, _BEGIN))

    def urgency(one: Archive) -> tuple[datetime, datetime, timedelta]:
        return proved.get(one.part, _BEGIN), one.proved_at or _BEGIN, _BEGIN - _age(one)

    doubtful = sorted((one for one in there if one.doubtful and one.proved_at is None), key=_age)[-1:]
    others = sorted((one for one in there if not one.doubtful), key=urgency)[:1]
    return [*doubtful, *others]


def _age(one: Archive) -> datetime:
    return one.recorded_at or one.created_at or _BEGIN


def drill(
    archive: Archive,
    policy: Policy | None,
    repository: Repository,
    vault: Vault,
    where: Client | None,
    owner: Client | None,
    settings: Settings,
    *,
    stream: bool,
    load: bool,
    launched_by: str,
) -> NewJob:
    """Prove that an archive can be restored, on the client `where`, or (None) on the controller.

    It reads the vault together with others; a vault in a folder of a client is read there, and that is held too.
    """
    how: Drill = policy.drill if policy is not None else Drill()
    options = {"stream": stream, "load": load, "type": policy.type if policy else "", "whole": how.whole}
    job = job_at(
        JobKind.DRILL,
        repository,
        vault,
        where,
        settings,
        policy=archive.policy,
        policy_name=policy.name if policy else "",
        client_name=owner.hostname if owner else "",
        archive=archive.id,
        options=Variables({**options, "files": how.files, "bytes": how.bytes}),
        launched_by=launched_by,
    )
    keys: Sequence[Key] = (vault_key(vault, alone=False), *client_keys(where, settings))
    return NewJob(job, tuple(keys))
