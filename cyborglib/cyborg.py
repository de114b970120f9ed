"""Cyborg: the one object that a script or service holds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import platformdirs
from attrs import evolve
from sqlalchemy import Engine as Database

from . import content, given, invitations, kit, launching, machines, restoring
from .engine import Engine
from .engine.recording import told
from .errors import Invalid, StoreError
from .events import E, Events, JobQueued, KitOutdated
from .executor import Executor
from .invitations import Invitation
from .model import Archive, Client, Job, JobKind, Policy, Repository, Schedule, Settings, Variables, Vault
from .model.fields import as_utc
from .secret import Secret
from .store import Queued, ReadOnly, ReadShelf, Shelf, Store
from .timetable import Timetable


def _now() -> datetime:
    return datetime.now(UTC)


class Cyborg:
    """Everything of one store: what is to be backed up, the verbs, and the engine that works them.

    `bind` is a database URL ("sqlite:///cyborg.db", "postgresql+psycopg://…") or the host application's
    SQLAlchemy Engine, which is never disposed of here. Opening makes the tables in an empty database and
    migrates older ones; `migrate=False` never alters anything.

    `key` seals the secrets: a Fernet key, a list of them (all unseal; the first seals a new database) or the path of
    a file that holds one. None: $CYBORG_KEY, $CYBORG_KEY_FILE, else for an SQLite file a key file in the user's
    configuration folder, made only together with the database.

    Raises `MissingKey`, `WrongKey`, `SchemaTooNew`, `SchemaTooOld` or `StoreError`; nothing is overwritten.
    """

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
        self._engine = Engine(
            self._store,
            self._events,
            self._new_executor,
            clock=self._clock,
            state_dir=str(self._state_dir),
            role=partial(content.role, roles_path=self._roles_path),
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
        #: The Borg repositories; changed by jobs only.
        self.vaults: ReadShelf[Vault] = ReadOnly(self._store.vaults)

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
        from .ansible.accounts import problem

        try:
            known = self._store.settings.controller_account
        except StoreError:  # What is there cannot be used, and others are just being assigned.
            known = ""
        if name != known and (why := problem(name)):
            raise Invalid(f"controller_account: {why}")

    # Events

    def on(self, kind: type[E]) -> Callable[[Callable[[E], object]], Callable[[E], object]]:
        """Call a function at every event of a class and its subclasses: `@cyborg.on(JobFailed)`.

        Listeners are called after what they hear of is committed, one at a time, in the order of commits: in
        a thread that is in `run`, `finish`, `work` or `serve`, or where there is none in that of the verb. One
        that raises is logged and stops nothing; one that is slow holds up other listeners, and hears only the
        latest progress of a job. Listeners may call verbs, but not those that work or wait.
        """
        return self._events.on(kind)

    # Verbs that queue

    def launch(
        self,
        policy: Policy | int | str,
        clients: Iterable[Client | int | str] | None = None,
        extra_vars: Mapping[str, Any] | None = None,
    ) -> list[Job]:
        """Queue a backup for each enabled client of a policy (or for some); gives the backup jobs.

        Preparations that are needed go before, the controller's listing of the vault after. A client whose
        backup of this policy has not ended gives that job. `extra_vars` go over the policy's for this launch.

        Raises `Disabled` with nothing queued, `Invalid`, `NotFound`.
        """
        return launching.of_kind(self._launch(policy, clients, extra_vars), JobKind.BACKUP)

    def prepare(self, what: Client | Repository, *, update: bool = False) -> list[Job]:
        """Queue the preparation of a client, or of every vault of a repository; gives those jobs.

        `update` brings Borg on a client to the newest its packages offer.
        """
        store = self._store
        given.truth("update", update)
        if isinstance(what, Client):
            client = store.clients.get(what.id if what.id is not None else what.hostname)
            return list(self._queued(lambda: launching.prepare_client(store, client, update=update)))
        if isinstance(what, Repository):
            repository = store.repositories.get(what.id if what.id is not None else what.name)
            queued = self._queued(lambda: launching.prepare_repository(store, repository, self._clock()))
            return launching.of_kind(queued, JobKind.PREPARE_REPOSITORY)
        raise Invalid(f"a client or a repository can be prepared, not a {type(what).__name__}")

    def restore(
        self,
        archive: Archive | int | str,
        paths: Iterable[str] = (),
        *,
        to: Client | None = None,
        destination: str | Path | None = None,
        overwrite: bool = False,
        options: Mapping[str, Any] | None = None,
        dry_run: bool = False,
    ) -> Job:
        """Queue a restore, to any client or (None) to this machine; gives the job. Where the vault cannot be opened
        at that place, Borg restores where it can, and the files are carried over.

        `paths` are exact, as they were on the client; each brings an entry and all below it, none bring all.
        The destination is a new folder, `./restore-<job id>` here and `/var/tmp/cyborg-restore-<job id>` on a
        client, unless one is given; one that holds anything is refused unless `overwrite`. A path that
        matches nothing fails the job. `dry_run` lists in the job's output. `options`: `numeric_ids`, `force` (from a
        suspect vault), `special` (keep set-id bits, capabilities and devices in files for another client).

        What a database, a machine or a command was backed up from goes back by its policy type, if it goes to a
        client and no destination is given: into a new database, a new machine, a command; docs/policy-options.md says
        what `options` each type takes. With a destination, or to the controller, it is the file that was archived.

        Raises `Invalid`, `NotFound`.
        """
        planned = restoring.plan(
            self._store,
            archive,
            paths,
            to=to,
            destination=destination,
            overwrite=overwrite,
            options=options,
            dry_run=dry_run,
            roles_path=self._roles_path,
        )
        return self._queued(lambda: self._store.jobs.queue([planned]))[0]

    def catalog(self, repository: Repository | int | str) -> list[Job]:
        """Queue the controller's own look into each vault of a repository; gives those jobs.

        What is there becomes confirmed; if anything of ours is missing or was replaced, the job fails with
        `archives_vanished` and the vault is suspect.
        """
        found = self._store.repositories.get(given.key(repository, Repository))
        return list(self._queued(lambda: launching.catalog(self._store, found)))

    def relaunch(self, job: Job | int) -> list[Job]:
        """Queue once more what an ended job did; gives the new job. The old one stays as it ended.

        Raises `Invalid` for a job that has not ended.
        """
        old = self._store.jobs.get(given.key(job, Job))
        if not old.finished:
            raise Invalid(f"job {old.id} has not ended yet ({old.status}); cancel it first, or wait for it")
        if old.kind is JobKind.BACKUP and old.policy is not None and old.client is not None:
            again = self._launch(old.policy, [old.client], old.extra_vars, launched_by="relaunch")
            return launching.of_kind(again, JobKind.BACKUP)
        return launching.of_kind(self._queued(lambda: launching.relaunch(self._store, old)), old.kind)

    # Verbs that change

    def cancel(self, job: Job | int) -> Job:
        """Cancel a job. One at work ends within seconds, with its Borg, if an engine is at work on it.

        Raises `InvalidTransition` for one that has ended.
        """
        number = self._store.jobs.get(given.key(job, Job)).id or 0
        with self._engine.committing() as events:
            events.extend(told(self._store.jobs.cancel(number)))
        self._engine.cancel(number)
        self._engine.tell()
        return self._store.jobs.get(number)

    def set_ready(self, what: Client | Repository | Vault, ready: bool = True) -> Client | Repository | Vault:
        """Say by hand that something is ready or not.

        For a vault, True also ends its being suspect, and accepts as lost what the last listing did not find
        (archives with `missing_at`): later listings go on warning of it, but make the vault suspect for
        further losses only. So bring back first what can be brought back, and see that `catalog` succeeds.
        """
        given.truth("ready", ready)
        if isinstance(what, Vault):
            changes: dict[str, Any] = {"ready": ready, **({"suspect": ""} if ready else {})}
            return self._store.vaults.observe(given.key(what, Vault), **changes)
        return self._observe(what, ready=ready)

    def trust(self, what: Client | Repository, fingerprint: str | None = None) -> Client | Repository:
        """Forget the host key pinned for a client or repository, or pin another one.

        `fingerprint` is "SHA256:…", as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints it on the host: the
        next connection takes the key that has it, from the user's known_hosts or the network, and no other. Or
        it is the new key itself, "ssh-ed25519 AAAA…". Without one, the next connection takes the key from the
        user's known_hosts, or from the network if the setting `first_contact` is "accept".
        """
        return self._observe(what, host_key=given.host_key(fingerprint))

    def invite(self, what: Client | Repository) -> Invitation:
        """A one-time token with which a preparation run by hand may say that the object is ready."""
        given.only(what, Client, Repository)
        return invitations.invite(self._store, what, self._clock())

    def confirm(self, token: Secret | str) -> Client | Repository:
        """Take a token back: its object is ready. Raises `Invalid` for one that is used, late or unknown."""
        return invitations.confirm(self._store, token, self._clock())

    def recovery_kit(self, path: str | Path, passphrase: Secret | str | None = None) -> Path:
        """Write all that is needed to restore without this library and its database: addresses, ids,
        passphrases and keys of all vaults, and the commands.

        With a passphrase the file is encrypted, and `openssl` opens it (its first line is in
        docs/recovery.md); without one it is plain text. It is 0600 and replaces an older one as a whole.
        **Keep it elsewhere**: whoever loses this machine and has no kit has lost the backups.
        """
        return kit.write(self._store, Path(path), passphrase, self._clock())

    def rotate_key(self, key: str | Sequence[str] | Path | None = None) -> Path | None:
        """Seal everything in the database anew with another key; gives the file that holds it, if there is one.

        None makes a new key, which goes where the old one was read from: into that key file, or into a new default
        file of an SQLite database; so does a key given as text. A `Path` is a file to open the database with from
        then on. At every instant a key on the disk opens the database; the old one is kept in a file beside the
        new one, for copies of the database from before. Other processes that have it open raise `WrongKey`.

        Raises `InUse` while another engine has jobs at work, `MissingKey` where a new key would be in no file,
        `Invalid`, and `StoreError`; then nothing was changed.
        """
        return self._store.rotate(key, owner=self._engine.owner)

    # Working

    def tick(self, now: datetime | None = None) -> list[Job]:
        """Queue what is due by now; gives the new backup jobs. A host with its own scheduler calls this."""
        at = as_utc(now) or self._clock()
        new: list[Job] = []
        for policy in self._timetable.waiting(at):
            new += self._queued(partial(self._timetable.launch, policy, at)).new
        return launching.of_kind(new, JobKind.BACKUP)

    def work(self) -> None:
        """Do the queued work in this process, until nothing is left to do.

        Jobs that another engine has at work are waited for, and taken over if that one is gone.
        """
        with self._engine.verb("work"):
            told = self._kit_is_fresh()
            self._engine.work(lambda: None if self._engine.busy or not self._store.jobs.idle() else ())
            self._kit_is_fresh(told)

    def serve(self) -> None:
        """Queue what is due and do it, until `stop` is called (from a listener, a thread or a signal handler)."""
        with self._engine.verb("serve"):
            self._kit_is_fresh()
            self._engine.work(lambda: None, each_poll=self._each_poll)

    def stop(self) -> None:
        """Let `serve`, `work`, `run` and `finish` return after what is at work has ended; the rest stays queued.

        Where none of them is going on, the next one returns at once.
        """
        self._engine.stop()

    def run(
        self,
        policy: Policy | int | str,
        clients: Iterable[Client | int | str] | None = None,
        extra_vars: Mapping[str, Any] | None = None,
        timeout: float | None = None,
    ) -> list[Job]:
        """Launch a policy, work until everything queued with it has ended, and give the ended backup jobs.

        A failed job does not raise: look at `job.status` and `job.error`. Raises `TimedOut` after `timeout`
        seconds; the jobs go on with the next engine.
        """
        with self._engine.verb("run"):
            jobs = self._launch(policy, clients, extra_vars)
            return launching.of_kind(self.finish(jobs, timeout=timeout), JobKind.BACKUP)

    def finish(self, jobs: Iterable[Job | int], timeout: float | None = None) -> list[Job]:
        """Work some jobs, and what they wait for, until they have ended; gives them as they ended.

        Jobs that another engine has at work are watched, and taken over if that one is gone. Raises `TimedOut`.
        """
        with self._engine.verb("finish"):
            told = self._kit_is_fresh()
            wanted = given.keys(jobs)
            left = launching.all_of(self._store, wanted)

            def still() -> set[int]:
                nonlocal left
                left = self._store.jobs.left(left)
                return left

            self._engine.work(still, timeout=timeout)
            self._kit_is_fresh(told)
            return self._found(wanted)

    def wait(self, jobs: Iterable[Job | int], timeout: float | None = None) -> list[Job]:
        """Watch until some jobs have ended; gives them as they ended. Works nothing itself. Raises `TimedOut`."""
        with self._engine.verb("wait"):
            wanted = given.keys(jobs)
            self._engine.watch(lambda: self._store.jobs.left(wanted), timeout)
            return self._found(wanted)

    def output(self, job: Job | int) -> list[str]:
        """The lines that a job said."""
        return self._store.jobs.output_of(given.key(job, Job))

    def close(self) -> None:
        """Give back connections and folders. Nothing at work is canceled: the next engine takes it over."""
        self._engine.close()
        if self._given is None:
            self._engine.drop_executor()
        self._store.close()

    def __enter__(self) -> Cyborg:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Inside

    def _launch(
        self,
        policy: Policy | int | str,
        clients: Iterable[Client | int | str] | None,
        extra_vars: Mapping[str, Any] | None,
        launched_by: str = "call",
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
            )
        )

    def _queued(self, queue: Callable[[], Queued]) -> Queued:
        """Queue jobs and tell of those that are new."""
        with self._engine.committing() as events:
            jobs = queue()
            events.extend(JobQueued(job=job) for job in jobs.new)
            events.extend(told(jobs.new))  # skipped at once, as what they were to wait for had failed
        self._engine.tell()
        return jobs

    def _observe(self, what: Client | Repository, **fields: Any) -> Client | Repository:
        """Write what the library knows of a client or repository. Ids alone do not say which of both is meant."""
        given.only(what, Client, Repository)
        if isinstance(what, Client):
            return self._store.clients.observe(given.key(what, Client), **fields)
        return self._store.repositories.observe(given.key(what, Repository), **fields)

    def _found(self, wanted: Sequence[int]) -> list[Job]:
        found = {job.id: job for job in self._store.jobs.many(wanted)}
        return [found.get(job) or self._store.jobs.get(job) for job in wanted]

    def _checked(self, policy: Policy) -> Policy:
        """What the store asks before it takes a policy."""
        launching.check_sharing(self._store, policy)
        machines.check_policy(self._store, policy)
        policy = content.check_policy(policy, self._roles_path)
        return evolve(policy, next_run=self._timetable.next_of(policy))

    def _new_executor(self) -> Executor:
        if self._given is not None:
            return self._given
        from .ansible import AnsibleExecutor

        return AnsibleExecutor(roles_path=self._roles_path)

    def _each_poll(self) -> None:
        if self.tick():
            self._kit_is_fresh()  # `serve` may go on for months, and vaults be made meanwhile.

    def _kit_is_fresh(self, told: str = "") -> str:
        """Say so if it is not, unless that was told already; gives why it is not."""
        reason = kit.outdated(self._store)
        if reason and reason != told:
            with self._engine.committing() as events:
                events.append(KitOutdated(reason=reason))
            self._engine.tell()
        return reason
