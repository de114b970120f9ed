"""What a job works with, and what its end is recorded as. All pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from attrs import field, frozen

from ..errors import CyborgError, ErrorCode, JobError, NotFound
from ..events import Event
from ..executor import ArchiveMade, Host, HostRun, Outcome
from ..model import Archive, Client, Entry, Job, Policy, Proof, Repository, Settings, Vault
from ..planning import accessible
from ..secret import Secret


def _no_jobs(_ids: Collection[int]) -> Sequence[Job]:
    return ()


def _no_catalogue(_archive: int, _path: str) -> Entry | None:
    raise NotFound("there is no catalogue")


class Role(Protocol):
    """Gives a policy type's role, its variables, and those of them that are secrets."""

    def __call__(
        self,
        type: str,
        variables: Mapping[str, Any],
        policy_vars: Mapping[str, Any] | None = None,
        /,
        *,
        drill: bool = False,
    ) -> tuple[str, Mapping[str, Any], Mapping[str, Secret]]:
        """Of a policy's `extra_vars`; or, with those as `policy_vars`, of the options of a restore; or of a drill."""
        ...


@frozen(kw_only=True)
class Work:
    """A claimed job with everything it refers to, as it stood when it was claimed."""

    job: Job
    fence: int
    settings: Settings
    now: datetime
    client: Client | None = None
    repository: Repository | None = None
    vault: Vault | None = None
    policy: Policy | None = None
    #: The archive to restore, and the client that it is of.
    archive: Archive | None = None
    owner: Client | None = None
    #: The last archive of the same policy and client.
    previous: Archive | None = None
    #: Bytes of all that the backup before made.
    previous_bytes: int = 0
    #: All archives that are recorded in the vault, foreign ones too.
    recorded: tuple[Archive, ...] = ()
    #: Jobs that wrote the vault with a client's key since its baseline.
    writers: tuple[Job, ...] = ()
    #: Whose days a retention means: that of the policy's schedule.
    timezone: str = "UTC"
    #: Why the controller's clock may be wrong; "" if there is no reason to think so.
    clock: str = ""
    #: The archives of the same policy and client that the sanity of a new one is judged by, the newest first.
    history: tuple[Archive, ...] = ()
    #: The Borg ids of all other vaults, for one that is to be adopted.
    others: tuple[str, ...] = ()
    #: Gives those jobs of some ids that there are, as they stand.
    jobs: Callable[[Collection[int]], Sequence[Job]] = _no_jobs
    #: What the catalogue has at a path of an archive; None if nothing lies there. Raises `NotFound` for an archive that
    #: it does not have.
    cataloged: Callable[[int, str], Entry | None] = _no_catalogue
    #: Those of them whose contents are not in the catalogue, or are to be read anew: in this order.
    uncataloged: tuple[Archive, ...] = ()
    #: Where the controller keeps Borg's caches, a folder for each vault.
    state_dir: str = ""
    #: See `Role`.
    role: Role | None = None
    #: The client it is worked on, where that is the hypervisor of a virtual machine.
    hypervisor: Client | None = None
    #: An engine that is gone may have begun it: it is only asked for, so nothing is refused any more.
    recover: bool = False


class Refused(CyborgError):
    """A job cannot be handed over as things are; the engine fails or skips it with this error."""

    def __init__(
        self, code: ErrorCode, message: str, *, skip: bool = False, events: tuple[Event, ...] = ()
    ) -> None:
        super().__init__(message)
        self.error = JobError(code, message)
        self.skip = skip
        self.events = events


def refuse_suspect(vault: Vault) -> None:
    """Raise `Refused` for a vault in which something is wrong: nothing is written to it."""
    if vault.suspect:
        raise Refused(
            ErrorCode.VAULT_DAMAGED,
            f"{vault.location} is suspect: {vault.suspect}. When that is settled, set_ready(vault) lets backups go on",
        )


def refuse_unready(work: Work, client: Client | None = None) -> None:
    """Raise `Refused` for a client (the job's) that is not prepared, or whose key the vault does not know yet."""
    client, vault = client or work.client, work.vault
    assert client is not None
    assert vault is not None
    if not client.ready:
        what, how = client.hostname, "prepare(client)"
    elif not accessible(client, vault):
        what, how = f"the vault {vault.location}, for {client.hostname},", "prepare(repository)"
    else:
        return
    why = "" if work.settings.prepare else ", and the setting `prepare` is off"
    raise Refused(
        ErrorCode.BAD_ARGUMENTS, f"{what} is not ready{why}: call {how} first, and launch this again", skip=True
    )


@frozen(kw_only=True)
class Assignment:
    """What the executor gets for a job, and the secrets it may ask for."""

    playbook: str
    host_run: HostRun
    secrets: Mapping[str, Secret] = field(factory=dict, repr=False)
    #: Variables of the whole run; jobs with different ones are not worked in one run.
    run_variables: Mapping[str, str] = field(factory=dict)
    #: The vault's passphrase is told to a host that is not to keep it: first the next one has to be in the store.
    lends: bool = False
    #: Ids of the archives that it deletes: that is in the store before it is sent (`Control.deciding`).
    deletes: tuple[int, ...] = ()


def on_host(
    work: Work,
    playbook: str,
    host: Host,
    *,
    variables: Mapping[str, Any],
    secrets: Mapping[str, Secret],
    hidden: Mapping[str, Secret] | None = None,
    others: tuple[Host, ...] = (),
    run_variables: Mapping[str, str] | None = None,
    lends: bool = False,
    deletes: tuple[int, ...] = (),
) -> Assignment:
    """The job as it stands, worked by a playbook on a host. `hidden`: secrets that are variables of the role too."""
    job, hidden = work.job, hidden or {}
    return Assignment(
        playbook=playbook,
        host_run=HostRun(
            job=job.id or 0,
            attempt=job.attempt,
            fence=work.fence,
            host=host,
            variables=variables,
            secrets=(*secrets, *hidden),
            secret_variables=tuple(hidden),
            others=others,
            timeout=job.timeout,
        ),
        secrets={**secrets, **hidden},
        run_variables=run_variables or {},
        lends=lends,
        deletes=deletes,
    )


@frozen(kw_only=True)
class Room:
    """What a host said of the file system that a vault lies on, in bytes. `free` is what accounts may still take."""

    filesystem: str
    free: int
    total: int

    def reserve(self, settings: Settings) -> int:
        """What clients must leave there, for prune and compact."""
        return min(settings.reserve, self.total // 20)

    def enough(self, settings: Settings) -> bool:
        """True if there is so much beyond the reserve that jobs which wait for room go on: a hundredth of all."""
        return self.free >= self.reserve(settings) + self.total // 100

    def low(self, settings: Settings) -> bool:
        """True if a person should hear of it."""
        return self.free * 100 < self.total * settings.min_free


@frozen(kw_only=True)
class Settlement:
    """What is written when a job ended: its own end, and what it found out about others."""

    error: JobError | None = None
    warnings: tuple[str, ...] = ()
    archives: tuple[ArchiveMade, ...] = ()
    client: Mapping[str, Any] = field(factory=dict)
    repository: Mapping[str, Any] = field(factory=dict)
    vault: Mapping[str, Any] = field(factory=dict)
    #: Ids of archives that the controller has now seen in the vault.
    confirmed: tuple[int, ...] = ()
    #: Ids of archives that it now looked for and did not find, and of those that were missing and are there again.
    missing: tuple[int, ...] = ()
    found: tuple[int, ...] = ()
    #: How much room there is where the job's vault lies, where that was found out.
    room: Room | None = None
    #: Ids of those of them that were to go: nobody looks for what was in them any more.
    gone: tuple[int, ...] = ()
    #: A sentence for each archive made that may not be what it should be, by its name.
    doubtful: Mapping[str, str] = field(factory=dict)
    #: Archives of others that it now saw for the first time.
    foreign: tuple[Archive, ...] = ()
    #: What was proved of the archive that a drill restored; or why it is doubtful, "" if it is not any more.
    proof: Proof | None = None
    doubt: str | None = None
    #: What to tell besides the job's own end.
    events: tuple[Event, ...] = ()


class Kind(Protocol):
    """What one kind of job is."""

    def assign(self, work: Work) -> Assignment:
        """What the executor gets. Raises `Refused`."""
        ...

    def settle(self, work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
        """What its end is recorded as. `outcome.facts` comes from a host: hostile text."""
        ...
