"""The catalogue's tables: what is in archives. `metadata` is that of `schema`.

A path is known once for all archives of all clients, by its folder and its name; a version of it once for the archives
of a series that hold it (see `spans`). Few bytes matter here, as there are millions of rows: so no foreign keys (an
index and a look-up each), no revisions, and on SQLite no row ids beside the keys. `contents.py` alone writes here, and
keeps what keys would.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, ForeignKey, Index, SmallInteger, String, Table, text

from .schema import metadata
from .types import Plain, Whole


def _must(name: str, type_: Any) -> Column[Any]:
    return Column(name, type_, nullable=False)


#: Archives that are counted in one line: those of one policy, client and part in a vault, or, if no policy of ours made
#: them, those whose names begin alike (`stem`). While an archive is taken in, its id and the job that does so
#: are here. `old` is True for one whose archives are read anew, into another one of the same.
series = Table(
    "cyborg_series",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=True),
    Column("policy", Whole),
    Column("client", Whole),
    _must("part", Plain),
    _must("vault", Whole),
    _must("stem", Plain),
    _must("old", Boolean),
    Column("archive", Whole),
    Column("job", Whole),
    Column("fence", Whole),
    # An id is never used again: one that reads by it would read something else.
    sqlite_autoincrement=True,
)

#: Whose contents are whole, and in which series. `gone`: forgotten, and what it alone held is still to be removed.
contents = Table(
    "cyborg_contents",
    metadata,
    Column("series", Whole, ForeignKey("cyborg_series.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False),
    Column(
        "archive", Whole, ForeignKey("cyborg_archives.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
    ),
    _must("entries", Whole),
    _must("gone", Boolean),
)

#: Paths, by the folder they are in (0: none) and the name there. `folded` is what is searched, if that is not the name.
paths = Table(
    "cyborg_paths",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=False),
    _must("parent", Whole),
    _must("name", Plain),
    Column("folded", Plain),
)

owners = Table(
    "cyborg_owners",
    metadata,
    Column("id", Whole, primary_key=True, autoincrement=False),
    _must("uid", Whole),
    _must("gid", Whole),
    _must("user", Plain),
    _must("group", Plain),
)

versions = Table(
    "cyborg_versions",
    metadata,
    Column("path", Whole, primary_key=True, autoincrement=False),
    Column("series", Whole, primary_key=True, autoincrement=False),
    Column("first_archive", Whole, primary_key=True, autoincrement=False),
    _must("last_archive", Whole),
    _must("type", String(1)),
    _must("size", Whole),
    #: Microseconds since 1970.
    Column("mtime", Whole),
    Column("mode", SmallInteger),
    _must("owner", Whole),
    Column("target", Plain),
    sqlite_with_rowid=False,
)

_LATER = text("first_archive > 0")

Index("ix_cyborg_series_policy_client", series.c.policy, series.c.client)
Index("ix_cyborg_contents_archive", contents.c.archive)
Index("uq_cyborg_paths_parent_name", paths.c.parent, paths.c.name, unique=True)
Index("uq_cyborg_owners", owners.c.uid, owners.c.gid, owners.c.user, owners.c.group, unique=True)
# What ended with an archive, or goes on; and what began with one.
Index("ix_cyborg_versions_last", versions.c.series, versions.c.last_archive, versions.c.path)
Index(
    "ix_cyborg_versions_first",
    versions.c.series,
    versions.c.first_archive,
    sqlite_where=_LATER,
    postgresql_where=_LATER,
)
