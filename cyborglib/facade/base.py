"""What all verbs stand on: the store, the engine, who listens."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import platformdirs
from attrs import evolve
from sqlalchemy import Engine as Database

from .. import content, drilling, given, launching, machines
from ..engine import Engine
from ..engine.recording import told
from ..errors import Invalid, StoreError
from ..events import E, Events, JobQueued
from ..executor import Executor
from ..expiring import Expiring
from ..measuring import Measuring
from ..model import Archive, Client, Job, Pause, Policy, Proof, Repository, Schedule, Settings, Variables, Vault
from ..store import Queued, ReadOnly, ReadShelf, Shelf, Store
from ..timetable import Timetable
from ..upkeep import Upkeep
from ..watch import Watch


def _now() -> datetime:
    return datetime.now(UTC)


class Base:
    """Opens and closes; shelves, settings and listeners. See `Cyborg`, whose arguments these are."""

    def __init__(
        self,
        bind: str | Database,
        *,
        key: str | Sequence[str] | Path | None = None,
        executor: Executor | None = None,
        clock: Callable[[], datetime] | None = None,
        roles_path: str | Path | Sequence[str | Path] = (),
        state_dir: str | Path | None = None,
        migrate: bool = True,
    ) -> None:
        self._clock = clock or _now
        folders = [roles_path] if isinstance(roles_path, str | Path) else roles_path
        self._roles_path = tuple(Path(path) for path in folders)
        self._state_dir = Path(state_dir) if state_dir else platformdirs.user_state_path("cyborglib")
        self._given = executor
        self._events = Events()
        self._store = Store(
            bind, key=key, environment=os.environ, clock=self._clock, migrate=migrate, check_policy=self._checked
        )
        self._timetable = Timetable(self._store, self._clock)
        self._measuring = Measuring(self._store)
        self._due = Upkeep(self._store)
        self._watch = Watch(self._store, self._clock)
        self._doubted = ""
        self._expiring = Expiring(self._store, lambda _now: self._watch.doubt())
        self._engine = Engine(
            self._store,
            self._events,
            self._new_executor,
            clock=self._clock,
            state_dir=str(self._state_dir),
            role=partial(content.role, roles_path=self._roles_path),
            doubt=self._watch.doubt,
        )
        #: The hosts to back up.
        self.clients: Shelf[Client] = self._store.clients
        #: Where vaults live.
        self.repositories: Shelf[Repository] = self._store.repositories
        #: When policies run.
        self.schedules: Shelf[Schedule] = self._store.schedules
        #: What is backed up, for whom, where to and when.
        self.policies: Shelf[Policy] = self._store.policies
        #: What was and will be done; changed by verbs only.
        self.jobs: ReadShelf[Job] = ReadOnly(self._store.jobs)
        #: What backups left in vaults; changed by jobs only.
        self.archives: ReadShelf[Archive] = ReadOnly(self._store.archives)
        #: What drills proved of archives.
        self.proofs: ReadShelf[Proof] = ReadOnly(self._store.proofs)
        #: The Borg repositories; changed by jobs only.
        self.vaults: ReadShelf[Vault] = ReadOnly(self._store.vaults)

    @property
    def pauses(self) -> list[Pause]:
        """What is full at present: jobs for these vaults and clients wait. `resume` ends a pause by hand."""
        return self._store.pauses.all()

    @property
    def settings(self) -> Settings:
        """What holds for the whole store; assign a changed value to change it."""
        return self._store.settings

    @settings.setter
    def settings(self, value: Settings) -> None:
        if isinstance(value, Settings) and value.controller_account and self._given is None:
            self._check_account(value.controller_account)
        self._store.settings = value

    def _check_account(self, name: str) -> None:
        """Raise `Invalid` for an account that is new in the settings and will not do on this machine."""
        from ..ansible.accounts import problem

        try:
            known = self._store.settings.controller_account
        except StoreError:  # What is there cannot be used, and others are just being assigned.
            known = ""
        if name != known and (why := problem(name)):
            raise Invalid(f"controller_account: {why}")

    def on(self, kind: type[E]) -> Callable[[Callable[[E], object]], Callable[[E], object]]:
        """Call a function at every event of a class and its subclasses: `@cyborg.on(JobFailed)`.

        Listeners are called after what they hear of is committed, one at a time, in the order of commits: in
        a thread that is in `run`, `finish`, `work` or `serve`, or where there is none in that of the verb. One
        that raises is logged and stops nothing; one that is slow holds up other listeners, and hears only the
        latest progress of a job. Listeners may call verbs, but not those that work or wait.
        """
        return self._events.on(kind)

    def close(self) -> None:
        """Give back connections and folders. Nothing at work is canceled: the next engine takes it over."""
        self._engine.close()
        if self._given is None:
            self._engine.drop_executor()
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # For the verbs

    def _launch(
        self,
        policy: Policy | int | str,
        clients: Iterable[Client | int | str] | None,
        extra_vars: Mapping[str, Any] | None,
        launched_by: str = "call",
        relaunch_of: Job | None = None,
    ) -> list[Job]:
        store = self._store
        found = store.policies.get(given.key(policy, Policy))
        over = Variables(extra_vars)

        def variables(client: Client) -> Variables:
            return content.check_extra_vars(found.type, {**found.variables_for(client.id), **over}, self._roles_path)

        members = None if clients is None else [store.clients.get(client) for client in given.clients(clients)]
        return self._queued(
            lambda: launching.launch(
                store, found, members, variables=variables, launched_by=launched_by, now=self._clock()
            ),
            relaunch_of,
        )

    def _queued(self, queue: Callable[[], Queued], relaunch_of: Job | None = None) -> Queued:
        """Queue jobs and tell of those that are new."""
        with self._engine.committing() as events, self._store.transaction():
            jobs = queue()
            if relaunch_of is not None:
                jobs = self._store.jobs.relaunched(jobs, relaunch_of)
            events.extend(JobQueued(job=job) for job in jobs.new)
            events.extend(told(jobs.new))  # skipped at once, as what they were to wait for had failed
        self._engine.tell()
        return jobs

    def _found(self, wanted: Sequence[int]) -> list[Job]:
        found = {job.id: job for job in self._store.jobs.many(wanted)}
        return [found.get(job) or self._store.jobs.get(job) for job in wanted]

    def _checked(self, policy: Policy) -> Policy:
        """What the store asks before it takes a policy."""
        launching.check_sharing(self._store, policy)
        machines.check_policy(self._store, policy)
        policy = content.check_policy(policy, self._roles_path)
        drilling.check_policy(self._store, policy)
        return evolve(policy, next_run=self._timetable.next_of(policy))

    def _new_executor(self) -> Executor:
        if self._given is not None:
            return self._given
        from ..ansible import AnsibleExecutor

        return AnsibleExecutor(roles_path=self._roles_path)
