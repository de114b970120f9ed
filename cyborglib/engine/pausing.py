"""What is full pauses those who write there; before they go on it is found out whether there is room.

Where the library may log in on the host of the vault, that is asked (`measure`); elsewhere one of the jobs that wait
may try, and waits on if it finds no room. Both less and less often.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from attrs import evolve

from .. import planning
from ..errors import ErrorCode, JobError
from ..events import ClientPaused, ClientResumed, Event, JobQueued, SpaceLow, VaultPaused, VaultResumed
from ..kinds import Settlement, Work
from ..kinds.work import Room
from ..model import FULL, Job, JobKind, Pause, Repository, Vault
from ..store import Store

#: Seconds until a host is asked the first time and at the longest, and until a job may try.
ASK, TRY = (60, 1800), (300, 6 * 3600)
#: Seconds within which an answer is to come, before a host is asked anew.
ANSWER = 600
#: Jobs that are worked on a client, so that it is the disk of that which was full. A restore is not among them:
#: it fills the folder that a person chose.
_ON_CLIENT = (JobKind.BACKUP, JobKind.PREPARE_CLIENT, JobKind.PREPARE_HYPERVISOR)
#: After these there may be room, or another quota.
_MADE_ROOM = (JobKind.COMPACT, JobKind.PREPARE_REPOSITORY)


def tries(store: Store, job: Job, error: JobError) -> bool:
    """True for a job that was to find out whether there is room just there, and found none: it waits on."""
    return error.code in FULL and any(_is_about(pause, error) for pause in store.pauses.all() if pause.trial == job.id)


def ended(store: Store, work: Work, settlement: Settlement) -> list[Event]:
    """What a job's end means for pauses; inside its transaction. Gives what is to be told."""
    job, error, pauses = work.job, settlement.error, store.pauses.all()
    mine = next((pause for pause in pauses if pause.trial is not None and pause.trial == job.id), None)
    if mine is not None and error is not None:
        # Another error, or that something else is full, says nothing about the room.
        in_vain = _is_about(mine, error)
        if in_vain:
            mine = evolve(mine, code=error.code, reason=error.message, tries=mine.tries + 1)
        store.pauses.put_off(evolve(mine, trial=None, look_at=_later(work.now, TRY, mine.tries)))
        return _full(store, work, error) if error.code in FULL and not in_vain else []
    if error is not None and error.code in FULL:
        return _full(store, work, error)
    events: list[Event] = []
    if settlement.room is not None and work.vault is not None:
        events += _measured(store, work, work.vault, settlement.room, pauses)
    if mine is not None:
        events += resume(store, together(pauses, mine))
    elif error is None and job.kind in _MADE_ROOM:
        for pause in pauses:
            if pause.vault == job.vault:
                store.pauses.put_off(evolve(pause, look_at=work.now))
    return events


def _is_about(pause: Pause, error: JobError) -> bool:
    """True if what a job came upon is what the pause is for: a client's disk, or where a vault lies."""
    return error.code in FULL and (error.code is ErrorCode.CLIENT_FULL) == (pause.client is not None)


def _full(store: Store, work: Work, error: JobError) -> list[Event]:
    client, vault, filesystem = work.hypervisor or work.client, work.vault, ""
    if error.code is ErrorCode.CLIENT_FULL:
        keys = [f"client:{client.id}"] if client is not None and work.job.kind in _ON_CLIENT else []
    else:
        keys = [f"vault:{vault.id}"] if vault is not None else []
        if vault is not None and error.code is ErrorCode.VAULT_FULL and vault.filesystem:
            filesystem = _place(vault)
            keys = [f"vault:{one}" for one in sorted({vault.id or 0, *_neighbours(store, vault)})]
    first = ASK if vault is not None and _can_ask(store, error.code, vault) else TRY
    pauses = [
        Pause(
            key=key,
            code=error.code,
            reason=error.message,
            since=work.now,
            look_at=_later(work.now, first, 0),
            filesystem=filesystem,
        )
        for key in keys
    ]
    return [_paused(pause) for pause in store.pauses.add(pauses)]


def _measured(store: Store, work: Work, vault: Vault, room: Room, pauses: Sequence[Pause]) -> list[Event]:
    number = vault.id or 0
    store.vaults.observe(number, filesystem=room.filesystem, free_bytes=room.free, measured_at=work.now)
    vault = evolve(vault, filesystem=room.filesystem)
    keys = {f"vault:{one}" for one in (number, *_neighbours(store, vault))}
    full = [pause for pause in pauses if pause.key in keys and pause.code is ErrorCode.VAULT_FULL]
    events: list[Event] = []
    if not full and room.low(work.settings):
        events.append(SpaceLow(vault=number, free=room.free, total=room.total))
    if room.enough(work.settings):
        return [*events, *resume(store, full)]
    for pause in full:
        later = _later(work.now, ASK, pause.tries + 1)
        store.pauses.put_off(evolve(pause, tries=pause.tries + 1, look_at=later, filesystem=_place(vault)))
    return events


def resume(store: Store, pauses: Sequence[Pause]) -> list[Event]:
    """End pauses; gives what is to be told."""
    return [_resumed(pause) for pause in store.pauses.end(pauses)]


def together(pauses: Sequence[Pause], one: Pause) -> list[Pause]:
    """Those that are over when one is: the vaults on a full file system."""
    same = one.filesystem
    return [pause for pause in pauses if pause.key == one.key or (same and pause.filesystem == same)]


def look_now(store: Store, now: datetime, jobs: Iterable[int] | None = None) -> None:
    """Let it be found out at once, as somebody is there who waits for it: for all, or for some jobs."""
    pauses = store.pauses.all()
    keys = store.jobs.keys_of(jobs) if pauses and jobs is not None else None
    for pause in pauses:
        if pause.look_at > now and (keys is None or pause.key in keys):
            store.pauses.put_off(evolve(pause, look_at=now))


def look(store: Store, now: datetime) -> list[Event]:
    """Ask hosts, and let jobs try, where it is time; gives what is to be told. Costs one look where it is not."""
    if not store.pauses.due(now):
        return []
    events: list[Event] = []
    with store.transaction():
        asked: set[int] = set()
        for pause in store.pauses.due(now):
            if (pause.vault or 0) not in store.vaults and pause.client is None:
                store.pauses.end([pause])  # The vault was removed.
                continue
            vault = store.vaults.get(pause.vault) if pause.vault is not None else None
            if vault is not None and _can_ask(store, pause.code, vault):
                store.pauses.put_off(evolve(pause, look_at=now + timedelta(seconds=ANSWER)))
                if vault.id not in asked:
                    events += ask(store, vault)
                # Those that its answer will be for.
                asked |= {vault.id or 0, *_neighbours(store, vault)}
            else:
                _let_one_try(store, pause, now)
    return events


def _let_one_try(store: Store, pause: Pause, now: datetime) -> None:
    trying = pause.trial is not None and bool(store.jobs.left([pause.trial]))
    job = pause.trial if trying else store.pauses.next_to_try(pause)
    if job is not None:  # Else the first that comes to wait there may try.
        store.pauses.put_off(evolve(pause, trial=job, tried=job, look_at=_later(now, TRY, pause.tries)))


def ask(store: Store, vault: Vault) -> list[Event]:
    """Queue the question to a vault's host, unless it is just being asked."""
    open_ = [job for job in store.jobs.find(kind=JobKind.MEASURE, vault=vault.id) if not job.finished]
    if open_:
        return []
    repository = store.repositories.get(vault.repository)
    client = store.clients.get(vault.client) if vault.client is not None and vault.where.local else None
    queued = store.jobs.queue([planning.measure(repository, vault, client, store.settings)])
    return [JobQueued(job=job) for job in queued.new]


def _can_ask(store: Store, code: ErrorCode, vault: Vault) -> bool:
    """True if the library may log in where the vault lies, and the answer is to the point."""
    if code is not ErrorCode.VAULT_FULL:
        return False
    repository: Repository = store.repositories.get(vault.repository)
    return vault.client is not None if vault.where.local else repository.managed


def _neighbours(store: Store, vault: Vault) -> list[int]:
    """The vaults on the same file system."""
    return store.pauses.vaults_on(vault.repository, vault.filesystem) if _place(vault) else []


def _place(vault: Vault) -> str:
    """A file system as no other host has one; "" where it is not known, or no other vault is on it."""
    return f"{vault.where.host} {vault.filesystem}" if vault.filesystem and not vault.where.local else ""


def _later(now: datetime, seconds: tuple[int, int], tries: int) -> datetime:
    first, longest = seconds
    return now + timedelta(seconds=min(first * 2 ** min(tries, 20), longest))


def _paused(pause: Pause) -> Event:
    if pause.client is not None:
        return ClientPaused(client=pause.client, reason=pause.reason)
    return VaultPaused(vault=pause.vault or 0, code=pause.code.value, reason=pause.reason)


def _resumed(pause: Pause) -> Event:
    if pause.client is not None:
        return ClientResumed(client=pause.client)
    return VaultResumed(vault=pause.vault or 0)
