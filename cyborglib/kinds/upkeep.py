"""What prune and compact have in common: the vault is closed to its clients, and looked at before anything is final.

A client's key cannot take anything away, but it can overwrite and delete data, which shows nowhere in a list of
archives and would be made final by us. So all of this is asked first: are our archives there, with their ids; on a
managed host, how much became freeable, and did every transaction come while a job of ours was at work; elsewhere, what
`borg check` says. The answers are compared in the run itself (plugin_utils/tampering.py), which goes no further if one
is wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from attrs import evolve

from ..errors import ErrorCode, JobError
from ..events import ClockDoubtful, PruneHeld
from ..executor import Outcome
from ..model import Archive, Baseline, Job, JobStatus, Vault
from ..model.repository import STORAGE_ACCOUNT
from ..secret import Secret
from . import catalog
from .backup import SEPARATOR
from .controller import at_its_client, by_account
from .foreign import entries
from .hosts import become_secrets, repository_host, unpinned
from .rekeying import digest
from .work import Assignment, Refused, Settlement, Work, on_host

#: Errors that say that a job's own Borg may go on without anybody hearing of it.
_UNSEEN = (ErrorCode.LOST, ErrorCode.UNREACHABLE, ErrorCode.TIMEOUT, ErrorCode.INTERNAL)
#: Errors that mean that somebody did something to the vault.
_ATTACKED = (
    ErrorCode.VAULT_TAMPERED,
    ErrorCode.VAULT_KEY_CHANGED,
    ErrorCode.VAULT_ID_CHANGED,
    ErrorCode.VAULT_DAMAGED,
)
#: Bytes of address space for a Borg that deletes: it holds the index of all chunks, a few hundred bytes for each.
MEMORY = 8 * 1024**3
ROLL_BACK = "Nothing is written to this vault any more; docs/append-only.md says how to go back to before it"


def refuse(work: Work) -> None:
    """Raise `Refused` where nothing may be made final now."""
    vault = work.vault
    assert vault is not None
    if vault.suspect:
        raise held(work, ErrorCode.VAULT_DAMAGED, f"{vault.location} is suspect: {vault.suspect}")
    if work.clock:
        raise held(work, ErrorCode.CLOCK_DOUBTFUL, work.clock)


def held(work: Work, code: ErrorCode, reason: str) -> Refused:
    """Nothing was done, for this reason, which listeners are told."""
    assert work.vault is not None
    job = work.job
    event = PruneHeld(vault=work.vault.id or 0, policy=job.policy, client=job.client, reason=reason)
    return Refused(code, reason, skip=True, events=(event,))


def assignment(work: Work, going: Iterable[Archive] = (), *, compact: bool = False) -> Assignment:
    """A run on the controller, or on the client in whose folder the vault lies."""
    vault, repository, job = work.vault, work.repository, work.job
    assert vault is not None
    assert repository is not None
    name = f"job-{job.id}"
    deleted = tuple(going)
    if vault.where.local:
        host, variables, secrets = at_its_client(work, work.client, name)
    else:
        host, variables, secrets = by_account(work, name)
        variables |= {"borg_memory_limit": MEMORY}
    closed = repository.managed and not vault.where.local
    if closed:
        secrets |= become_secrets(None, repository)
    counted = closed and repository.append_only
    variables |= {
        "borg_key_sha256": digest(vault),
        "cyborg_repository_host": f"repository-{repository.id}" if closed else "",
        "upkeep_vault": vault.id,
        "upkeep_account": vault.where.user or STORAGE_ACCOUNT,
        "upkeep_folder": vault.where.path,
        # It opens by itself after that, whatever becomes of this job.
        "upkeep_seconds": job.timeout,
        "upkeep_by": f"{job.id}.{job.attempt}",
        "upkeep_counted": counted,
        "upkeep_since": _since(vault) if counted else {},
        "upkeep_windows": windows(work.writers, work.now) if counted else [],
        "upkeep_archives": {archive.name: archive.borg_id for archive in deleted},
        # Of those that this client's backups by this policy left when they were killed.
        "upkeep_leftovers": f"{job.policy_name}{SEPARATOR}{job.client_name}{SEPARATOR}" if job.policy_name else "",
        "upkeep_known": {archive.name: archive.borg_id for archive in work.recorded if _is_there(archive)},
        # Decided before, whatever became of that, or given up as lost by a person: it may be there or not.
        "upkeep_decided": {
            archive.name: archive.borg_id
            for archive in work.recorded
            if not archive.foreign and not _is_there(archive) and not is_gone(archive)
        },
        # An unfinished change of ours freed bytes that nobody counted: then only Borg can say that all is whole.
        "upkeep_check": not counted or vault.unsettled_at is not None,
        "upkeep_verify": vault.unsettled_at is not None or (not counted and compact and work.settings.verify_compact),
        "upkeep_compact": compact,
    }
    others = (repository_host(repository, work.settings),) if closed else unpinned(repository, vault, work.settings)
    return on_host(
        work,
        "upkeep",
        host,
        variables=variables,
        secrets=secrets,
        others=others,
        deletes=tuple(archive.id or 0 for archive in deleted),
    )


def _is_there(archive: Archive) -> bool:
    """True for one of ours that must be in the vault."""
    return not archive.foreign and archive.pruned_at is None and archive.missing_at is None


def is_gone(archive: Archive) -> bool:
    """True for one that was deleted on purpose, and was seen to be gone."""
    return archive.pruned_at is not None and archive.missing_at is not None


def _since(vault: Vault) -> dict[str, int]:
    """What only grows since it was counted last. Bytes do not tell where a change of ours was not seen to its end."""
    baseline = vault.baseline
    if baseline is None:
        return {}
    only_grows = {"transaction": baseline.transaction, "log_bytes": baseline.log_bytes}
    if vault.unsettled_at is not None:
        return only_grows
    return {"freeable_bytes": baseline.freeable_bytes, "stored_bytes": baseline.stored_bytes, **only_grows}


def windows(jobs: Iterable[Job], now: datetime) -> list[list[float]]:
    """When jobs of ours may have written the vault: [from, to] in seconds since 1970 by the controller's clock.

    Of one that nobody saw end, its Borg may have gone on until the next one began.
    """
    ordered = sorted(jobs, key=lambda job: job.id or 0)
    found = []
    for place, job in enumerate(ordered):
        # Of an earlier attempt it is not kept when it began.
        began = job.started_at if job.attempt <= 1 and job.started_at else job.created_at
        ended = job.ended_at or now
        if job.status is not JobStatus.SUCCESSFUL and (job.error is None or job.error.code in _UNSEEN):
            later = [one.ended_at or now for one in ordered[place + 1 :] if one.status is JobStatus.SUCCESSFUL]
            ended = max(ended, later[0] if later else now)
        if began is not None and (job.started_at is not None or job.attempt > 0):
            found.append([began.timestamp(), ended.timestamp()])
    return found


def settled(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """What both have in common: what the listing found, and what the vault's host said of it afterwards."""
    vault, error, facts = work.vault, outcome.error, outcome.facts
    assert vault is not None
    if error is not None:
        if error.code in _ATTACKED:
            message = error.message if ROLL_BACK in error.message else f"{error.message.rstrip('.')}. {ROLL_BACK}"
            return catalog.suspect(work, evolve(error, message=message))
        if error.code is ErrorCode.CLOCK_DOUBTFUL:
            return Settlement(error=error, events=(ClockDoubtful(reason=error.message),))
        if error.code is not ErrorCode.ARCHIVES_VANISHED:
            return Settlement(error=error, warnings=outcome.warnings)
    settlement = catalog.compared(work, entries(facts), outcome)
    if error is not None and settlement.error is None:
        # The listing that was to show it does not: no harm, but no success either.
        return evolve(settlement, error=error)
    return settlement


def baseline(work: Work, facts: Mapping[str, Any]) -> Baseline | None:
    """From where on is counted from now; None where the vault's host was not asked."""
    looked = facts.get("looked")
    if not isinstance(looked, Mapping) or not looked:
        return None
    names = ("freeable_bytes", "stored_bytes", "transaction", "log_bytes")
    values = {name: looked.get(name) for name in names}
    if not all(isinstance(value, int) and not isinstance(value, bool) and value >= 0 for value in values.values()):
        raise Refused(ErrorCode.HOSTILE_ANSWER, "the vault's host said what cannot be: look at it before you go on")
    return Baseline(**values, at=int(work.now.timestamp()))  # type: ignore[arg-type] # checked just now


def later(moment: datetime, days: int) -> datetime:
    """So many days later."""
    return moment + timedelta(days=days)


def unanswered(error: JobError | None) -> bool:
    """True if it is not known what the job did."""
    return error is not None and error.code in _UNSEEN
