"""What to back up, for whom, where to, when, and how long to keep it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import attrs
from attrs import field, frozen

from ..errors import Invalid
from .client import Client
from .clientvars import ClientVariables, as_client_variables
from .drill import Drill, as_drill
from .fields import EXECUTES, SEALED, as_id, as_ids, as_utc, name_of, observed, shown, truth, whole_number
from .repository import Repository
from .schedule import Schedule
from .variables import Variables, as_extra_vars

_COMPRESSION = re.compile(r"(auto,)?(none|lz4|zstd(,([1-9]|1[0-9]|2[0-2]))?|zlib(,[0-9])?|lzma(,[0-9])?)")
_WITHIN = re.compile(r"[1-9][0-9]{0,4}[Hdwmy]")
#: A year: a backup that takes longer is not one any more.
_LONGEST = 366 * 24 * 3600


def _count(what: str) -> Any:
    return field(default=0, kw_only=True, validator=whole_number(what, most=100_000))


@frozen
class Retention:
    """How many archives to keep, after Borg's own rules; all zero keeps everything.

    `within` keeps all of a span: a number and one of H, d, w, m, y ("2d").
    """

    hourly: int = _count("hourly")
    daily: int = _count("daily")
    weekly: int = _count("weekly")
    monthly: int = _count("monthly")
    yearly: int = _count("yearly")
    within: str = field(default="", kw_only=True)

    @within.validator
    def _check_within(self, _attribute: Any, value: object) -> None:
        if value != "" and not (isinstance(value, str) and _WITHIN.fullmatch(value)):
            raise Invalid(f"within {shown(value)} cannot be read; give a number and one of H, d, w, m, y, like '2d'")


def as_retention(value: Retention | Mapping[str, Any] | None) -> Retention | None:
    """A mapping of its fields as a `Retention`."""
    if value is None or isinstance(value, Retention):
        return value
    known = [attribute.name for attribute in attrs.fields(Retention)]
    if not isinstance(value, Mapping) or any(name not in known for name in value):
        raise Invalid(f"retention {shown(value)} must be a Retention, or a mapping of {', '.join(known)}")
    return Retention(**value)


def _repository(value: Repository | int) -> int:
    found: int = as_id(value, "repository", Repository)
    return found


def _schedule(value: Schedule | int | None) -> int | None:
    found: int | None = as_id(value, "schedule", Schedule)
    return found


def _clients(values: Iterable[Client | int] | Client | int) -> tuple[int, ...]:
    return as_ids(values, "clients", Client)


def _command(value: str | None) -> str:
    return "" if value is None else value


def _check_command(_instance: Any, attribute: attrs.Attribute[Any], value: object) -> None:
    if not isinstance(value, str):
        raise Invalid(f"{attribute.name} must be a command, as a text, not {shown(type(value).__name__)}")
    if "\x00" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Invalid(f"{attribute.name} holds a NUL or half a character, which no shell takes; leave it out")


def _hook() -> Any:
    # Not shown, as a command may hold a token.
    return field(
        default="", kw_only=True, repr=False, converter=_command, validator=_check_command,
        metadata={SEALED: True, EXECUTES: True},
    )  # fmt: skip


@frozen
class Policy:
    """What to back up (`type` and its `extra_vars`), for whom, where to, when, and how long to keep it.

    `type` is the name of a role `policy_<type>`; what it takes in `extra_vars` is in that role's argument
    specs, against which the policy is checked when it is added. `timeout` is in seconds, for one backup of
    one client; `retries` is how often a backup is tried again after an error that may pass.

    `client_extra_vars` are variables of single clients, which go over `extra_vars`: `{web1: {"databases": "shop"}}`.
    `prehook` and `posthook` are commands for `bash -o pipefail` on the host that is backed up, as whoever Borg runs as.
    A prehook that fails stops the backup; the posthook runs however that ended, and if it fails, that is a warning. The
    prehook has the backup's time; the posthook has as much for itself, but an hour at most, and is ended then.
    Both have CYBORG_POLICY, CYBORG_JOB, CYBORG_ATTEMPT, CYBORG_CLIENT, CYBORG_OUTCOME ("pending" before; "successful",
    "failed" or "canceled" after) and CYBORG_ERROR (an `ErrorCode`, or nothing) in their environment.
    """

    name: str = field(validator=name_of("the policy's name"))
    type: str = field(validator=name_of("the policy's type"))
    repository: int = field(converter=_repository)
    clients: tuple[int, ...] = field(default=(), kw_only=True, converter=_clients)
    schedule: int | None = field(default=None, kw_only=True, converter=_schedule)
    retention: Retention | None = field(default=None, kw_only=True, converter=as_retention)
    extra_vars: Variables = field(
        default=None, kw_only=True, converter=as_extra_vars, metadata={SEALED: True, EXECUTES: True}
    )
    client_extra_vars: ClientVariables = field(
        default=None, kw_only=True, converter=as_client_variables, metadata={SEALED: True, EXECUTES: True}
    )
    prehook: str = _hook()
    posthook: str = _hook()
    compression: str = field(default="zstd,3", kw_only=True)
    timeout: int = field(default=24 * 3600, kw_only=True, validator=whole_number("timeout", least=1, most=_LONGEST))
    retries: int = field(default=2, kw_only=True, validator=whole_number("retries", most=20))
    #: How it is proved that what this makes can be restored. Sealed, as a password may be in its options.
    drill: Drill = field(
        factory=Drill, kw_only=True, converter=as_drill, metadata={SEALED: True, EXECUTES: True}
    )
    enabled: bool = field(default=True, kw_only=True, validator=truth("enabled"))

    id: int | None = observed()
    revision: int = observed(0)
    #: Since when its moments count: when it was last added, changed or enabled.
    counted_from: datetime | None = observed(converter=as_utc)
    #: When it comes next by its schedule; None without one.
    next_run: datetime | None = observed(converter=as_utc)
    #: Since when the turns of its drills were not answered yet, and when to look at them again.
    drills_from: datetime | None = observed(converter=as_utc)
    next_drill: datetime | None = observed(converter=as_utc)

    @repository.validator
    def _check_repository(self, _attribute: Any, value: object) -> None:
        if value is None:
            raise Invalid("a policy needs a repository: give the object that repositories.add gave back, or its id")

    @client_extra_vars.validator
    def _check_client_extra_vars(self, _attribute: Any, value: ClientVariables) -> None:
        if strangers := [client for client in value if client not in self.clients]:
            raise Invalid(
                f"client_extra_vars has variables for the client {strangers[0]}, which is not one of the policy's; add "
                "it to clients, or leave its variables out"
            )

    def variables_for(self, client: int | None) -> Variables:
        """The variables of one client: its own over those of all."""
        own = self.client_extra_vars.get(client) if client is not None else None
        return Variables({**self.extra_vars, **own}) if own else self.extra_vars

    @compression.validator
    def _check_compression(self, _attribute: Any, value: object) -> None:
        if not isinstance(value, str) or not _COMPRESSION.fullmatch(value):
            raise Invalid(
                f"compression {shown(value)} is not known; choose none, lz4, zstd,1 to zstd,22, zlib,0 to zlib,9 or "
                "lzma,0 to lzma,9, each also as auto,…"
            )
