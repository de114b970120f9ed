"""Something is full: who writes there waits until there is room."""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen

from ..errors import ErrorCode
from .fields import as_utc
from .job import JobKind

#: What a pause never holds back: jobs that make room or look for it, and what a person needs most.
PASSES = frozenset({JobKind.PRUNE, JobKind.COMPACT, JobKind.MEASURE, JobKind.RESTORE})
#: What a job ends with that was stopped by something full.
FULL = frozenset({ErrorCode.VAULT_FULL, ErrorCode.QUOTA_REACHED, ErrorCode.CLIENT_FULL})


@frozen(kw_only=True)
class Pause:
    """Jobs for a vault or a client wait, as there is no room. Made and ended by jobs; `resume` ends it by hand.

    `code` is `vault_full` (the file system), `quota_reached` or `client_full`. `look_at` is when it is next found out
    whether there is room: by asking the vault's host (`measure`), or else by letting one job try.
    """

    #: What the jobs hold that wait: "vault:7", "client:3".
    key: str
    code: ErrorCode = field(converter=ErrorCode)
    reason: str
    since: datetime = field(converter=as_utc)
    look_at: datetime = field(converter=as_utc)
    #: How often it was looked, and there was no room.
    tries: int = 0
    #: That of the vault, if it is known: all vaults on it are paused together.
    filesystem: str = ""
    #: The job that may try.
    trial: int | None = None
    #: The job that tried last: the next one is another.
    tried: int = 0

    @property
    def vault(self) -> int | None:
        """The id of the vault that is full."""
        return self._of("vault")

    @property
    def client(self) -> int | None:
        """The id of the client that is full."""
        return self._of("client")

    def holds(self, kind: JobKind, job: int | None = None) -> bool:
        """True for a job that waits. Beyond its quota a vault can be read, and prepared with another quota."""
        if job is not None and job == self.trial:
            return False
        return kind is JobKind.BACKUP if self.code is ErrorCode.QUOTA_REACHED else kind not in PASSES

    def _of(self, what: str) -> int | None:
        kind, _, number = self.key.partition(":")
        return int(number) if kind == what else None
