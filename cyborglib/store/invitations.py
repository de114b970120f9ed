"""One-time tokens, of which the store knows the hash alone."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, update

from . import schema
from .database import Database


class Invitations:
    """What tokens are out, and which were used."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, kind: str, id: int, token_hash: str, expires_at: datetime) -> None:
        """Keep the hash of a token for one object ("client" or "repository" and its id)."""
        row = {"kind": kind, "object": id, "token": token_hash, "expires_at": expires_at}
        with self._database.transaction() as connection:
            connection.execute(insert(schema.invitations).values(row))

    def consume(self, token_hash: str, now: datetime) -> tuple[str, int] | None:
        """Use a token up: its object, or None if it is unknown, used or late. One statement, so once only."""
        table = schema.invitations
        statement = (
            update(table)
            .where(table.c.token == token_hash, table.c.used_at.is_(None), table.c.expires_at > now)
            .values(used_at=now)
            .returning(table.c.kind, table.c.object)
        )
        with self._database.transaction() as connection:
            row = connection.execute(statement).one_or_none()
            return None if row is None else (row.kind, row.object)
