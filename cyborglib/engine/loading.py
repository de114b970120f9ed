"""Reads everything that claimed jobs refer to: what several share is read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

import attrs

from ..errors import ErrorCode
from ..kinds import Refused, Role, Work
from ..machines import TYPE as MACHINES
from ..model import Archive, Entry, Job, JobKind, Policy, Settings, Vault
from ..store import Claim, ReadShelf, Store

#: Jobs that a switched-off client or repository stops. A restore is asked for by a person, who may need just that.
#: By how many backups before it the sanity of a new one is judged.
HISTORY = 14
#: Jobs that make final what was deleted, and those that compare a vault with what was recorded.
UPKEEP = frozenset({JobKind.PRUNE, JobKind.COMPACT})
_LISTING = UPKEEP | {JobKind.CATALOG}
_STOPPED = frozenset(JobKind) - {JobKind.RESTORE}


class Loading:
    """What the jobs of some claims refer to, as it stands now."""

    def __init__(
        self,
        store: Store,
        claims: Sequence[Claim],
        settings: Settings,
        *,
        state_dir: str,
        role: Role,
        doubt: Callable[[], str],
    ) -> None:
        jobs = [claim.job for claim in claims]
        self.settings = settings
        self._store, self._archives, self._jobs = store, store.archives, store.jobs
        self._contents = store.contents
        self._state_dir = state_dir
        self._role = role
        self._doubt = doubt
        self._clients = Few(store.clients, (one for job in jobs for one in (job.client, job.hypervisor)))
        self._repositories = Few(store.repositories, (job.repository for job in jobs))
        self._vaults = Few(store.vaults, (job.vault for job in jobs))
        self._policies = Few(store.policies, (job.policy for job in jobs))

    def work(self, claim: Claim, now: datetime) -> Work:
        """A job with its client, vault, repository, policy and archives. Raises what reading them does."""
        job, archives = claim.job, self._archives
        archive = archives.get(job.archive) if job.archive is not None else None
        vault, policy = self._vaults.get(job.vault), self._policies.get(job.policy)
        previous = archives.latest(job.policy, job.client) if job.kind is JobKind.BACKUP else None
        return Work(
            job=job,
            fence=claim.fence,
            settings=self.settings,
            now=now,
            client=self._clients.get(job.client),
            hypervisor=self._clients.get(job.hypervisor),
            repository=self._repositories.get(job.repository),
            vault=vault,
            policy=policy,
            archive=archive,
            owner=self._clients.get(archive.client) if archive is not None else None,
            previous=previous,
            previous_bytes=self._bytes(previous),
            **(self._to_look_for(job) if job.kind in _LISTING else {}),
            writers=self._writers(vault) if job.kind in UPKEEP else (),
            timezone=self._timezone(policy),
            clock=self._doubt() if job.kind in UPKEEP else "",
            history=self._history(job),
            others=self._others(vault) if vault is not None and vault.foundling else (),
            jobs=self._jobs.many,
            cataloged=self._cataloged,
            state_dir=self._state_dir,
            role=self._role,
        )

    def _cataloged(self, archive: int, path: str) -> Entry | None:
        there = self._contents.browse(archive, path) or []
        return there[0] if len(there) == 1 and there[0].path == path else None

    def _to_look_for(self, job: Job) -> dict[str, Any]:
        """What a look into a vault should find, and read."""
        recorded = {archive.id: archive for archive in self._archives.find(vault=job.vault)}
        reads = job.kind is JobKind.CATALOG and job.options.get("contents", True)
        ids = self._contents.wanted(job.vault) if reads and job.vault is not None else []
        wanted = [recorded[one] for one in ids if one in recorded]
        return {"recorded": tuple(recorded.values()), "uncataloged": tuple(wanted)}

    def _writers(self, vault: Vault | None) -> tuple[Job, ...]:
        if vault is None or vault.id is None:
            return ()
        since = datetime.fromtimestamp(vault.baseline.at if vault.baseline else 0, UTC)
        return tuple(self._store.jobs.writers(vault.id, since))

    def _history(self, job: Job) -> tuple[Archive, ...]:
        if job.kind is not JobKind.BACKUP or job.policy is None or job.client is None:
            return ()
        return tuple(self._archives.before(job.policy, job.client, HISTORY))

    def _timezone(self, policy: Policy | None) -> str:
        return self._store.schedules.get(policy.schedule).timezone if policy and policy.schedule else "UTC"

    def _others(self, vault: Vault) -> tuple[str, ...]:
        return tuple(sorted({other.borg_id for other in self._store.vaults if other.id != vault.id} - {""}))

    def _bytes(self, archive: Archive | None) -> int:
        if archive is None:
            return 0
        together = self._archives.find(job=archive.job) if archive.part else [archive]
        return sum(one.original_bytes for one in together)


class Kept(attrs.AttrsInstance, Protocol):
    """What a shelf holds."""

    @property
    def id(self) -> int | None: ...


T = TypeVar("T", bound=Kept)


class Few(Generic[T]):
    """Some values of a shelf, read together when the first is asked for."""

    def __init__(self, shelf: ReadShelf[T], ids: Iterable[int | None]) -> None:
        self._shelf = shelf
        self._ids = {one for one in ids if one is not None}
        self._found: dict[int | None, T] | None = None

    def get(self, id: int | None) -> T | None:
        """A value; None for None. One that is not there, or cannot be read, is asked for anew, which says why."""
        if id is None:
            return None
        if self._found is None:
            self._found = {value.id: value for value in self._shelf.many(self._ids)}
        return self._found[id] if id in self._found else self._shelf.get(id)


def refuse_disabled(work: Work) -> None:
    """Raise `Refused` for a job whose client, repository or policy was switched off while it waited."""
    if work.job.kind not in _STOPPED:
        return
    off = ""
    disabled = [client for client in (work.client, work.hypervisor) if client is not None and not client.enabled]
    if disabled:
        off = f"the client {disabled[0].hostname}"
    elif work.repository is not None and not work.repository.enabled:
        off = f"the repository {work.repository.name}"
    elif work.job.kind is JobKind.BACKUP and work.policy is not None and not work.policy.enabled:
        off = f"the policy {work.policy.name}"
    if off:
        message = f"{off} was disabled after this job was queued; enable it, and launch again"
        raise Refused(ErrorCode.BAD_ARGUMENTS, message, skip=True)


def refuse_moved(work: Work) -> None:
    """Raise `Refused` for a backup that would be worked on another host than the one its client's data is on now.

    That would be another host's data, or what a machine left behind where it ran before, under this client's name.
    """
    client, policy = work.client, work.policy
    if work.job.kind is not JobKind.BACKUP or client is None or policy is None:
        return
    on = client.hypervisor if policy.type == MACHINES else None
    if work.job.hypervisor != on:
        raise Refused(
            ErrorCode.BAD_ARGUMENTS,
            f"the type of the policy {policy.name}, or the hypervisor of {client.hostname}, was changed after this job "
            "was queued, so it would be worked on the wrong host; launch the policy again",
        )
