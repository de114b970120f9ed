"""Sealing everything anew, with another key."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from ..sealing import Sealer
from .mapped import ALL
from .opening import write_check
from .reading import PAGE


def reseal(connection: Connection, old: Sealer, new: Sealer) -> None:
    """Unseal all that is sealed and seal it with a new key, at the same places. Raises `SealBroken`."""
    for mapped in ALL:
        names = sorted(mapped.sealed)
        if not names:
            continue
        table = mapped.table
        last = 0
        while True:
            columns = [table.c.id, *(table.c[name] for name in names)]
            query = select(*columns).where(table.c.id > last).order_by(table.c.id).limit(PAGE)
            rows = connection.execute(query).mappings().all()
            for row in rows:
                values = {
                    name: new.seal(mapped.place(name, row["id"]), old.unseal(mapped.place(name, row["id"]), row[name]))
                    for name in names
                    if row[name] is not None
                }
                if values:
                    connection.execute(update(table).where(table.c.id == row["id"]).values(values))
            if len(rows) < PAGE:
                break
            last = rows[-1]["id"]
    write_check(connection, new)
