"""Sealing everything anew, with another key."""

from __future__ import annotations

from sqlalchemy import Connection, select, text, update

from ..errors import InUse
from ..sealing import Sealer
from . import schema
from .leases import OVER
from .mapped import ALL
from .opening import write_check
from .reading import PAGE


def refuse_others(connection: Connection, owner: str) -> None:
    """Raise `InUse` while another engine than `owner` has jobs at work: what it learns it could not keep any more."""
    table = schema.jobs.c
    others = select(table.id).where(text(schema.ACTIVE), table.owner.is_not(None), table.owner != owner, ~OVER)
    if found := list(connection.scalars(others.order_by(table.id).limit(6))):
        jobs = ", ".join(map(str, found[:5])) + (" and more" if len(found) > 5 else "")
        raise InUse(
            f"another engine has jobs at work in this database ({jobs}), and could not keep how they end: wait for "
            "them, end that process, and change the key then. Nothing was changed"
        )


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
