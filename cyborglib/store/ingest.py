"""Takes the contents of one archive into the catalogue: in short transactions, out of sight until all is there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from attrs import define, field, frozen
from sqlalchemy import Connection, delete, func, insert, select, text, tuple_, update

from ..errors import InvalidTransition
from ..model.contents import ENTRY_TYPES, Item
from . import bulk, names, schema
from .contents_schema import contents, owners, paths, series, versions
from .database import Database
from .reading import pages
from .spans import BEGIN, OPEN, Span, State, put

#: Rows that are looked at, and written, in one transaction: a tenth of a second, so that others come in between.
SOME = 5000
#: Folders, and owners, whose ids are kept in memory.
FOLDERS, OWNERS = 100_000, 10_000
#: What a folder is that is only on the way to others.
ON_THE_WAY = Item("", "d")
_NUMBER = 2**63
_ACTIVE = text(schema.ACTIVE)


class Overtaken(InvalidTransition):
    """What is taken in is another job's now, or nobody's."""


@frozen
class Place:
    """Where an archive comes in: its series, its neighbours there, and who takes it in (job 0: no job does)."""

    series: int
    archive: int
    before: int | None
    after: int | None
    job: int
    fence: int

    @property
    def low(self) -> int:
        """Spans that end before this have nothing to do with it."""
        return self.archive if self.before is None else self.before

    @property
    def high(self) -> int:
        """Nor have those that begin after this."""
        return self.archive if self.after is None else self.after

    def put(self, spans: Iterable[Span], state: State | None) -> list[Span]:
        """See `spans.put`."""
        return put(spans, state, before=self.before, archive=self.archive, after=self.after)


class Marks:
    """A set of ids that lie close together: a byte each."""

    _PAGE = 1 << 15

    def __init__(self) -> None:
        self._pages: dict[int, bytearray] = {}

    def __len__(self) -> int:
        return sum(page.count(1) for page in self._pages.values())

    def __contains__(self, number: int) -> bool:
        page = self._pages.get(number >> 15)
        return page is not None and page[number & 0x7FFF] == 1

    def add(self, number: int) -> None:
        """Add an id."""
        page = self._pages.get(number >> 15)
        if page is None:
            page = self._pages[number >> 15] = bytearray(self._PAGE)
        page[number & 0x7FFF] = 1


@define
class _Found:
    """A path in a batch: what spans it had in the database, and has now."""

    path: int
    there: list[Span]
    spans: list[Span]

    def __getitem__(self, place: int) -> int:
        """As of a row: its path, or where its first span begins."""
        if place == 0:
            return self.path
        return self.there[0].first if self.there else -1


@define
class Ingest:
    """One archive on its way into the catalogue. Used by one thread at a time.

    An entry that is told twice is what it was told last, as Borg would restore it. What cannot be an entry is counted
    in `left_out`, and nothing else becomes of it.
    """

    _database: Database
    place: Place
    _forgotten: Callable[[], object]
    entries: int = 0
    left_out: int = 0
    _seen: Marks = field(factory=Marks)
    _folders: dict[str, int] = field(factory=lambda: {"": 0})
    _owners: dict[tuple[Any, ...], int] = field(factory=dict)

    def take(self, items: Sequence[Item]) -> None:
        """Take some entries in. Raises `Overtaken` if this archive is not (any more) ours to take in."""
        if len(self._folders) > FOLDERS:
            self._folders = {"": 0}
        if len(self._owners) > OWNERS:
            self._owners = {}
        for start in range(0, len(items), SOME):
            self._take(items[start : start + SOME])

    def _take(self, items: Sequence[Item]) -> None:
        waiting = self._by_folder(items)
        with self._database.transaction() as connection:
            self._mine(connection)
            bulk.prepared(connection)
            batch = _Batch(connection, self.place, self._owners)
            folders, seen = self._folders, self._seen
            while waiting:
                ready = [folder for folder in waiting if folder in folders]
                wave = {folders[folder]: waiting.pop(folder) for folder in ready}
                batch.look_up(wave)
                for parent, there in wave.items():
                    for name, path, item, always in there:
                        number = batch.hold(parent, name, item, seen, always=always)
                        if item.type == "d" or path in waiting:
                            folders[path] = number
            batch.write()

    def _by_folder(self, items: Sequence[Item]) -> dict[str, list[tuple[str, str, Item, bool]]]:
        """Folder -> (name, path, entry, whether it holds in any case) of what is in it, and of the folders above."""
        waiting: dict[str, list[tuple[str, str, Item, bool]]] = defaultdict(list)
        known: set[str] = set()
        left_out = self.left_out
        for item in items:
            path = item.path
            if item.type not in ENTRY_TYPES or not 0 <= item.size < _NUMBER or names.refused(path):
                self.left_out += 1
                continue
            folder, _, name = path.rpartition("/")
            waiting[folder].append((name if name.isascii() else names.kept(name), path, item, True))
            known.add(path)
        self.entries += len(items) - (self.left_out - left_out)
        for folder in list(waiting):
            at = folder
            while at not in known and at not in self._folders:
                known.add(at)
                above, _, name = at.rpartition("/")
                waiting[above].append((names.kept(name), at, ON_THE_WAY, False))
                at = above
        return waiting

    def finish(self) -> None:
        """All was told: what the archive does not hold ends before it, and from now on readers see it.

        Raises `Overtaken`.
        """
        place = self.place
        self._end_what_is_gone()
        with self._database.transaction() as connection:
            self._mine(connection)
            known = contents.c
            mine = (known.archive == place.archive, known.series == place.series)
            connection.execute(update(contents).where(known.archive == place.archive).values(gone=True))
            connection.execute(delete(contents).where(*mine))
            connection.execute(
                insert(contents).values(series=place.series, archive=place.archive, entries=self.entries, gone=False)
            )
            connection.execute(
                update(schema.archives)
                .where(schema.archives.c.id == place.archive)
                .values(cataloged_at=self._database.clock())
            )
            unlock(connection, place)
        self._forgotten()

    def _end_what_is_gone(self) -> None:
        """What an archive before holds, and this one does not, ends before this one."""
        place, last, path = self.place, -1, -1
        table = versions.c
        here = (
            table.series == place.series, table.last_archive >= place.archive, table.first_archive <= place.archive,
        )  # fmt: skip
        with self._database.reading() as connection:
            # One version for each path that was seen: to count them costs a twentieth of looking at each.
            if connection.scalar(select(func.count()).where(*here)) == len(self._seen):
                return
        # No more than what the index has: most of these are as they were.
        query = select(table.path, table.last_archive).where(*here).order_by(table.last_archive, table.path)
        query = query.limit(4 * SOME)
        while True:
            further = tuple_(table.last_archive, table.path) > tuple_(last, path)
            with self._database.reading() as connection:
                rows = connection.execute(query.where(further)).all()
            gone = [path for path, _ in rows if path not in self._seen]
            for page in pages(gone):
                with self._database.transaction() as connection:
                    self._mine(connection)
                    ended = connection.execute(select(versions).where(*here, table.path.in_(page))).all()
                    some = [(row.path, [_span(row)]) for row in ended]
                    _write(connection, place, ((path, spans, place.put(spans, None)) for path, spans in some))
            if len(rows) < 4 * SOME:
                break
            last, path = rows[-1].last_archive, rows[-1].path

    def abandon(self) -> None:
        """Undo what was taken in so far. What is left when this does not come to its end, the next one undoes."""
        clear(self._database, self.place)
        self._forgotten()

    def _mine(self, connection: Connection) -> None:
        if not is_at_work(connection, self.place):
            raise Overtaken(
                f"the contents of the archive {self.place.archive} are taken in by another job now, or not at all"
            )


class _Batch:
    """Some entries, looked up and written together in one transaction."""

    def __init__(self, connection: Connection, place: Place, known: dict[tuple[Any, ...], int]) -> None:
        self._connection, self._place, self._owners = connection, place, known
        #: Folder and name -> what is there: of most a row as the database gives it, as objects for a million are dear.
        self._found: dict[tuple[int, str], Any] = {}
        self._changed: list[_Found] = []
        self._paths: list[tuple[Any, ...]] = []
        self._new: list[tuple[Any, ...]] = []
        self._next = (connection.scalar(select(func.max(paths.c.id))) or 0) + 1
        first = place.archive if place.before is not None else BEGIN
        last = place.archive if place.after is not None else OPEN
        self._alone = (first, last)

    def look_up(self, wave: dict[int, list[tuple[str, str, Item, bool]]]) -> None:
        """What the database has of some names, by their folders."""
        wanted = {parent: [name for name, *_ in there] for parent, there in wave.items()}
        place, found = self._place, self._found
        for row in bulk.looked_up(self._connection, wanted, place.series, place.low, place.high):
            key = (row[1], row[2])
            known = found.get(key)
            if known is None:
                found[key] = tuple(row)
            # A name that is asked for twice comes twice.
            elif known[3] != row[3]:
                one = found[key] = self._opened(known) if isinstance(known, tuple) else known
                if all(span.first != row[3] for span in one.there):
                    one.there.append(Span(row[3], row[4], tuple(row[5:])))

    def hold(self, parent: int, name: str, item: Item, seen: Marks, *, always: bool) -> int:
        """The archive holds an entry at a path, whose id this gives; unless it was told already, and not `always`."""
        key = (parent, name)
        known = self._found.get(key)
        if known is None:
            path, again = self._next, False
            self._next += 1
            fold = names.folded(name)
            self._paths.append((path, parent, name, None if fold == name else fold))
        else:
            path = int(known[0])
            again = path in seen
            if again and not always:
                return path
        seen.add(path)
        state, place = self._state(item), self._place
        if known is None or (known[3] is None and not again):
            first, last = self._alone
            self._found[key] = (path, parent, name, first, last, *state)
            self._new.append((path, place.series, first, last, *state))
            return path
        if isinstance(known, tuple):
            # What most entries are: as they were in the archive before, and in the one after.
            if not again and known[5:] == state and known[3] <= place.low and known[4] >= place.high:
                return path
            known = self._found[key] = self._opened(known)
        if known.spans is known.there:
            self._changed.append(known)
        known.spans = place.put(known.spans, state)
        return path

    @staticmethod
    def _opened(row: tuple[Any, ...]) -> _Found:
        there = [] if row[3] is None else [Span(row[3], row[4], tuple(row[5:]))]
        return _Found(row[0], there, there)

    def _state(self, item: Item) -> State:
        owner = self._owners.get(item[5:9])
        if owner is None:
            owner = self._owners[item[5:9]] = self._owner_of(
                -1 if item.uid is None else item.uid, -1 if item.gid is None else item.gid, item.user, item.group
            )
        target = names.kept(item.target) if item.target else None
        return item.type, item.size, item.mtime, item.mode, owner, target

    def _owner_of(self, uid: int, gid: int, user: str, group: str) -> int:
        values = {"uid": uid, "gid": gid, "user": names.kept(user), "group": names.kept(group)}
        same = (owners.c[name] == value for name, value in values.items())
        number: int | None = self._connection.scalar(select(owners.c.id).where(*same))
        if number is None:
            number = (self._connection.scalar(select(func.max(owners.c.id))) or 0) + 1
            self._connection.execute(insert(owners).values(id=number, **values))
        return number

    def write(self) -> None:
        bulk.write(self._connection, bulk.PATHS, self._paths)
        bulk.write(self._connection, bulk.VERSIONS, self._new)
        _write(self._connection, self._place, ((one.path, one.there, one.spans) for one in self._changed))


def _span(row: Any) -> Span:
    state = (row.type, row.size, row.mtime, row.mode, row.owner, row.target)
    return Span(row.first_archive, row.last_archive, state)


def _write(connection: Connection, place: Place, some: Iterable[tuple[int, list[Span], list[Span]]]) -> None:
    """Paths whose spans were these and are to be those."""
    rows: list[tuple[Any, ...]] = []
    away: list[dict[str, int]] = []
    for path, there, spans in some:
        firsts = {span.first for span in spans}
        away += [{"p": path, "f": span.first} for span in there if span.first not in firsts]
        rows += [
            (path, place.series, span.first, span.last, *span.state) for span in spans if span not in there
        ]  # fmt: skip
    if away:
        one = "DELETE FROM cyborg_versions WHERE path = :p AND series = :s AND first_archive = :f"
        connection.execute(text(one), [{**row, "s": place.series} for row in away])
    bulk.write(connection, bulk.VERSIONS, rows)


def is_at_work(connection: Connection, place: Place) -> bool:
    """True while an archive is taken in by the one that the place says, and its job is still that engine's."""
    return _still(connection, place) and (place.job == 0 or job_at_work(connection, place.job, place.fence))


def job_at_work(connection: Connection, job: int, fence: int) -> bool:
    """True if a job is at work, and the engine's that has this fence."""
    table = schema.jobs.c
    query = select(table.id).where(table.id == job, table.fence == fence, _ACTIVE)
    return connection.scalar(query) is not None


def unlock(connection: Connection, place: Place) -> None:
    """Nothing is taken into the series any more."""
    mine = (series.c.id == place.series, series.c.archive == place.archive)
    connection.execute(update(series).where(*mine).values(archive=None, job=None, fence=None))


def clear(database: Database, place: Place) -> None:
    """Remove what an archive that was taken in in part has left, in short transactions; then unlock its series."""
    table = versions.c
    alone = place.before is None and place.after is None
    # What begins or ends with it; in a series that has no other, everything.
    ends = (
        [table.series == place.series]
        if alone
        else [table.first_archive == place.archive, table.last_archive == place.archive]
    )
    for end in ends:
        query = select(versions).where(table.series == place.series, end).limit(SOME)
        rows: Sequence[Any] = [None] * SOME
        while len(rows) == SOME:
            with database.transaction() as connection:
                if not _still(connection, place):
                    return
                rows = connection.execute(query).all()
                some = [(row.path, [_span(row)]) for row in rows]
                _write(
                    connection, place, ((path, spans, [] if alone else place.put(spans, None)) for path, spans in some)
                )
                orphans(connection, {row.path for row in rows})
    with database.transaction() as connection:
        if _still(connection, place):
            unlock(connection, place)


def _still(connection: Connection, place: Place) -> bool:
    query = select(series.c.id).where(
        series.c.id == place.series, series.c.archive == place.archive, series.c.job == place.job,
        series.c.fence == place.fence,
    )  # fmt: skip
    return connection.scalar(query) is not None


def orphans(connection: Connection, some: set[int]) -> None:
    """Remove those of some paths that no version and no other path needs, and what is orphaned by that."""
    while some:
        page, rest = sorted(some)[:500], sorted(some)[500:]
        lower = paths.alias()
        unused = select(paths.c.id, paths.c.parent).where(
            paths.c.id.in_(page),
            ~select(versions.c.path).where(versions.c.path == paths.c.id).exists(),
            ~select(lower.c.id).where(lower.c.parent == paths.c.id).exists(),
        )
        found = connection.execute(unused).all()
        if found:
            connection.execute(delete(paths).where(paths.c.id.in_([row.id for row in found])))
        some = set(rest) | {row.parent for row in found if row.parent}
