"""What is in archives: entries, and what the catalogue says of them."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from attrs import field, frozen

from .fields import as_utc

#: What the letters of `Entry.type` mean.
ENTRY_TYPES = {
    "-": "file",
    "d": "folder",
    "l": "symbolic link",
    "h": "hard link to another entry",
    "p": "FIFO",
    "c": "character device",
    "b": "block device",
    "s": "socket",
}


class Item(NamedTuple):
    """One entry as a listing of an archive tells it, for the catalogue to take in: a million of them must be cheap.

    `path` is as Borg has it, without a slash at its beginning; what is not UTF-8 in it stands as halves of
    characters (Python's `surrogateescape`). `mtime` counts microseconds since 1970.
    """

    path: str
    type: str = "-"
    size: int = 0
    mtime: int | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    user: str = ""
    group: str = ""
    target: str = ""


@frozen(kw_only=True)
class Entry:
    """What lies at a path in an archive. `restore(entry.archive, [entry.path])` brings it back.

    `path` is as it was on the client ("/etc/hosts"); bytes in it that are no UTF-8 stand as Python's `surrogateescape`
    has them, so `os.fsencode(path)` gives the name's own bytes. `type` is a letter as `ls -l` shows it, or "h" for a
    hard link to another entry of the archive. `size` is in bytes, `mode` the permissions (0o644). `target` is where a
    link leads (there, what is no UTF-8 is a question mark: Borg's listing says no more). A folder that is only on
    the way to what was backed up has neither `mode` nor `mtime`. It is all as the client told it to Borg.
    """

    archive: int
    client: int | None = None
    path: str
    type: str = "-"
    size: int = 0
    mtime: datetime | None = field(default=None, converter=as_utc)
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    user: str = ""
    group: str = ""
    target: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@frozen(kw_only=True)
class Version:
    """A state that a path was in, with the archives that hold it, oldest first. `entry` is that of the newest."""

    entry: Entry
    archives: tuple[int, ...]


@frozen(kw_only=True)
class Change:
    """How a path differs between two archives: `before` None: it was added; `after` None: it was removed."""

    path: str
    before: Entry | None = None
    after: Entry | None = None

    @property
    def kind(self) -> str:
        """ "added", "removed" or "changed"."""
        return "added" if self.before is None else "removed" if self.after is None else "changed"
