"""Makes a verb into queued jobs: finds or makes the vaults, plans, and queues all in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from attrs import evolve

from . import machines, planning
from .errors import Disabled, Invalid
from .model import Client, Job, JobKind, Policy, Repository, Variables, Vault
from .planning import NewJob, Target
from .sealing import generate_ssh_key
from .secret import Secret
from .store import Queued, Store


def launch(
    store: Store,
    policy: Policy,
    clients: Iterable[Client] | None,
    *,
    variables: Callable[[Client], Variables],
    launched_by: str,
    now: datetime,
    due: datetime | None = None,
) -> Queued:
    """Queue one backup for each enabled client, with what must go before and after; gives all of them.

    `variables` are the policy's for a client, with those of the launch over them.

    A client whose backup of this policy is unfinished gives that job. Raises `Disabled`, and queues
    nothing, if the policy, its schedule, its repository or all of its clients (or their hypervisors) are disabled.
    """
    with store.transaction():
        repository = store.repositories.get(policy.repository)
        _check_enabled(store, policy, repository)
        wanted = [store.clients.get(client) for client in policy.clients] if clients is None else clients
        members = {client.id: client for client in wanted}.values()
        for client in members:
            if client.id not in policy.clients:
                raise Invalid(
                    f"{client.hostname} is not a client of the policy {policy.name}; add it to the policy first"
                )
        able = [client for client in members if client.enabled]
        # One hypervisor that is switched off keeps its own machines from being backed up, and nobody else's.
        off = {client.id: machines.stopped(store, policy, client) for client in able}
        enabled = [client for client in able if not off[client.id]]
        if not enabled and able:
            raise Disabled(off[able[0].id])
        if not enabled:
            what = "has no clients" if not members else "has no enabled client"
            raise Disabled(
                f"the policy {policy.name} {what}; nothing was queued. Add one, or enable one, and launch again"
            )
        targets = [target_of(store, policy, repository, client, variables(client), now) for client in enabled]
        planned = planning.backup(policy, repository, targets, store.settings, launched_by=launched_by, due=due)
        return store.jobs.queue(planned)


def target_of(
    store: Store, policy: Policy, repository: Repository, client: Client, extra_vars: Variables, now: datetime
) -> Target:
    """A client of a policy with its vault and, if it is backed up as a virtual machine, its hypervisor."""
    vault = vault_of(store, repository, client, now)
    hypervisor = machines.hypervisor_of(store, policy, client)
    if hypervisor is None:
        return Target(client, vault, extra_vars)
    return Target(client, vault, extra_vars, hypervisor, machines.provider(extra_vars), machines.scratch(extra_vars))


def prepare_client(store: Store, client: Client, *, update: bool, launched_by: str = "call") -> Queued:
    """Queue the preparation of a client; and of what it needs as the hypervisor of others."""
    if not client.enabled:
        raise Disabled(f"{client.hostname} is disabled; enable it first")
    settings = store.settings
    planned = [planning.prepare_client(client, settings, update=update, launched_by=launched_by)]
    for provider, scratch in machines.providers_on(store, client):
        planned.append(
            planning.prepare_hypervisor(client, provider, settings, scratch=scratch, after=[0], launched_by=launched_by)
        )
    return store.jobs.queue(planned)


def prepare_repository(store: Store, repository: Repository, now: datetime) -> Queued:
    """Queue the preparation of each vault of a repository: those that are there, and one a client of its policies."""
    with store.transaction():
        users = store.policies.find(repository=repository.id)
        members = [(policy, store.clients.get(client)) for policy in users for client in policy.clients]
        targets = [
            target_of(store, policy, repository, client, policy.variables_for(client.id), now)
            for policy, client in members
            if client.enabled and not machines.stopped(store, policy, client)
        ]
        if not targets:
            raise Invalid(
                f"no policy brings a client to the repository {repository.name} yet, so there is no vault to prepare: "
                "add a policy with clients first"
            )
        planned: list[NewJob] = []
        # One for each vault and host that writes to it.
        for target in {(target.vault.id, target.worker.id): target for target in targets}.values():
            _prepare_vault(store, planned, repository, target, launched_by="call")
        return store.jobs.queue(planned)


def catalog(store: Store, repository: Repository) -> Queued:
    """Queue the controller's look into each vault of a repository."""
    return look(store, [vault for vault in store.vaults.find(repository=repository.id) if vault.ready])


def look(store: Store, vaults: Iterable[Vault]) -> Queued:
    """Queue the controller's look into some vaults."""
    with store.transaction():
        planned = [
            _catalog(store, store.repositories.get(vault.repository), vault, launched_by="call") for vault in vaults
        ]
        return store.jobs.queue(planned)


def relaunch(store: Store, job: Job) -> Queued:
    """Queue what an ended job did once more, as things are now; not for backups, which `launch` does."""
    with store.transaction():
        client = store.clients.get(job.client) if job.client is not None else None
        if job.kind is JobKind.PREPARE_CLIENT and client is not None:
            return prepare_client(store, client, update=bool(job.options.get("update")), launched_by="relaunch")
        if job.kind is JobKind.PREPARE_HYPERVISOR and client is not None:
            provider, scratch = str(job.options.get("provider")), str(job.options.get("scratch") or "")
            again = planning.prepare_hypervisor(
                client, provider, store.settings, scratch=scratch, launched_by="relaunch"
            )
            return store.jobs.queue([again])
        if job.repository is None or job.vault is None:
            raise Invalid(f"job {job.id} ({job.title}) cannot be launched again")
        repository, vault = store.repositories.get(job.repository), store.vaults.get(job.vault)
        planned: list[NewJob] = []
        if job.kind is JobKind.PREPARE_REPOSITORY and client is not None:
            _prepare_vault(store, planned, repository, Target(client, vault), launched_by="relaunch")
        elif job.kind is JobKind.CATALOG:
            planned.append(_catalog(store, repository, vault, launched_by="relaunch", job=job))
        elif job.kind is JobKind.MEASURE:
            planned.append(planning.measure(repository, vault, client, store.settings, launched_by="relaunch"))
        elif job.kind is JobKind.PRUNE and client is not None and job.policy is not None:
            policy = store.policies.get(job.policy)
            planned.append(
                planning.prune(repository, vault, policy, client, store.settings, launched_by="relaunch")
            )
        elif job.kind is JobKind.COMPACT:
            planned.append(planning.compact(repository, vault, client, store.settings, launched_by="relaunch"))
        elif job.kind is JobKind.RESTORE and job.archive is not None:
            archive = store.archives.get(job.archive)
            owner = store.clients.get(archive.client) if archive.client is not None else None
            again = planning.restore(
                archive, repository, vault, client, store.settings, options=job.options, owner=owner
            )
            planned.append(evolve(again, job=evolve(again.job, launched_by="relaunch")))
        else:
            raise Invalid(f"job {job.id} ({job.title}) cannot be launched again")
        return store.jobs.queue(planned)


def _prepare_vault(
    store: Store, planned: list[NewJob], repository: Repository, target: Target, *, launched_by: str
) -> None:
    """Plan the preparation of a vault, after that of its client if that is not ready."""
    if not repository.enabled:
        raise Disabled(f"the repository {repository.name} is disabled; enable it first")
    settings = store.settings
    needs: list[int] = []
    if not target.worker.ready:
        planned.append(planning.prepare_client(target.worker, settings, launched_by="dependency"))
        needs.append(len(planned) - 1)
    planned.append(planning.prepare_vault(repository, target, settings, after=needs, launched_by=launched_by))


def _catalog(store: Store, repository: Repository, vault: Vault, *, launched_by: str, job: Job | None = None) -> NewJob:
    owner = job.client if job is not None else vault.client
    client = store.clients.get(owner) if owner is not None else None
    policy = store.policies.get(job.policy) if job is not None and job.policy is not None else None
    return planning.catalog(repository, vault, client, store.settings, policy, launched_by=launched_by)


def vault_of(store: Store, repository: Repository, client: Client, now: datetime) -> Vault:
    """The vault of a client in a repository; made in the store, not yet on disk, where there is none."""
    location = repository.location
    owner = client.id if location.per_client else None
    for vault in store.vaults.find(repository=repository.id, client=owner):
        return vault
    private, _public = generate_ssh_key("cyborg controller")
    value = Vault(
        repository=repository.id,
        client=owner,
        # Name and id: a client that is removed and one added later by the same name never share a vault.
        location=str(location.expand(f"{client.hostname}-{client.id}")),
        passphrase=repository.passphrase or Secret.generate(),
        controller_key=private if repository.managed and not location.local else None,
        created_at=now,
    )
    return store.vaults.add(value)


def check_sharing(store: Store, policy: Policy) -> None:
    """Refuse a second client in one vault, unless the repository says that it is meant."""
    repository = store.repositories.get(policy.repository)
    if repository.location.per_client or repository.shared:
        return
    others = [p.clients for p in store.policies.find(repository=repository.id) if p.id != policy.id]
    members = set(policy.clients).union(*others)
    if len(members) > 1:
        raise Invalid(
            f"the path of the repository {repository.name} ({repository.path}) has no {{client}}, so all of its "
            "clients would share one vault, and each could read, and poison or delete, what the others stored. Put "
            "{client} into the path, or say shared=True if that is meant"
        )


def _check_enabled(store: Store, policy: Policy, repository: Repository) -> None:
    off = ""
    if not policy.enabled:
        off = f"the policy {policy.name}"
    elif not repository.enabled:
        off = f"its repository {repository.name}"
    elif policy.schedule is not None and not (schedule := store.schedules.get(policy.schedule)).enabled:
        off = f"its schedule {schedule.name}"
    if off:
        raise Disabled(f"{policy.name} cannot be launched: {off} is disabled. Enable it first; nothing was queued")


def all_of(store: Store, jobs: Iterable[int]) -> set[int]:
    """The ids of some jobs, of what they wait for, and of what follows the backups among them."""
    wanted = list(jobs)
    # What else waits for a shared preparation is somebody else's.
    backups = of_kind(store.jobs.many(wanted), JobKind.BACKUP)
    followers = store.jobs.with_followers([job.id for job in backups if job.id is not None])
    return store.jobs.with_needs({*wanted, *followers})


def of_kind(jobs: Iterable[Job], kind: JobKind) -> list[Job]:
    """Those of several jobs that are of one kind."""
    return [job for job in jobs if job.kind is kind]
