"""Central BorgBackup of many hosts, with Ansible doing the work over ssh. The public names; nothing else."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .console import console
from .errors import (
    AlreadyExists,
    CyborgError,
    Disabled,
    ErrorCode,
    ExecutorError,
    HostKeyChanged,
    InUse,
    Invalid,
    InvalidTransition,
    JobError,
    MissingKey,
    NotFound,
    SchemaTooNew,
    SchemaTooOld,
    SealBroken,
    Stale,
    StoreError,
    TimedOut,
    WrongKey,
)
from .events import (
    ArchiveConfirmed,
    ArchiveDoubtful,
    ArchiveForeign,
    ArchivesPruned,
    ClockDoubtful,
    Event,
    HostKeyAccepted,
    JobCanceled,
    JobEvent,
    JobFailed,
    JobOutput,
    JobProgressed,
    JobQueued,
    JobRetried,
    JobSkipped,
    JobStarted,
    JobSucceeded,
    KitOutdated,
    PruneHeld,
    VaultRekeyed,
    VaultSuspected,
)
from .executor import Control, Executor, HostRun, Outcome, Run
from .model import (
    Archive,
    Change,
    Client,
    Entry,
    Job,
    JobKind,
    JobStatus,
    Policy,
    Progress,
    Repository,
    Retention,
    Schedule,
    Settings,
    Stats,
    Variables,
    Vault,
    Version,
)
from .retention import Verdict
from .secret import Secret
from .version import __version__

if TYPE_CHECKING:
    from .cyborg import Cyborg
    from .invitations import Invitation

__all__ = [
    "AlreadyExists",
    "Archive",
    "ArchiveConfirmed",
    "ArchiveDoubtful",
    "ArchiveForeign",
    "ArchivesPruned",
    "Change",
    "Client",
    "ClockDoubtful",
    "Control",
    "Cyborg",
    "CyborgError",
    "Disabled",
    "Entry",
    "ErrorCode",
    "Event",
    "Executor",
    "ExecutorError",
    "HostKeyAccepted",
    "HostKeyChanged",
    "HostRun",
    "InUse",
    "Invalid",
    "InvalidTransition",
    "Invitation",
    "Job",
    "JobCanceled",
    "JobError",
    "JobEvent",
    "JobFailed",
    "JobKind",
    "JobOutput",
    "JobProgressed",
    "JobQueued",
    "JobRetried",
    "JobSkipped",
    "JobStarted",
    "JobStatus",
    "JobSucceeded",
    "KitOutdated",
    "MissingKey",
    "NotFound",
    "Outcome",
    "Policy",
    "Progress",
    "PruneHeld",
    "Repository",
    "Retention",
    "Run",
    "Schedule",
    "SchemaTooNew",
    "SchemaTooOld",
    "SealBroken",
    "Secret",
    "Settings",
    "Stale",
    "Stats",
    "StoreError",
    "TimedOut",
    "Variables",
    "Vault",
    "VaultRekeyed",
    "VaultSuspected",
    "Verdict",
    "Version",
    "WrongKey",
    "__version__",
    "console",
]

# The database library takes longer to import than all the rest, and who only needs the values has no use for it.
_LATER = {"Cyborg": "cyborg", "Invitation": "invitations"}


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
