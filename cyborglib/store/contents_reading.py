"""Questions to the catalogue of contents. Each step of each is one down an index, but for a search of all names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, String, and_, func, literal, or_, select

from ..errors import NotFound
from ..model.contents import Change, Entry, Version
from . import names, schema
from .contents_schema import contents, owners, paths, series, versions
from .database import Database
from .reading import pages
from .types import place_of

#: Paths that a search or a comparison looks at in one step.
LOOK = 200
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_VISIBLE = ~contents.c.gone


class ContentsReader:
    """Reads what was taken in whole."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def browse(self, archive: int, path: str) -> list[Entry] | None:
        """What is in a folder of an archive, by name; of what is no folder, itself. None: nothing lies there.

        Raises `NotFound` for an archive whose contents are not in the catalogue.
        """
        with self._database.reading() as connection:
            number = self._series_of(connection, archive)
            parts = names.split(path)
            found = None if parts is None else self._path(connection, parts)
            if found is None or parts is None:
                return None
            held = _held(number, archive)
            client = self._client(connection, archive)
            if found:
                own = connection.execute(_entries().where(*held, versions.c.path == found)).one_or_none()
                if own is None:
                    return None
                if own.type != "d":
                    return [_entry(own, archive, client, "/" + "/".join(parts))]
            above = "/" + "".join(part + "/" for part in parts)
            below = dict(connection.execute(select(paths.c.id, paths.c.name).where(paths.c.parent == found)).all())
            query = _entries(versions.c.path).where(*held)
            rows = [
                row for page in pages(list(below)) for row in connection.execute(query.where(versions.c.path.in_(page)))
            ]
        there = [_entry(row, archive, client, above + names.given(below[row.path])) for row in rows]
        return sorted(there, key=_path_of)

    def search(self, wanted: str, *, client: int | None, since: datetime | None, limit: int) -> list[Entry]:
        """Up to `limit` entries whose names hold a text, each as the newest archive of its series has it.

        A text with slashes is looked for in the whole path: its last part begins a name, the others are folders.
        """
        found: list[Entry] = []
        last = 0
        question = _Question(wanted)
        with self._database.reading() as connection:
            where = [question.condition()]
            if client is not None:
                theirs = select(series.c.id).where(series.c.client == client)
                mine = (versions.c.path == paths.c.id, versions.c.series.in_(theirs))
                where.append(select(versions.c.path).where(*mine).exists())
            look = min(limit, LOOK)
            while len(found) < limit:
                query = select(paths.c.id).where(*where, paths.c.id > last).order_by(paths.c.id).limit(look)
                ids = list(connection.scalars(query))
                if ids:
                    found += self._newest(connection, ids, question, client, since)
                    last = ids[-1]
                if len(ids) < look:
                    break
                look = LOOK
        return found[:limit]

    def versions(self, client: int, path: str) -> list[Version]:
        """The states that a path of a client was in, over all of its archives in the catalogue; newest first."""
        with self._database.reading() as connection:
            parts = names.split(path)
            found = self._path(connection, parts) if parts else None
            if not found or parts is None:
                return []
            theirs = select(series.c.id).where(series.c.client == client)
            query = _entries(versions.c.series).where(versions.c.path == found, versions.c.series.in_(theirs))
            rows = connection.execute(query).all()
            there: dict[int, list[int]] = {}
            for row in rows:
                if row.series not in there:
                    here = select(contents.c.archive).where(contents.c.series == row.series, _VISIBLE)
                    there[row.series] = list(connection.scalars(here.order_by(contents.c.archive)))
        full = "/" + "/".join(parts)
        made = []
        for row in rows:
            archives = tuple(one for one in there[row.series] if row.first_archive <= one <= row.last_archive)
            if archives:
                made.append(Version(entry=_entry(row, archives[-1], client, full), archives=archives))
        return sorted(made, key=lambda version: version.archives[-1], reverse=True)

    def diff(self, one: int, other: int) -> Iterator[Change]:
        """How the contents of one archive differ from those of another, path by path, in no certain order.

        Raises `NotFound` at the first step.
        """
        with self._database.reading() as connection:
            numbers = self._series_of(connection, one), self._series_of(connection, other)
            clients = self._client(connection, one), self._client(connection, other)
        for ids in self._differing(numbers, (one, other)):
            with self._database.reading() as connection:
                sides = [
                    {
                        row.path: row
                        for row in connection.execute(
                            _entries(versions.c.path).where(*_held(number, archive), versions.c.path.in_(ids))
                        )
                    }
                    for number, archive in zip(numbers, (one, other), strict=True)
                ]
                full = _full_paths(connection, ids)
            for path in ids:
                before, after = (side.get(path) for side in sides)
                if before is not None and after is not None and _same(before, after):
                    continue
                if before is None and after is None:
                    continue  # It has gone meanwhile.
                yield Change(
                    path=full[path],
                    before=None if before is None else _entry(before, one, clients[0], full[path]),
                    after=None if after is None else _entry(after, other, clients[1], full[path]),
                )

    def _differing(self, numbers: tuple[int, int], archives: tuple[int, int]) -> Iterator[Sequence[int]]:
        """Paths that may differ, in portions. Within a series: those of which something ends or begins between."""
        number, (low, high) = numbers[0], sorted(archives)
        table, last = versions.c, 0
        if numbers[0] == numbers[1]:
            mine = table.series == number
            ended = select(table.path).where(mine, table.last_archive >= low, table.last_archive < high)
            began = select(table.path).where(mine, table.first_archive > low, table.first_archive <= high)
            with self._database.reading() as connection:
                ended, began = ended.where(table.first_archive <= low), began.where(table.last_archive >= high)
                found = sorted({*connection.scalars(ended), *connection.scalars(began)})
            yield from pages(found)
            return
        held = or_(*(and_(*_held(number, archive)) for number, archive in zip(numbers, archives, strict=True)))
        while True:
            query = select(table.path).distinct().where(table.path > last, held).order_by(table.path).limit(500)
            with self._database.reading() as connection:
                ids = list(connection.scalars(query))
            if not ids:
                return
            yield ids
            last = ids[-1]

    # Inside

    def _series_of(self, connection: Connection, archive: int) -> int:
        query = select(contents.c.series).where(contents.c.archive == archive, _VISIBLE)
        number = connection.scalar(query)
        if number is None:
            table = schema.archives.c
            row = connection.execute(select(table.name, table.pruned_at).where(table.id == archive)).one_or_none()
            name = row.name if row is not None else archive
            why = (
                "it was pruned"
                if row is not None and row.pruned_at is not None
                else "catalog(repository) reads those that are not yet in it"
            )
            raise NotFound(f"the contents of the archive {name} are not in the catalogue: {why}")
        return int(number)

    @staticmethod
    def _client(connection: Connection, archive: int) -> int | None:
        return connection.scalar(select(schema.archives.c.client).where(schema.archives.c.id == archive))

    @staticmethod
    def _path(connection: Connection, parts: Sequence[str]) -> int | None:
        """The id of a path; 0 for the folder that all is in, None if nobody has it."""
        number = 0
        for part in parts:
            name = names.kept(part)
            if names.refused(part):
                return None
            here = (paths.c.parent == number, paths.c.name == name)
            found = connection.scalar(select(paths.c.id).where(*here))
            if found is None:
                return None
            number = found
        return number

    def _newest(
        self, connection: Connection, ids: list[int], question: _Question, client: int | None, since: datetime | None
    ) -> list[Entry]:
        full = _full_paths(connection, ids)
        ids = [path for path in ids if question.answered_by(full[path])]
        newest = (
            select(func.max(contents.c.archive))
            .where(contents.c.series == versions.c.series, _VISIBLE)
            .where(contents.c.archive >= versions.c.first_archive, contents.c.archive <= versions.c.last_archive)
            .scalar_subquery()
        )
        query = _entries(versions.c.path, versions.c.series, series.c.client, newest.label("newest"))
        query = query.join(series, series.c.id == versions.c.series).where(versions.c.path.in_(ids))
        if client is not None:
            query = query.where(series.c.client == client)
        rows = [row for row in connection.execute(query.order_by(versions.c.path, versions.c.series)) if row.newest]
        best = [max(some, key=_newest_of) for _, some in groupby(rows, key=lambda row: (row.path, row.series))]
        if since is not None:
            table = schema.archives.c
            made = {
                row.id: row.created_at or row.recorded_at
                for page in pages(sorted({row.newest for row in best}))
                for row in connection.execute(
                    select(table.id, table.created_at, table.recorded_at).where(table.id.in_(page))
                )
            }
            best = [row for row in best if made.get(row.newest) is not None and made[row.newest] >= since]
        return [_entry(row, row.newest, row.client, full[row.path]) for row in best]


class _Question:
    """A text that is searched for."""

    def __init__(self, wanted: str) -> None:
        folded = names.folded(names.kept(wanted))
        self._rooted = folded.startswith("/")
        self._parts = [part for part in folded.split("/") if part]
        #: A folder is meant by its whole name.
        self._whole = folded.endswith("/")
        self._plain = "/" not in folded

    def condition(self) -> ColumnElement[bool]:
        """On names, what can be asked of them alone."""
        if not self._parts:
            return literal(True)
        name: ColumnElement[str] = func.coalesce(paths.c.folded, paths.c.name)
        last = literal(self._parts[-1], String)
        # SQLite's LIKE has an opinion on case, and characters of its own. For most names the first is all.
        if self._plain:
            return place_of(name, last) > 0
        return place_of(name, last) == 1

    def answered_by(self, path: str) -> bool:
        """True if a full path, all of it, has what was asked for."""
        if self._plain:
            return True
        parts = names.folded(names.kept(path)).split("/")[1:]
        wanted = self._parts
        if len(parts) < len(wanted) or (self._rooted and len(parts) != len(wanted)):
            return False
        there = parts[len(parts) - len(wanted) :]
        ends = there[-1] == wanted[-1] if self._whole else there[-1].startswith(wanted[-1])
        begins = there[0] == wanted[0] if self._rooted else there[0].endswith(wanted[0])
        if len(wanted) == 1:
            return ends
        return ends and begins and there[1:-1] == wanted[1:-1]


def _held(number: int, archive: int) -> tuple[ColumnElement[bool], ...]:
    """The versions that an archive of a series holds, for paths that are known.

    The sum keeps a planner from going through all that the archive holds by the index of what ends.
    """
    table = versions.c
    return table.series == number, table.first_archive <= archive, table.last_archive + 0 >= archive


def _entries(*more: Any) -> Select[Any]:
    table = versions.c
    return select(
        table.first_archive, table.last_archive, table.type, table.size, table.mtime, table.mode, table.owner,
        table.target, owners.c.uid, owners.c.gid, owners.c.user, owners.c.group, *more,
    ).join(owners, owners.c.id == table.owner)  # fmt: skip


def _entry(row: Any, archive: int, client: int | None, path: str) -> Entry:
    return Entry(
        archive=archive,
        client=client,
        path=path,
        type=row.type,
        size=row.size,
        mtime=None if row.mtime is None else _EPOCH + timedelta(microseconds=row.mtime),
        mode=row.mode,
        uid=None if row.uid < 0 else row.uid,
        gid=None if row.gid < 0 else row.gid,
        user=names.given(row.user),
        group=names.given(row.group),
        target="" if row.target is None else names.given(row.target),
    )


def _same(one: Any, other: Any) -> bool:
    return all(
        getattr(one, name) == getattr(other, name) for name in ("type", "size", "mtime", "mode", "owner", "target")
    )


def _path_of(entry: Entry) -> str:
    return entry.path


def _newest_of(row: Any) -> int:
    return int(row.newest)


def _full_paths(connection: Connection, ids: Iterable[int]) -> dict[int, str]:
    """Paths as people write them, by their ids."""
    above: dict[int, tuple[int, str]] = {}
    wanted = set(ids)
    edge = set(wanted)
    while edge:
        for page in pages(sorted(edge)):
            query = select(paths.c.id, paths.c.parent, paths.c.name).where(paths.c.id.in_(page))
            above.update((row.id, (row.parent, row.name)) for row in connection.execute(query))
        edge = {above[path][0] for path in edge if path in above} - above.keys() - {0}
    full: dict[int, str] = {}
    for path in wanted:
        parts: list[str] = []
        at = path
        while at in above:
            at, name = above[at]
            parts.append(names.given(name))
        full[path] = "/" + "/".join(reversed(parts))
    return full
