"""The catalogue of contents: which archives are in it, and what comes and goes. Read by `contents_reading`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, func, insert, or_, select, update

from ..errors import NotFound
from . import schema
from .contents_reading import ContentsReader
from .contents_schema import contents, series, versions
from .database import Database
from .ingest import SOME, Ingest, Place, clear, job_at_work, orphans
from .reading import pages

#: In a name of an archive: where what differs from one time to the next begins.
_TIME = re.compile(r"[-_.:@+]*(\d{4}|\d+$)")


class Contents(ContentsReader):
    """What is in archives.

    Archives come in by `begin`, in any order, and go by `forget`, in any order. What comes in is seen when it is
    whole; what is read anew (`renew`) is seen as it was until then.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)

    # Coming in

    def wanted(self, vault: int) -> list[int]:
        """Archives of a vault whose contents are still to be read, or to be read anew; the newest first, foreign last.

        None that was pruned, or is missing.
        """
        table = schema.archives.c
        current = (
            select(contents.c.archive)
            .join(series, series.c.id == contents.c.series)
            .where(contents.c.archive == table.id, ~contents.c.gone, ~series.c.old)
        )
        query = select(table.id).where(
            table.vault == vault, table.pruned_at.is_(None), table.missing_at.is_(None), ~current.exists()
        )
        with self._database.reading() as connection:
            return list(connection.scalars(query.order_by(table.foreign, table.id.desc())))

    def begin(self, archive: int, job: int = 0, fence: int = 0) -> Ingest | None:
        """Take an archive in, for a job at work. None if there is nothing to do: it is in, was pruned, or another job
        takes in an archive of the same series just now.

        What one left that did not come to its end is removed first.
        """
        with self._database.transaction() as connection:
            row = self._archive(connection, archive)
            if row.pruned_at is not None:
                return None
            number = self._series_for(connection, row)
            place = self._left(connection, number)
            if place is not None and place.job and (place.job, place.fence) != (job, fence):
                theirs = job_at_work(connection, place.job, place.fence)
            else:
                theirs = False
            if theirs:
                return None
        if place is not None:
            clear(self._database, place)
        self.sweep(number)
        with self._database.transaction() as connection:
            held = (contents.c.series == number, contents.c.archive == archive, ~contents.c.gone)
            if self._left(connection, number) is not None or connection.scalar(select(contents.c.archive).where(*held)):
                return None
            before, after = self._neighbours(connection, number, archive)
            taken = {"archive": archive, "job": job, "fence": fence}
            if not connection.execute(update(series).where(series.c.id == number).values(taken)).rowcount:
                return None  # removed by somebody who found it empty
        return Ingest(self._database, Place(number, archive, before, after, job, fence), self.sweep)

    def _archive(self, connection: Connection, archive: int) -> Any:
        row = connection.execute(select(schema.archives).where(schema.archives.c.id == archive)).one_or_none()
        if row is None:
            raise NotFound(f"there is no archive with the id {archive}")
        return row

    def _series_for(self, connection: Connection, row: Any) -> int:
        """The series that an archive belongs to; made if there is none."""
        values = _key(row)
        same = [
            series.c[name].is_(None) if value is None else series.c[name] == value for name, value in values.items()
        ]
        number = connection.scalar(select(series.c.id).where(*same, ~series.c.old))
        if number is None:
            made = connection.execute(insert(series).values(**values, old=False))
            number = made.inserted_primary_key[0]  # type: ignore[index]
        return int(number)

    @staticmethod
    def _left(connection: Connection, number: int) -> Place | None:
        """What is being taken into a series, or was and did not come to its end."""
        row = connection.execute(select(series).where(series.c.id == number)).one_or_none()
        if row is None or row.archive is None:
            return None
        before, after = Contents._neighbours(connection, number, row.archive)
        return Place(number, row.archive, before, after, row.job, row.fence)

    @staticmethod
    def _neighbours(
        connection: Connection, number: int, archive: int, *where: ColumnElement[bool]
    ) -> tuple[int | None, int | None]:
        here = contents.c
        mine = [here.series == number, *where]
        before = connection.scalar(select(func.max(here.archive)).where(*mine, here.archive < archive))
        after = connection.scalar(select(func.min(here.archive)).where(*mine, here.archive > archive))
        return before, after

    # Reading anew

    def renew(self, archives: Iterable[int]) -> None:
        """Have the series of some archives read anew from their vaults: all archives that are in them become `wanted`.

        Readers see what is there until the new contents of an archive are whole.
        """
        with self._database.transaction() as connection:
            for page in pages(sorted(set(archives))):
                mine = select(contents.c.series).where(contents.c.archive.in_(page), ~contents.c.gone)
                connection.execute(update(series).where(series.c.id.in_(mine)).values(old=True))

    # Going

    def forget(self, archives: Iterable[int]) -> None:
        """Archives are not there any more (pruned, or deleted by hand): readers do not see their contents from now on.

        What only they held is removed at once; inside a transaction, by the next `sweep`, as that may take long.
        """
        marked = False
        with self._database.transaction() as connection:
            for page in pages(sorted(set(archives))):
                here = contents.c.archive.in_(page)
                marked |= connection.execute(update(contents).where(here).values(gone=True)).rowcount > 0
                known = schema.archives.c
                connection.execute(
                    update(schema.archives)
                    .where(known.id.in_(page), known.cataloged_at.is_not(None))
                    .values(cataloged_at=None)
                )
        if marked and not self._database.in_transaction:
            self.sweep()

    def sweep(self, number: int | None = None) -> None:
        """Remove what forgotten archives alone held, of one series or of all, in short transactions.

        It costs by what goes. Where an archive is just taken in, its neighbours stay until that has ended. What a job
        that is dead left of one is removed first.
        """
        if number is None:
            self._clear_dead()
        gone = select(contents.c.series, contents.c.archive).where(contents.c.gone)
        if number is not None:
            gone = gone.where(contents.c.series == number)
        with self._database.reading() as connection:
            found = connection.execute(gone.order_by(contents.c.series, contents.c.archive)).all()
        for of, archive in found:
            self._swept(of, archive)

    def _clear_dead(self) -> None:
        with self._database.reading() as connection:
            rows = connection.execute(select(series).where(series.c.archive.is_not(None))).all()
            dead = [
                row
                for row in rows
                if (row.job and not job_at_work(connection, row.job, row.fence)) or (not row.job and row.old)
            ]
            places = [self._left(connection, row.id) for row in dead]
        for place in places:
            if place is not None:
                clear(self._database, place)

    def _swept(self, number: int, archive: int) -> None:
        while True:
            with self._database.transaction() as connection:
                if not self._free(connection, number):
                    return
                before, after = self._neighbours(connection, number, archive, ~contents.c.gone)
                rows = [
                    row
                    for end in _only_between(before, after)
                    for row in connection.execute(
                        select(versions.c.path, versions.c.first_archive)
                        .where(versions.c.series == number, end)
                        .limit(SOME)
                    )
                ]
                for page in pages(rows):
                    which = [
                        and_(versions.c.path == row.path, versions.c.first_archive == row.first_archive) for row in page
                    ]
                    connection.execute(delete(versions).where(versions.c.series == number, or_(*which)))
                orphans(connection, {row.path for row in rows})
                if len(rows) < SOME:
                    mine = (contents.c.series == number, contents.c.archive == archive, contents.c.gone)
                    connection.execute(delete(contents).where(*mine))
                    if before is None and after is None:
                        empty = ~select(contents.c.archive).where(contents.c.series == number).exists()
                        connection.execute(delete(series).where(series.c.id == number, series.c.old, empty))
                    return

    @staticmethod
    def _free(connection: Connection, number: int) -> bool:
        row = connection.execute(select(series.c.archive).where(series.c.id == number)).one_or_none()
        return row is not None and row.archive is None


def _key(row: Any) -> dict[str, Any]:
    """What the archives of a series have in common."""
    stem = "" if row.policy is not None else _TIME.split(row.name, maxsplit=1)[0]
    return {"policy": row.policy, "client": row.client, "part": row.part, "vault": row.vault, "stem": stem}


def _only_between(before: int | None, after: int | None) -> list[ColumnElement[bool]]:
    """Spans that hold in no archive but those between two; each condition is a step down an index."""
    first, last = versions.c.first_archive, versions.c.last_archive
    if before is None:
        return [last >= 0 if after is None else last < after]
    if after is None:
        return [first > before]
    return [and_(first > before, first < after, last < after)]


__all__ = ["Contents"]
