"""Pure: what a launch amounts to. Which jobs, what each waits for, and what may run beside what.

A job's *keys* say what it holds while it is at work: `vault:7` alone for whoever writes a vault, shared by
its readers; `client:3` for whoever works on a client, alone by default, and always for its preparation.
They are put on the job here, once; a claim only asks whether they are free.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from attrs import evolve, field, frozen

from .model import Archive, Client, Job, JobKind, Policy, Repository, Settings, Variables, Vault

#: The settings that say how many seconds jobs may take, by their kind; a backup's are its policy's `timeout`.
TIMEOUTS = {
    JobKind.PREPARE_CLIENT: "prepare_timeout",
    JobKind.PREPARE_HYPERVISOR: "prepare_timeout",
    JobKind.PREPARE_REPOSITORY: "prepare_timeout",
    JobKind.CATALOG: "catalog_timeout",
    JobKind.PRUNE: "prune_timeout",
    JobKind.COMPACT: "compact_timeout",
    JobKind.CHECK: "check_timeout",
    JobKind.RESTORE: "restore_timeout",
    JobKind.DRILL: "drill_timeout",
    JobKind.MEASURE: "prepare_timeout",
}

#: In the sentence of every error that says that the time of the whole job is over.
THE_JOBS = "within the time that the job has"


def _places(places: Iterable[int]) -> tuple[int, ...]:
    return tuple(places)


@frozen
class Key:
    """Something a job holds while it is at work: alone, or together with others that only read it."""

    name: str
    alone: bool = True


@frozen
class NewJob:
    """A job to be queued. `after` are places in the same sequence of new jobs that it waits for."""

    job: Job
    keys: tuple[Key, ...] = ()
    after: tuple[int, ...] = field(default=(), converter=_places)


@frozen
class Target:
    """One client of a launch, the vault its archive goes to, and what its policy's role is given.

    `hypervisor` is the client on which the backup of a virtual machine is worked, prepared for one `provider`, with
    the folder `scratch` ("" for the usual one).
    """

    client: Client
    vault: Vault
    extra_vars: Variables = field(factory=Variables)
    hypervisor: Client | None = None
    provider: str = ""
    scratch: str = ""

    @property
    def worker(self) -> Client:
        """The client that Borg runs on."""
        return self.hypervisor or self.client


def timeout(kind: JobKind, settings: Settings) -> int:
    """Seconds that a job of a kind may take. Raises `KeyError` for a backup, which has its policy's."""
    seconds: int = getattr(settings, TIMEOUTS[kind])
    return seconds


def limit_of(job: Job) -> str:
    """In words, how long a job might take, and who changes that how: for one whose time was over."""
    if job.kind is JobKind.BACKUP:
        how = f"the policy's: give {job.policy_name} a longer `timeout` (policies.replace)"
    elif job.kind is JobKind.CHECK:
        how = (
            "reckoned from what lies in the vault (5 MB a second), and at most the setting `check_timeout`: look at "
            "the disk and the line of the vault, or make that longer"
        )
    else:
        name = TIMEOUTS[job.kind]
        how = f"the setting `{name}`: cyborg.settings = attrs.evolve(cyborg.settings, {name}=…) makes it longer"
    return f"The limit was {job.timeout} seconds, which is {how}; jobs that are queued already keep theirs"


def vault_key(vault: Vault, *, alone: bool) -> Key:
    """What writers of a vault hold alone, and its readers together."""
    return Key(f"vault:{vault.id}", alone)


def client_keys(client: Client | None, settings: Settings) -> tuple[Key, ...]:
    """What a job that works on a client holds: it alone, or with `hold_client` off together with others."""
    return (Key(f"client:{client.id}", settings.hold_client),) if client is not None else ()


def vault_keys(vault: Vault, client: Client | None, settings: Settings, *, alone: bool) -> tuple[Key, ...]:
    """What a job on a vault holds that is worked where the vault is: in the folder of a client, that too."""
    return (vault_key(vault, alone=alone), *(client_keys(client, settings) if vault.where.local else ()))


def job_at(
    kind: JobKind, repository: Repository, vault: Vault, client: Client | None, settings: Settings, **more: Any
) -> Job:
    """A job that has to do with a vault, and with a client if there is one. `more` are fields, and go over the rest."""
    fields: dict[str, Any] = {
        "client": client.id if client else None,
        "client_name": client.hostname if client else "",
        "repository": repository.id,
        "repository_name": repository.name,
        "vault": vault.id,
        "attempts": 3,
    }
    if "timeout" not in more:
        fields["timeout"] = timeout(kind, settings)
    return Job(kind=kind, **fields | more)


def prepare_client(client: Client, settings: Settings, *, update: bool = False, launched_by: str = "call") -> NewJob:
    """Make a client ready."""
    job = Job(
        kind=JobKind.PREPARE_CLIENT,
        client=client.id,
        client_name=client.hostname,
        options=Variables({"update": update}),
        launched_by=launched_by,
        attempts=3,
        timeout=timeout(JobKind.PREPARE_CLIENT, settings),
    )
    # Always alone on its client, whatever the settings: it changes what others use there.
    return NewJob(job, (Key(f"client:{client.id}"),))


def prepare_hypervisor(
    client: Client, provider: str, settings: Settings, *, scratch: str = "", after: Sequence[int] = (),
    launched_by: str = "call",
) -> NewJob:  # fmt: skip
    """Make a client ready to back up the virtual machines that run on it."""
    options = {"provider": provider, "scratch": scratch} if scratch else {"provider": provider}
    job = Job(
        kind=JobKind.PREPARE_HYPERVISOR,
        client=client.id,
        client_name=client.hostname,
        options=Variables(options),
        launched_by=launched_by,
        attempts=3,
        timeout=timeout(JobKind.PREPARE_HYPERVISOR, settings),
    )
    return NewJob(job, (Key(f"client:{client.id}"),), after)


def prepare_vault(
    repository: Repository, target: Target, settings: Settings, *, after: Sequence[int] = (), launched_by: str = "call"
) -> NewJob:
    """Make a vault, with the client's key and the limits on it."""
    job = job_at(
        JobKind.PREPARE_REPOSITORY, repository, target.vault, target.worker, settings, launched_by=launched_by
    )
    # Always alone on its client, too: what it finds out is added to what the client may reach.
    return NewJob(job, (vault_key(target.vault, alone=True), Key(f"client:{target.worker.id}")), after)


def backup(
    policy: Policy,
    repository: Repository,
    targets: Sequence[Target],
    settings: Settings,
    *,
    launched_by: str,
    due: datetime | None = None,
) -> list[NewJob]:
    """The jobs of a launch, in an order in which each comes after all that it waits for.

    A client or vault that is not ready is prepared first, if the settings allow it; one that is not ready
    and may not be prepared is found when the backup's turn comes. A backup is followed by the controller's
    own listing of the vault, by the settings.
    """
    jobs: list[NewJob] = []
    for target in targets:
        client, vault, worker = target.client, target.vault, target.worker
        needs: list[int] = []
        if settings.prepare and not worker.ready:
            needs.append(_add(jobs, prepare_client(worker, settings, launched_by="dependency")))
        if settings.prepare and target.hypervisor and target.provider not in worker.providers:
            made = prepare_hypervisor(
                worker, target.provider, settings, scratch=target.scratch, after=needs, launched_by="dependency"
            )
            needs = [*needs, _add(jobs, made)]
        # A client that is prepared anew may have a new key, which the vault does not know yet.
        if settings.prepare and not (worker.ready and accessible(worker, vault)):
            made = prepare_vault(repository, target, settings, after=needs, launched_by="dependency")
            needs = [*needs, _add(jobs, made)]
        job = job_at(
            JobKind.BACKUP,
            repository,
            vault,
            client,
            settings,
            policy=policy.id,
            policy_name=policy.name,
            launched_by=launched_by,
            due=due,
            attempts=1 + policy.retries,
            timeout=policy.timeout,
            extra_vars=target.extra_vars,
            hypervisor=target.hypervisor.id if target.hypervisor else None,
        )
        keys = (
            vault_key(vault, alone=True),
            *client_keys(client, settings),
            *client_keys(target.hypervisor, settings),
        )
        place = _add(jobs, NewJob(job, keys, needs))
        if settings.catalog:
            jobs.append(evolve(catalog(repository, vault, client, settings, policy), after=(place,)))
    return jobs


def catalog(
    repository: Repository,
    vault: Vault,
    client: Client | None,
    settings: Settings,
    policy: Policy | None = None,
    *,
    launched_by: str = "dependency",
) -> NewJob:
    """The controller's own look into a vault, which confirms what lies there.

    For a vault in a folder of a client it runs there, and holds the client too.
    """
    job = job_at(
        JobKind.CATALOG,
        repository,
        vault,
        client,
        settings,
        policy=policy.id if policy else None,
        policy_name=policy.name if policy else "",
        launched_by=launched_by,
    )
    return NewJob(job, vault_keys(vault, client, settings, alone=False))


def prune(
    repository: Repository,
    vault: Vault,
    policy: Policy,
    client: Client,
    settings: Settings,
    *,
    after: Sequence[int] = (),
    launched_by: str = "call",
) -> NewJob:
    """Delete what a policy's retention does not keep of a client in a vault, which is held alone."""
    job = job_at(
        JobKind.PRUNE,
        repository,
        vault,
        client,
        settings,
        policy=policy.id,
        policy_name=policy.name,
        launched_by=launched_by,
    )
    return NewJob(job, vault_keys(vault, client, settings, alone=True), after)


def compact(
    repository: Repository,
    vault: Vault,
    client: Client | None,
    settings: Settings,
    *,
    after: Sequence[int] = (),
    launched_by: str = "call",
) -> NewJob:
    """Free the space of what was deleted in a vault, which is held alone."""
    job = job_at(JobKind.COMPACT, repository, vault, client, settings, launched_by=launched_by)
    return NewJob(job, vault_keys(vault, client, settings, alone=True), after)


def measure(
    repository: Repository,
    vault: Vault,
    client: Client | None,
    settings: Settings,
    *,
    launched_by: str = "dependency",
) -> NewJob:
    """The question how much room there is where a vault lies; it holds nothing, and so waits for nobody.

    `client` is the one in whose folder the vault lies; None where it lies on a host of its own.
    """
    job = job_at(JobKind.MEASURE, repository, vault, client, settings, attempts=1, launched_by=launched_by)
    return NewJob(job)


def carried(archive: Archive, repository: Repository, vault: Vault, to: Client | None) -> bool:
    """True if the vault cannot be opened where the files are wanted (None: on the controller), nor be lent.

    Then Borg runs where it can, on the client with the vault in its folder or on the controller, and the files are
    carried from there.
    """
    if to is not None and to.id == archive.client:
        return False
    if vault.where.local:
        return True
    # A key that does not lie in the vault cannot be exchanged there for another one afterwards.
    lendable = repository.managed and vault.key_file is None
    return to is not None and not lendable and vault.id not in to.access


def inherited(policy: Policy, archive: Archive, to: Client | None) -> Variables:
    """What a policy says of how things are reached there, for bringing back what it made. Elsewhere it says nothing."""
    here = to is not None and archive.client in (to.id, None)
    return policy.variables_for(archive.client) if here else Variables()


def lent(archive: Archive, vault: Vault, to: Client) -> bool:
    """True if the files go to a client whose own keys do not open the vault."""
    return to.id != archive.client and vault.id not in to.access


def restore(
    archive: Archive,
    repository: Repository,
    vault: Vault,
    to: Client | None,
    settings: Settings,
    *,
    options: Variables,
    owner: Client | None = None,
) -> NewJob:
    """Bring an archive's files back: to a client, or to the controller where `to` is None.

    `owner` is the client that the archive is of. Where the files are carried from its folder, it is held as well.
    A client that is lent the vault learns the passphrase, which is changed then: nobody else reads meanwhile.
    """
    carries = carried(archive, repository, vault, to)
    source = owner if vault.where.local and carries else None
    lends = not carries and to is not None and lent(archive, vault, to)
    job = job_at(
        JobKind.RESTORE, repository, vault, to, settings,
        policy=archive.policy, archive=archive.id, options=options, attempts=1,
    )  # fmt: skip
    keys = (vault_key(vault, alone=lends), *client_keys(to, settings), *client_keys(source, settings))
    return NewJob(job, keys)


def accessible(client: Client, vault: Vault) -> bool:
    """True if the vault is there and a key of this client opens it."""
    return vault.ready and vault.id in client.access


def _add(jobs: list[NewJob], job: NewJob) -> int:
    """Add a job and give its place."""
    jobs.append(job)
    return len(jobs) - 1
