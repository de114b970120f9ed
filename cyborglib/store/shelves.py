"""What the shelves of single classes do beyond keeping rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from attrs import evolve
from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    TextClause,
    delete,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from ..errors import Invalid
from ..model import Archive, Client, Policy, Proof, Repository, Schedule, Vault
from ..secret import Secret
from . import schema
from .mapped import fields_of
from .reading import pages
from .shelf import Shelf

#: How many names a sentence lists.
SHOWN = 5


def _named(
    connection: Connection, column: ColumnElement[Any], *where: ColumnElement[bool] | TextClause, what: str, many: str
) -> list[str]:
    """ "the policy etc" or "7 policies (etc, www, …)": what refers to something, in words."""
    names = list(connection.scalars(select(column).where(*where).order_by(column).limit(SHOWN)))
    if not names:
        return []
    count = connection.scalar(select(func.count()).select_from(column.table).where(*where)) or 0
    if count == 1:
        return [f"the {what} {names[0]}"]
    more = ", …" if count > len(names) else ""
    return [f"{count} {many} ({', '.join(map(str, names))}{more})"]


def _jobs(connection: Connection, column: str, id: int) -> list[str]:
    unfinished = text(schema.UNFINISHED)
    table = schema.jobs.c
    return _named(connection, table.id, table[column] == id, unfinished, what="unfinished job", many="unfinished jobs")


def _archives(connection: Connection, column: str, id: int) -> list[str]:
    table = schema.archives.c
    return _named(connection, table.name, table[column] == id, what="archive", many="archives")


def _vaults(connection: Connection, column: str, id: int) -> list[str]:
    table = schema.vaults.c
    return _named(connection, table.location, table[column] == id, what="vault", many="vaults")


def _policies(connection: Connection, *where: ColumnElement[bool]) -> list[str]:
    return _named(connection, schema.policies.c.name, *where, what="policy", many="policies")


class ClientShelf(Shelf[Client]):
    """The hosts to back up."""

    naming, thing, things = "hostname", "client", "clients"

    def _prepared(self, connection: Connection, value: Client, old: Client | None) -> Client:
        value = super()._prepared(connection, value, old)
        if old is not None and value.hypervisor == old.id:
            raise Invalid(f"{old.hostname} cannot be its own hypervisor; give the client that it runs on")
        if old is not None and old.hypervisor is not None and value.hypervisor is None:
            # Without one such a policy could not be launched any more, for none of its clients.
            policies = schema.policies.c
            machines = _policies(connection, policies.id.in_(self._theirs(old.id)), policies.type == "vm")
            if machines:
                raise Invalid(
                    f"{old.hostname} is backed up as a virtual machine by {', '.join(machines)}, so it needs a "
                    "hypervisor; take it out of that first"
                )
        return value

    @staticmethod
    def _theirs(id: int | None) -> Select[tuple[int]]:
        """The ids of a client's policies."""
        members = schema.policy_clients.c
        return select(members.policy).where(members.client == id)

    def _users(self, connection: Connection, id: int) -> list[str]:
        return [
            *_policies(connection, schema.policies.c.id.in_(self._theirs(id))),
            *_named(
                connection,
                schema.clients.c.hostname,
                schema.clients.c.hypervisor == id,
                what="virtual machine",
                many="virtual machines",
            ),
            *_jobs(connection, "client", id),
            *_jobs(connection, "hypervisor", id),
            *_vaults(connection, "client", id),
            *_archives(connection, "client", id),
        ]


class RepositoryShelf(Shelf[Repository]):
    """Where vaults live."""

    naming, thing, things = "name", "repository", "repositories"

    def _prepared(self, connection: Connection, value: Repository, old: Repository | None) -> Repository:
        value = super()._prepared(connection, value, old)
        if old is not None and value.path != old.path and (vaults := _vaults(connection, "repository", old.id or 0)):
            raise Invalid(
                f"the path of the repository {old.name} cannot change, as {', '.join(vaults)} lies where it says now; "
                "add another repository with the new path, and let policies use that"
            )
        return value

    def _users(self, connection: Connection, id: int) -> list[str]:
        return [
            *_policies(connection, schema.policies.c.repository == id),
            *_jobs(connection, "repository", id),
            *_vaults(connection, "repository", id),
        ]


class ScheduleShelf(Shelf[Schedule]):
    """When policies run."""

    naming, thing, things = "name", "schedule", "schedules"

    def _prepared(self, connection: Connection, value: Schedule, old: Schedule | None) -> Schedule:
        value = super()._prepared(connection, value, old)
        if old is not None and not _changed(value, old, "crontab", "timezone", "enabled"):
            return evolve(value, counted_from=old.counted_from)
        if old is not None:
            # Its policies' next moments were computed from what it was.
            theirs = schema.policies.c.schedule == old.id
            connection.execute(update(schema.policies).where(theirs).values(next_run=None))
        return evolve(value, counted_from=self._database.clock())

    def _replaced(self, value: Schedule, old: Schedule) -> tuple[str, ...]:
        return (*super()._replaced(value, old), "counted_from")

    def _users(self, connection: Connection, id: int) -> list[str]:
        return _policies(connection, schema.policies.c.schedule == id)


class PolicyShelf(Shelf[Policy]):
    """What is backed up, for whom, where to and when."""

    naming, thing, things = "name", "policy", "policies"

    def due(self, now: datetime) -> list[Policy]:
        """Those whose next moment has come, or was not computed yet; none that is disabled or has no schedule."""
        table, schedule = schema.policies.c, schema.schedules.c
        on = select(schedule.id).where(schedule.id == table.schedule, schedule.enabled).exists()
        with self._database.reading() as connection:
            return self._select(connection, table.enabled, on, or_(table.next_run <= now, table.next_run.is_(None)))

    def ahead(self, then: datetime) -> list[Policy]:
        """Those whose moments count from later than that: a clock that was wrong has put them off."""
        with self._database.reading() as connection:
            return self._select(connection, self._table.c.counted_from > then)

    def undrilled(self, now: datetime, ahead: datetime) -> list[Policy]:
        """Enabled ones that it is time to look at whether a client is to have its drill; also those that a clock which
        was wrong has put off beyond `ahead`."""
        table = self._table.c
        waiting = or_(table.next_drill <= now, table.next_drill > ahead, table.next_drill.is_(None))
        with self._database.reading() as connection:
            return self._select(connection, table.enabled, waiting)

    def _prepared(self, connection: Connection, value: Policy, old: Policy | None) -> Policy:
        # A turn that comes until then is seen at that look.
        now = self._database.clock()
        value = evolve(value, drills_from=old.drills_from if old else now, next_drill=now + timedelta(days=1))
        # Before it is checked: the check computes from it when the policy comes next.
        if old is None or _changed(value, old, "schedule", "enabled"):
            value = evolve(value, counted_from=self._database.clock(), next_run=None)
        else:
            value = evolve(value, counted_from=old.counted_from, next_run=old.next_run)
        return super()._prepared(connection, value, old)

    def _replaced(self, value: Policy, old: Policy) -> tuple[str, ...]:
        return (*super()._replaced(value, old), "counted_from", "next_run", "drills_from", "next_drill")

    def _completed(self, connection: Connection, rows: Sequence[RowMapping]) -> list[dict[str, Any]]:
        members = schema.policy_clients.c
        ids = [row["id"] for row in rows]
        clients: dict[int, list[int]] = {policy: [] for policy in ids}
        for page in pages(ids):
            query = select(members.policy, members.client).where(members.policy.in_(page))
            for policy, client in connection.execute(query.order_by(members.policy, members.position)):
                clients[policy].append(client)
        return [{**row, "clients": clients[row["id"]]} for row in rows]

    def _check_references(self, connection: Connection, fields: Mapping[str, Any]) -> None:
        super()._check_references(connection, fields)
        wanted = sorted(fields.get("clients", ()))
        for page in pages(wanted):
            known = set(connection.scalars(select(schema.clients.c.id).where(schema.clients.c.id.in_(page))))
            if unknown := [client for client in page if client not in known]:
                raise Invalid(f"there is no client with the id {unknown[0]}; add it first, and give what add gave back")

    def _write_rest(self, connection: Connection, id: int, fields: Mapping[str, Any]) -> None:
        super()._write_rest(connection, id, fields)
        if "clients" in fields:
            self._remove_rest(connection, id)
            rows = [{"policy": id, "client": client, "position": n} for n, client in enumerate(fields["clients"])]
            if rows:
                connection.execute(insert(schema.policy_clients), rows)

    def _remove_rest(self, connection: Connection, id: int) -> None:
        connection.execute(delete(schema.policy_clients).where(schema.policy_clients.c.policy == id))

    def _users(self, connection: Connection, id: int) -> list[str]:
        return [*_jobs(connection, "policy", id), *_archives(connection, "policy", id)]


class VaultShelf(Shelf[Vault]):
    """The Borg repositories. Hosts see it as a `ReadShelf`: jobs alone change vaults."""

    thing, things = "vault", "vaults"

    def promise(self, id: int) -> Vault:
        """See that there is a passphrase which the vault is to get, and give the vault.

        Whoever asks first makes it: engines that work the same job one after another have the same one, as what
        one of them has told to Borg must never be written over.
        """
        with self._database.transaction() as connection:
            vault = self._kept(connection, id)
            return vault if vault.next_passphrase else self.observe(id, next_passphrase=Secret.generate())

    def upkeep(self, now: datetime) -> list[Vault]:
        """Those that are due for a prune or compact, or were never told when."""
        table = self._table.c
        due = or_(table.prune_at <= now, table.prune_at.is_(None), table.compact_at <= now)
        with self._database.reading() as connection:
            return self._select(connection, table.ready, due)

    def unlooked(self, now: datetime, ahead: datetime) -> list[Vault]:
        """Ready ones that it is time to look at whether they are to be checked; also those that a clock which was wrong
        has put off beyond `ahead`."""
        table = self._table.c
        waiting = or_(table.next_check <= now, table.next_check > ahead, table.next_check.is_(None))
        with self._database.reading() as connection:
            return self._select(connection, table.ready, waiting)

    def _users(self, connection: Connection, id: int) -> list[str]:
        return [*_jobs(connection, "vault", id), *_archives(connection, "vault", id)]


class ArchiveShelf(Shelf[Archive]):
    """What backups left in vaults. Hosts see it as a `ReadShelf`: jobs alone change archives."""

    naming, thing, things = "", "archive", "archives"

    def latest(self, policy: int | None, client: int | None) -> Archive | None:
        """The archive of a policy and client that was recorded last."""
        table = self._table.c
        with self._database.reading() as connection:
            query = select(func.max(table.id)).where(table.policy == policy, table.client == client)
            number = connection.scalar(query)
            return self.get(number) if number is not None else None

    def expected(self, vault: int) -> list[Archive]:
        """Those of a vault, without those that were deleted on purpose and are gone."""
        table = self._table.c
        there = or_(table.pruned_at.is_(None), table.missing_at.is_(None))
        with self._database.reading() as connection:
            return self._select(connection, table.vault == vault, there)

    def before(self, policy: int, client: int, number: int) -> list[Archive]:
        """The archives of a policy and client that were recorded last, the newest first; `number` jobs of them."""
        table = self._table.c
        mine = (table.policy == policy, table.client == client, table.pruned_at.is_(None))
        with self._database.reading() as connection:
            jobs = select(table.job).where(*mine).group_by(table.job).order_by(func.max(table.id).desc()).limit(number)
            ids = [job for job in connection.scalars(jobs) if job is not None]
            return self._select(connection, *mine, table.job.in_(ids))[::-1]

    def extent(self, vault: int) -> tuple[int, int]:
        """How many files all archives of a vault hold, and how many bytes they added to it."""
        table = self._table.c
        with self._database.reading() as connection:
            sums = select(func.sum(table.files), func.sum(table.deduplicated_bytes))
            files, stored = connection.execute(sums.where(table.vault == vault, table.pruned_at.is_(None))).one()
            return int(files or 0), int(stored or 0)

    def observe(self, id: int, /, **fields: Any) -> Archive:
        """Write some fields of an archive. All of them are the library's own."""
        with self._database.transaction() as connection:
            value = evolve(self._kept(connection, id), **fields)
            self._update(connection, id, {name: getattr(value, name) for name in fields})
            return self.get(id)

    def note(self, ids: Sequence[int], **fields: Any) -> None:
        """Write the same plain fields of many archives; of those that are there."""
        row = self._mapped.row(fields)
        with self._database.transaction() as connection:
            for page in pages(ids):
                connection.execute(update(self._table).where(self._table.c.id.in_(page)).values(row))

    def meet(self, strangers: Sequence[Archive]) -> list[Archive]:
        """Record archives that were found in one vault, but for those whose id is known there; gives the new ones."""
        if not strangers:
            return []
        table = self._table.c
        with self._database.transaction() as connection:
            known: set[str] = set()
            for page in pages([archive.borg_id for archive in strangers]):
                same = select(table.borg_id).where(table.vault == strangers[0].vault, table.borg_id.in_(page))
                known.update(connection.scalars(same))
            new = [archive for archive in strangers if archive.borg_id not in known]
            rows = [self._mapped.row(fields_of(archive)) for archive in new]
            for row in rows:
                del row["id"]
            if rows:
                connection.execute(insert(self._table), rows)
        return new



class ProofShelf(Shelf[Proof]):
    """What was proved of archives. Hosts see it as a `ReadShelf`: drills alone add to it."""

    naming, thing, things = "", "proof", "proofs"


def _changed(value: Any, old: Any, *names: str) -> bool:
    return any(getattr(value, name) != getattr(old, name) for name in names)
