"""What a backup left in a vault."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from attrs import field, frozen

from .fields import as_utc, observed


def _pairs(values: Iterable[Iterable[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(root), str(system)) for root, system in values)


@frozen(kw_only=True)
class Archive:
    """A Borg archive: one that a job of ours made or, if `foreign`, one that was found in the vault.

    `created_at` is when the backup began, `recorded_at` when Borg's answer was recorded, `confirmed_at`
    when the controller itself saw this name and id in the vault, `missing_at` when it looked and did not find
    it (None again once it is found); all by the controller's clock. Count on an archive that is confirmed and
    not missing, and on no other.
    `proved_at` is when a restore of it was last compared with what it should be. `pruned_at` is when it was decided to
    delete it: from then on it counts for nothing, and the row stays for the history. `doubtful` says in a sentence what
    is odd about it ("" nothing); `foreign` is True for one that no job of ours made.
    `part` is what the archive is of, where one backup makes several: a database's name.
    `roots` pairs each folder that was backed up with the identity of the file system it was on.
    """

    name: str
    borg_id: str
    vault: int
    policy: int | None = None
    client: int | None = None
    job: int | None = None
    part: str = ""
    created_at: datetime | None = field(default=None, converter=as_utc)
    recorded_at: datetime | None = field(default=None, converter=as_utc)
    confirmed_at: datetime | None = field(default=None, converter=as_utc)
    missing_at: datetime | None = field(default=None, converter=as_utc)
    proved_at: datetime | None = field(default=None, converter=as_utc)
    pruned_at: datetime | None = field(default=None, converter=as_utc)
    #: When its contents came into the catalogue.
    cataloged_at: datetime | None = field(default=None, converter=as_utc)
    doubtful: str = ""
    foreign: bool = False
    files: int = 0
    original_bytes: int = 0
    compressed_bytes: int = 0
    deduplicated_bytes: int = 0
    roots: tuple[tuple[str, str], ...] = field(default=(), converter=_pairs)
    id: int | None = observed()
