"""What can go wrong, and the sentence that says what to do next.

    CyborgError
    ├── NotFound(LookupError)          nothing of that id or name
    ├── AlreadyExists(ValueError)      the name is taken
    ├── Invalid(ValueError)            a value that cannot be used, found when it is built or added
    ├── InUse                          something still refers to what should be removed
    ├── Stale                          a value was changed by somebody else meanwhile
    ├── Disabled                       a policy, schedule, repository or client is switched off
    ├── InvalidTransition              a job cannot go from its state to the one asked for
    ├── TimedOut(TimeoutError)         waiting took longer than the caller allowed
    ├── HostKeyChanged                 a host answers with another key than the one pinned
    ├── ExecutorError                  the executor could not do its work at all
    └── StoreError                     the database cannot be used as it is
        ├── MissingKey                 no key was given for what is sealed in it
        ├── WrongKey                   the key given does not open it
        ├── SealBroken                 something sealed is damaged or was moved
        ├── SchemaTooNew               a later release wrote it
        └── SchemaTooOld               an earlier release wrote it, and `migrate=False`

What a *job* ends with is a value, not an exception: `JobError`, with one of the codes of `ErrorCode`.
"""

from __future__ import annotations

import enum

from attrs import field, frozen
from attrs.validators import instance_of


class CyborgError(Exception):
    """Base of all errors of this library."""


class NotFound(CyborgError, LookupError):
    """Nothing of that id or name."""


class AlreadyExists(CyborgError, ValueError):
    """The name is taken."""


class Invalid(CyborgError, ValueError):
    """A value that cannot be used; the message names the field and what would do."""


class InUse(CyborgError):
    """Something still refers to what should be removed."""


class Stale(CyborgError):
    """The value was changed by somebody else since it was read."""


class Disabled(CyborgError):
    """A policy, schedule, repository or client is switched off."""


class InvalidTransition(CyborgError):
    """A job cannot go from its state to the one asked for."""


class TimedOut(CyborgError, TimeoutError):
    """Waiting took longer than the caller allowed; the jobs go on."""


class HostKeyChanged(CyborgError):
    """A host answers with another key than the one pinned."""


class ExecutorError(CyborgError):
    """The executor could not do its work at all."""


class StoreError(CyborgError):
    """The database cannot be used as it is."""


class MissingKey(StoreError):
    """No key was given to open what is sealed in this database."""


class WrongKey(StoreError):
    """The key given does not open this database."""


class SealBroken(StoreError):
    """What is sealed is damaged, or was moved from another place."""


class SchemaTooNew(StoreError):
    """The database was written by a later release of this library."""


class SchemaTooOld(StoreError):
    """The database was written by an earlier release, and migrating it was not allowed."""


class ErrorCode(enum.StrEnum):
    """Why a job failed. `JobError.permanent` says whether another try could help."""

    UNREACHABLE = "unreachable"
    AUTH_FAILED = "auth_failed"
    BECOME_FAILED = "become_failed"
    HOST_KEY_CHANGED = "host_key_changed"
    HOST_KEY_UNKNOWN = "host_key_unknown"
    KEY_NOT_AUTHORIZED = "key_not_authorized"
    WRONG_PASSPHRASE = "wrong_passphrase"  # noqa: S105 - a code
    LOCK_HELD = "lock_held"
    VAULT_MISSING = "vault_missing"
    VAULT_EXISTS = "vault_exists"
    VAULT_ID_CHANGED = "vault_id_changed"
    VAULT_KEY_CHANGED = "vault_key_changed"
    VAULT_FULL = "vault_full"
    QUOTA_REACHED = "quota_reached"
    VAULT_DAMAGED = "vault_damaged"
    VAULT_TAMPERED = "vault_tampered"
    ARCHIVES_VANISHED = "archives_vanished"
    NOT_CONFIRMED = "not_confirmed"
    CLOCK_DOUBTFUL = "clock_doubtful"
    PRUNE_HELD = "prune_held"
    CLIENT_FULL = "client_full"
    SOURCE_MISSING = "source_missing"
    SOURCE_UNREADABLE = "source_unreadable"
    SOURCE_EMPTY = "source_empty"
    SOURCE_MOVED = "source_moved"
    PATH_NOT_FOUND = "path_not_found"
    DESTINATION_EXISTS = "destination_exists"
    DUMP_FAILED = "dump_failed"
    LOAD_FAILED = "load_failed"
    SERVER_UNREACHABLE = "server_unreachable"
    SERVER_DENIED = "server_denied"
    GRANTS_MISSING = "grants_missing"
    DATABASE_EXISTS = "database_exists"
    NOT_PROVED = "not_proved"
    HOOK_FAILED = "hook_failed"
    BORG_MISSING = "borg_missing"
    BORG_TOO_OLD = "borg_too_old"
    BORG_FAILED = "borg_failed"
    INSTALL_FAILED = "install_failed"
    UNSUPPORTED = "unsupported"
    HOSTILE_ANSWER = "hostile_answer"
    BAD_ARGUMENTS = "bad_arguments"
    TIMEOUT = "timeout"
    LIMIT_REACHED = "limit_reached"
    CANCELED = "canceled"
    LOST = "lost"
    UNPARSABLE = "unparsable"
    INTERNAL = "internal"


#: Another try without a change by a person cannot help.
PERMANENT = frozenset(ErrorCode) - {
    ErrorCode.UNREACHABLE,
    ErrorCode.SERVER_UNREACHABLE,
    ErrorCode.LOCK_HELD,
    ErrorCode.LOST,
    ErrorCode.INSTALL_FAILED,
    ErrorCode.UNPARSABLE,
    ErrorCode.INTERNAL,
    ErrorCode.BORG_FAILED,
}


def _sentence(text: str) -> str:
    """One line that every terminal and database takes: a job whose error could not be kept would never end."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:2000]


@frozen
class JobError:
    """Why a job failed; `str()` is the sentence, which says what to do next."""

    code: ErrorCode = field(converter=ErrorCode)
    message: str = field(validator=instance_of(str), converter=_sentence)
    #: True: trying again without a change cannot help, so it is not tried.
    permanent: bool = field(kw_only=True)

    @permanent.default
    def _permanent(self) -> bool:
        return self.code in PERMANENT

    def __str__(self) -> str:
        return self.message
