"""What can happen, and who is told.

Events are told after what they say is committed, one at a time, in the thread that called `run`, `work`,
`serve` or the verb that caused them, to listeners in the order they were registered. A listener that
raises is logged and never stops a job; listeners observe and cannot veto.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from attrs import field, frozen

from .errors import JobError
from .model import Job, Progress, Proof

logger = logging.getLogger("cyborglib")


def _now() -> datetime:
    return datetime.now(UTC)


@frozen(kw_only=True)
class Event:
    """Something that happened, said in the past tense. `at` is aware UTC."""

    at: datetime = field(factory=_now)


@frozen(kw_only=True)
class JobEvent(Event):
    """Something that happened to a job; `job` is how it stood then."""

    job: Job


@frozen(kw_only=True)
class JobQueued(JobEvent):
    """A job was queued; `job.reason` says what it waits for, if anything."""


@frozen(kw_only=True)
class JobStarted(JobEvent):
    """Work on a job began."""


@frozen(kw_only=True)
class JobProgressed(JobEvent):
    """A job at work told how far it is."""

    progress: Progress


@frozen(kw_only=True)
class JobOutput(JobEvent):
    """A job said a line; it is in the store too."""

    line: str


@frozen(kw_only=True)
class JobRetried(JobEvent):
    """A job failed in a way that may pass, and will be tried again at `job.not_before`."""

    error: JobError


@frozen(kw_only=True)
class JobSucceeded(JobEvent):
    """A job ended, and every condition of success held."""


@frozen(kw_only=True)
class JobFailed(JobEvent):
    """A job failed and is not tried again."""

    error: JobError


@frozen(kw_only=True)
class JobCanceled(JobEvent):
    """A job was canceled, and nothing of it runs any more."""


@frozen(kw_only=True)
class JobSkipped(JobEvent):
    """A job was not done, as something it needed did not come; `job.reason` says what."""


@frozen(kw_only=True)
class ArchiveConfirmed(JobEvent):
    """The controller itself saw an archive in its vault. `job` is the one that looked."""

    archive: str


@frozen(kw_only=True)
class ArchiveForeign(JobEvent):
    """An archive was found in a vault that no job recorded as its own: told once for each.

    It can be restored, counts for nothing, and is never deleted here. `reason` says what is odd about it, or "".
    `job` is the one that looked.
    """

    archive: str
    reason: str = ""


@frozen(kw_only=True)
class ArchiveProved(JobEvent):
    """An archive was restored and compared; `proof` is what was proved of it. `job` is the drill."""

    archive: str
    proof: Proof


@frozen(kw_only=True)
class HostKeyAccepted(Event):
    """A host's first key was taken from the network, as `first_contact="accept"` allows."""

    name: str
    fingerprint: str


@frozen(kw_only=True)
class VaultSuspected(Event):
    """Something is wrong with a vault: nothing more is written to it until a person has looked."""

    vault: int
    reason: str


@frozen(kw_only=True)
class VaultRekeyed(Event):
    """A vault has another passphrase than before: the old one, which another client learnt, opens it no more."""

    vault: int


@frozen(kw_only=True)
class ArchivesPruned(JobEvent):
    """Archives that a policy's retention did not keep were deleted, and are not in the vault any more."""

    archives: tuple[str, ...]


@frozen(kw_only=True)
class PruneHeld(Event):
    """Nothing is deleted, or no space freed, in a vault now; `reason` says why, and what to do."""

    vault: int
    reason: str
    policy: int | None = None
    client: int | None = None


@frozen(kw_only=True)
class ArchiveDoubtful(JobEvent):
    """A backup may not be what it should be; older ones of its series are kept until `release(archive)`."""

    archive: str
    reason: str


@frozen(kw_only=True)
class ClockDoubtful(Event):
    """The controller's clock may be wrong: nothing is deleted, and schedules go by the database's clock."""

    reason: str


@frozen(kw_only=True)
class VaultPaused(Event):
    """There is no room for a vault: jobs that write there wait, but for prune and compact. `code` says what is full."""

    vault: int
    code: str
    reason: str


@frozen(kw_only=True)
class VaultResumed(Event):
    """There is room for a vault again, or a person said so: what waited goes on."""

    vault: int


@frozen(kw_only=True)
class ClientPaused(Event):
    """A disk of a client is full: jobs that work there wait."""

    client: int
    reason: str


@frozen(kw_only=True)
class ClientResumed(Event):
    """A job found room on a client again, or a person said so: what waited goes on."""

    client: int


@frozen(kw_only=True)
class SpaceLow(Event):
    """Less than the setting `min_free` is free where vaults lie. `vault` is one of them; sizes are bytes."""

    vault: int
    free: int
    total: int


@frozen(kw_only=True)
class KitOutdated(Event):
    """No recovery kit was written since a vault changed: without one, losing this store loses the backups."""

    reason: str


@frozen(kw_only=True)
class StoreAway(Event):
    """The database cannot be asked or written: gone, full, read-only. What is at work goes on; nothing new is begun."""

    reason: str


@frozen(kw_only=True)
class StoreBack(Event):
    """The database takes what is written again; what jobs told meanwhile was kept, and is written now."""


E = TypeVar("E", bound=Event)


class Events:
    """Tells listeners what happened."""

    def __init__(self) -> None:
        # Replaced, never changed: another thread may be going through it.
        self._listeners: tuple[tuple[type[Event], Callable[[Any], object]], ...] = ()

    def on(self, kind: type[E]) -> Callable[[Callable[[E], object]], Callable[[E], object]]:
        """Register a listener for a kind of event and all its subclasses; a decorator that gives it back."""
        if not (isinstance(kind, type) and issubclass(kind, Event)):
            raise TypeError(f"{kind!r} is not an event class; use one like cyborglib.JobFailed, or Event for all")

        def register(listener: Callable[[E], object]) -> Callable[[E], object]:
            if not callable(listener):
                raise TypeError(f"{listener!r} cannot be called, so it cannot listen")
            self._listeners = (*self._listeners, (kind, listener))
            return listener

        return register

    def tell(self, event: Event) -> None:
        """Hand an event to everybody who wants its kind."""
        for kind, listener in self._listeners:
            if isinstance(event, kind):
                try:
                    listener(event)
                except Exception:
                    logger.exception("the listener %r failed on %s", listener, type(event).__name__)
