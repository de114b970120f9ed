"""What each kind of job is: what the executor gets for it, and what its end is recorded as. Pure."""

from collections.abc import Mapping

from ..model import JobKind
from . import (
    backup,
    catalog,
    check,
    compact,
    drill,
    measure,
    prepare_client,
    prepare_hypervisor,
    prepare_repository,
    prune,
    recovery,
    restore,
)
from .work import Assignment, Kind, Refused, Role, Settlement, Work

KINDS: Mapping[JobKind, Kind] = {
    JobKind.PREPARE_CLIENT: prepare_client,
    JobKind.PREPARE_HYPERVISOR: prepare_hypervisor,
    JobKind.PREPARE_REPOSITORY: prepare_repository,
    JobKind.BACKUP: backup,
    JobKind.CATALOG: catalog,
    JobKind.PRUNE: prune,
    JobKind.COMPACT: compact,
    JobKind.CHECK: check,
    JobKind.RESTORE: restore,
    JobKind.DRILL: drill,
    JobKind.MEASURE: measure,
}

#: Those whose work is looked for in the vault where the host knows nothing of it any more.
LOOKED_FOR = frozenset({JobKind.BACKUP})

__all__ = ["KINDS", "LOOKED_FOR", "Assignment", "Kind", "Refused", "Role", "Settlement", "Work", "recovery"]
