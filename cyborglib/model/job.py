"""One piece of work on one client or vault."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import datetime

from attrs import field, frozen

from ..errors import Invalid, JobError
from .fields import SEALED, as_ids, as_texts, as_utc, observed, shown
from .variables import Variables, as_variables


class JobKind(enum.StrEnum):
    """What a job does. The names are Borg's and this library's own."""

    PREPARE_CLIENT = "prepare_client"
    PREPARE_REPOSITORY = "prepare_repository"
    PREPARE_HYPERVISOR = "prepare_hypervisor"
    BACKUP = "backup"
    CATALOG = "catalog"
    PRUNE = "prune"
    COMPACT = "compact"
    CHECK = "check"
    RESTORE = "restore"
    DRILL = "drill"
    MEASURE = "measure"


class JobStatus(enum.StrEnum):
    """Where a job stands: waiting (for another job) → pending → starting → running → an end."""

    WAITING = "waiting"
    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    CANCELED = "canceled"
    SKIPPED = "skipped"

    @property
    def finished(self) -> bool:
        """True where nothing more happens to the job."""
        return self in FINISHED


FINISHED = frozenset({JobStatus.SUCCESSFUL, JobStatus.FAILED, JobStatus.CANCELED, JobStatus.SKIPPED})
#: A job in one of these holds its vault and client.
ACTIVE = frozenset({JobStatus.STARTING, JobStatus.RUNNING})
#: From where to where a job may go. The store lets it go no other way, and a test kills an engine at each of them.
STEPS: Mapping[JobStatus, frozenset[JobStatus]] = {
    JobStatus.WAITING: frozenset({JobStatus.PENDING, JobStatus.CANCELED, JobStatus.SKIPPED}),
    JobStatus.PENDING: frozenset({JobStatus.STARTING, JobStatus.CANCELED}),
    # Back to pending: given back, or tried again. An end without a start: told by an executor that never said more.
    JobStatus.STARTING: frozenset({JobStatus.PENDING, JobStatus.RUNNING}) | FINISHED,
    JobStatus.RUNNING: (frozenset({JobStatus.PENDING}) | FINISHED) - {JobStatus.SKIPPED},
    **dict.fromkeys(FINISHED, frozenset()),
}


def _kind(value: JobKind | str) -> JobKind:
    try:
        return JobKind(value)
    except ValueError:
        raise Invalid(f"kind {shown(value)} is not known; choose one of {', '.join(JobKind)}") from None


def _status(value: JobStatus | str) -> JobStatus:
    try:
        return JobStatus(value)
    except ValueError:
        raise Invalid(f"status {shown(value)} is not known; choose one of {', '.join(JobStatus)}") from None


@frozen(kw_only=True)
class Stats:
    """What a backup or restore amounted to: numbers of files, bytes, seconds."""

    files: int = 0
    original_bytes: int = 0
    compressed_bytes: int = 0
    deduplicated_bytes: int = 0
    seconds: float = 0.0


@frozen(kw_only=True)
class Progress:
    """How far a running job is. `fraction` (0 to 1) and `remaining` (seconds) are estimates against the
    last backup of the same policy and client; None where there was none."""

    files: int = 0
    original_bytes: int = 0
    compressed_bytes: int = 0
    deduplicated_bytes: int = 0
    seconds: float = 0.0
    path: str = ""
    fraction: float | None = None
    remaining: float | None = None


@frozen(kw_only=True)
class Job:
    """One piece of work on one client or vault, as the store had it when it was read.

    `reason` says what a waiting job waits for, or why one was skipped. `error` is set where it failed.
    `after` holds the ids of the jobs it waits for; `due` is the moment of the schedule that launched it.
    """

    kind: JobKind = field(converter=_kind)
    status: JobStatus = field(default=JobStatus.PENDING, converter=_status)
    policy: int | None = None
    client: int | None = None
    #: The client on which it is worked, where that is another one than the virtual machine that it is for.
    hypervisor: int | None = None
    repository: int | None = None
    vault: int | None = None
    #: The archive a restore reads.
    archive: int | None = None
    after: tuple[int, ...] = field(default=(), converter=as_ids)
    launched_by: str = "call"
    #: The job that this one does once more, which says how it went then.
    relaunch_of: int | None = None
    due: datetime | None = field(default=None, converter=as_utc)
    attempt: int = 0
    attempts: int = 1
    timeout: int = 24 * 3600
    created_at: datetime | None = field(default=None, converter=as_utc)
    not_before: datetime | None = field(default=None, converter=as_utc)
    started_at: datetime | None = field(default=None, converter=as_utc)
    ended_at: datetime | None = field(default=None, converter=as_utc)
    cancel_requested: bool = False
    reason: str = ""
    error: JobError | None = None
    warnings: tuple[str, ...] = field(default=(), converter=as_texts)
    archives: tuple[int, ...] = field(default=(), converter=as_ids)
    stats: Stats | None = None
    progress: Progress | None = None
    #: The policy's variables with those of the launch over them.
    extra_vars: Variables = field(default=None, converter=as_variables, metadata={SEALED: True})
    #: What the verb itself was given: a restore's paths and destination, a preparation's update.
    options: Variables = field(default=None, converter=as_variables, metadata={SEALED: True})
    policy_name: str = ""
    client_name: str = ""
    repository_name: str = ""
    id: int | None = observed()

    @property
    def finished(self) -> bool:
        """True where nothing more happens to it."""
        return self.status in FINISHED

    @property
    def title(self) -> str:
        """What a person calls it: "backup etc of web1"."""
        what = " ".join(part for part in (self.kind.replace("_", " "), self.policy_name) if part)
        whom = self.client_name or self.repository_name
        return f"{what} of {whom}" if whom else what
