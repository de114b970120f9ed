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
    ArchiveForeign,
    ClientPaused,
    ClientResumed,
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
    SpaceLow,
    StoreAway,
    StoreBack,
    VaultPaused,
    VaultRekeyed,
    VaultResumed,
    VaultSuspected,
)
from .executor import Control, Executor, HostRun, Outcome, Run
from .model import (
    Archive,
    Client,
    Job,
    JobKind,
    JobStatus,
    Pause,
    Policy,
    Progress,
    Repository,
    Retention,
    Schedule,
    Settings,
    Stats,
    Variables,
    Vault,
)
from .secret import Secret
from .version import __version__

if TYPE_CHECKING:
    from .cyborg import Cyborg
    from .invitations import Invitation

__all__ = [
    "AlreadyExists",
    "Archive",
    "ArchiveConfirmed",
    "ArchiveForeign",
    "Client",
    "ClientPaused",
    "ClientResumed",
    "Control",
    "Cyborg",
    "CyborgError",
    "Disabled",
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
    "Pause",
    "Policy",
    "Progress",
    "Repository",
    "Retention",
    "Run",
    "Schedule",
    "SchemaTooNew",
    "SchemaTooOld",
    "SealBroken",
    "Secret",
    "Settings",
    "SpaceLow",
    "Stale",
    "Stats",
    "StoreAway",
    "StoreBack",
    "StoreError",
    "TimedOut",
    "Variables",
    "Vault",
    "VaultPaused",
    "VaultRekeyed",
    "VaultResumed",
    "VaultSuspected",
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
