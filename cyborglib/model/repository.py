"""Where Borg repositories live and how they are reached; and each single one of them, a vault."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import evolve, field, frozen

from ..errors import Invalid
from ..secret import Secret, as_secret
from .baseline import Baseline
from .client import as_key_line, check_key_line
from .fields import (
    EXECUTES,
    SEALED,
    as_id,
    as_utc,
    check_account,
    checked,
    name_of,
    observed,
    one_of,
    optional,
    secret_line,
    truth,
    whole_number,
    wrapped_secret,
)
from .hostvars import as_host_variables
from .location import Location
from .variables import Variables, as_variables

#: Holds the vaults on a managed host, unless the path names another account.
STORAGE_ACCOUNT = "borg"
ENCRYPTIONS = ("repokey-blake2", "repokey")


def _admin_vars(values: Mapping[str, Any] | None) -> Variables:
    return as_host_variables("admin_vars", values)


def _check_path(_what: str, value: object) -> Location:
    return Location.parse(value)


@frozen
class Repository:
    """Where Borg repositories live: `/folder` on each client, `user@host:path`, or `ssh://user@host:port/path`.

    `{client}` in the path stands for the client's hostname and id, so that each has a vault of its own. A
    path elsewhere without it is one vault for all, which is taken for a second client only with
    `shared=True`: then **each client can read, and poison or delete, what the others stored**.

    Without a passphrase each vault gets a random one of its own, which is the better choice: one given
    here opens the vaults of all clients to each of them. `quota` is in bytes, for each vault;
    Borg takes none below 10 MB. Without one the setting `quota_share` bounds vaults on managed hosts.

    On a `managed` host the library makes the account (`borg`, if the path names none), installs Borg and
    limits every key; there `admin_user` (root unless given) logs in, and `admin_become` None means sudo where
    that login is not root; `admin_vars` are what `host_vars` are for a client. `managed=False` is a host
    without a shell, like a storage box.
    """

    name: str = field(validator=name_of("the repository's name"))
    path: str = field(validator=checked(_check_path, "path"), metadata={EXECUTES: True})
    passphrase: Secret | None = field(
        default=None, kw_only=True, converter=wrapped_secret, validator=secret_line, metadata={SEALED: True}
    )
    encryption: str = field(default="repokey-blake2", kw_only=True, validator=one_of("encryption", ENCRYPTIONS))
    append_only: bool = field(default=True, kw_only=True, validator=truth("append_only"))
    shared: bool = field(default=False, kw_only=True, validator=truth("shared"))
    quota: int | None = field(default=None, kw_only=True, validator=whole_number("quota", least=10**7, none=True))
    managed: bool = field(default=True, kw_only=True, validator=truth("managed"))
    admin_user: str | None = field(default=None, kw_only=True, validator=optional(check_account, "admin_user"))
    admin_become: bool | None = field(default=None, kw_only=True, validator=truth("admin_become", none=True))
    admin_become_password: Secret | None = field(
        default=None, kw_only=True, converter=wrapped_secret, validator=secret_line, metadata={SEALED: True}
    )
    admin_vars: Variables = field(default=None, kw_only=True, converter=_admin_vars, metadata={EXECUTES: True})
    enabled: bool = field(default=True, kw_only=True, validator=truth("enabled"))

    id: int | None = observed()
    revision: int = observed(0)
    ready: bool = observed(False)
    #: The pinned ssh host key of the repository's host, or the fingerprint it must have; may be given to `add`.
    host_key: str = observed("", converter=as_key_line, validator=check_key_line)
    borg_version: str = observed("")
    facts: Variables = observed(None, converter=as_variables)

    def __attrs_post_init__(self) -> None:
        if self.passphrase is not None and not self.passphrase:
            raise Invalid("the passphrase is empty; leave it out, and each vault gets a random one")
        if self.location.local and not self.managed:
            raise Invalid("managed=False is for a repository on another host; a folder on the client needs no host")
        if self.managed and not self.location.absolute:
            raise Invalid(
                f"the repository path {self.path!r} begins in a home; on a managed host, where the library makes the "
                "folder, give the whole path from /. For a host without a shell, like a storage box, say managed=False"
            )

    @property
    def location(self) -> Location:
        """The path, taken apart. The account is `borg` on a managed host, if the path names none."""
        found = Location.parse(self.path)
        return evolve(found, user=STORAGE_ACCOUNT) if self.managed and not found.local and not found.user else found


@frozen
class Vault:
    """One Borg repository on disk. Made by the library; its Borg id is pinned when it is initialised.

    `location` is where it lies, expanded once and never computed again. `client` is None where all clients
    of the repository share it. `suspect` is the reason why nothing more is done with it, or "".
    """

    repository: int = field(converter=as_id)
    client: int | None = field(converter=as_id)
    location: str = field()
    passphrase: Secret | None = observed(None, sealed=True, converter=as_secret)
    #: The passphrase that the vault is to get, and may have got already; None once the controller has seen to it.
    next_passphrase: Secret | None = observed(None, sealed=True, converter=as_secret)
    borg_id: str = observed("")
    #: What `borg key export` gave when the passphrase was set: opens the vault together with that.
    key_export: Secret | None = observed(None, sealed=True, converter=as_secret)
    #: The client's public key for this vault; the private half is on the client alone.
    public_key: str = observed("")
    #: The controller's own private key for this vault (OpenSSH format).
    controller_key: Secret | None = observed(None, sealed=True, converter=as_secret)
    ready: bool = observed(False)
    suspect: str = observed("")
    #: True: it was there before, so it is never initialised. It is adopted once its id is pinned.
    adopted: bool = observed(False)
    #: What Borg calls the way it is encrypted, of one that was adopted; "" for as its repository says.
    encryption: str = observed("")
    #: Which file system of its host it lies on, where that is known: vaults with the same one are full together.
    filesystem: str = observed("")
    #: Bytes that were free on it for the vault's account, and when that was found out.
    free_bytes: int | None = observed()
    measured_at: datetime | None = observed(converter=as_utc)
    created_at: datetime | None = observed(converter=as_utc)
    prepared_at: datetime | None = observed(converter=as_utc)
    #: When the library changed the passphrase: a recovery kit from before has the old one.
    rekeyed_at: datetime | None = observed(converter=as_utc)
    #: From where on it is counted what its clients changed; None where the next look is the first.
    baseline: Baseline | None = observed(None)
    #: When the library last sent it a change that cannot be undone, whose end nobody recorded; None if there is none.
    unsettled_at: datetime | None = observed(converter=as_utc)
    #: When archives were last deleted that no compact has made final yet.
    deleted_at: datetime | None = observed(converter=as_utc)
    #: When its archives are next looked through for a prune, and when it is compacted.
    prune_at: datetime | None = observed(converter=as_utc)
    compact_at: datetime | None = observed(converter=as_utc)
    #: When `borg check` last went through all of its repository's files, of its archives, of the data in them, and
    #: found all whole.
    repository_checked_at: datetime | None = observed(converter=as_utc)
    archives_checked_at: datetime | None = observed(converter=as_utc)
    data_checked_at: datetime | None = observed(converter=as_utc)
    #: When to look whether it is its turn to be checked.
    next_check: datetime | None = observed(converter=as_utc)
    id: int | None = observed()
    revision: int = observed(0)

    @property
    def foundling(self) -> bool:
        """True while it is to be adopted, and was not opened yet."""
        return self.adopted and not self.borg_id

    @property
    def key_file(self) -> Secret | None:
        """Borg's key, where it does not lie in the vault itself: each Borg that opens it needs it."""
        return self.key_export if self.foundling or self.encryption.startswith("keyfile") else None

    @property
    def where(self) -> Location:
        """The location, taken apart."""
        return Location.parse(self.location)
