"""How it is proved that what a policy makes can be restored; and what was proved of an archive."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs
from attrs import field, frozen

from ..errors import Invalid
from .client import Client
from .fields import EXECUTES, as_id, as_utc, observed, shown, truth, whole_number
from .variables import Variables


def _options(values: Mapping[str, Any] | None) -> Variables:
    return values if isinstance(values, Variables) else Variables(values, what="the options of the drill")


def _host(value: Client | int | None) -> int | None:
    found: int | None = as_id(value, "the drill's host", Client)
    return found


@frozen(kw_only=True)
class Drill:
    """How it is proved that what a policy makes can be restored: by restoring it, and looking.

    Each client of the policy has its turn once in `days`; 0 only when it is asked for. Then one archive of it is taken
    (see `proving.choose`). Files are restored into a scratch folder, as many as `files` and not more than `bytes`, or
    (`whole`) all; read again, and compared with what Borg itself says of them. A stream (a dump, a machine) is read to
    its end twice, and compared.

    `host` is a client to do it on, None the controller. It is told the vault's passphrase, so name one that you trust
    like the controller, and none whose own data it is. With `options`, or a `host`, a type that can do more does more:
    `mysql` and `postgresql` load the dump into a new database of a server there, count, and drop it; `vm` boots the
    machine there, without a network; `piped` runs a command of yours with the stream. docs/policy-options.md has the
    options of each type.
    """

    days: int = field(default=7, validator=whole_number("days", most=3660))
    files: int = field(default=200, validator=whole_number("files", least=1, most=1000))
    bytes: int = field(default=256 * 1024**2, validator=whole_number("bytes", least=1))
    whole: bool = field(default=False, validator=truth("whole"))
    host: int | None = field(default=None, converter=_host)
    options: Variables = field(default=None, converter=_options, metadata={EXECUTES: True})

    @property
    def loads(self) -> bool:
        """True if more than reading is wanted, where the type can do more."""
        return self.host is not None or bool(self.options)


def as_drill(value: Drill | Mapping[str, Any] | None) -> Drill:
    """A mapping of its fields as a `Drill`; None is the default one."""
    if value is None:
        return Drill()
    if isinstance(value, Drill):
        return value
    known = [attribute.name for attribute in attrs.fields(Drill)]
    if not isinstance(value, Mapping) or any(name not in known for name in value):
        raise Invalid(f"drill {shown(value)} must be a Drill, or a mapping of {', '.join(known)}")
    return Drill(**value)


@frozen(kw_only=True)
class Proof:
    """That an archive could be restored: what was brought back, compared, and how long it took.

    `how`: a "sample" or "all" of its files were restored and compared; a stream was "read" to its end and compared;
    "loaded" into a database, of which `tables` and `rows` were counted and compared with the dump; "booted" as a
    machine; "verified" by a command of the policy's. `files` and `bytes` are what was brought back, in `seconds`: by
    that you can tell how long all of it would take.
    """

    archive: int
    how: str
    proved_at: datetime | None = field(default=None, converter=as_utc)
    policy: int | None = None
    client: int | None = None
    #: The drill; its row in the store may be gone by now.
    job: int | None = None
    files: int = 0
    bytes: int = 0
    seconds: float = 0.0
    tables: int = 0
    rows: int = 0
    id: int | None = observed()

    @property
    def bytes_per_second(self) -> float:
        """How fast it came."""
        return self.bytes / self.seconds if self.seconds > 0 else 0.0
