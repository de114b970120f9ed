"""What an executor is given, and what it tells back while it works.

A `Run` is one Ansible run over several hosts, each working one job. It and the `Outcome` are plain
JSON-like values, so that a run can be handed to another process; secrets in them are *names*, asked for
through `Control.secret` when they are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from attrs import field, frozen

from .errors import JobError
from .model import Item, Job, Progress, Stats
from .secret import Secret


@frozen(kw_only=True)
class Host:
    """How one machine is reached. `name` is what the run calls it; never a text that a user typed.

    None leaves the matter to the ssh configuration of the account that runs the library. `become` None
    means: become root where the login is not. `variables` are trusted Ansible variables.
    """

    name: str
    local: bool = False
    #: The account of this machine, with fewer rights, that root works as here; "" for the one that runs the library.
    account: str = ""
    address: str = ""
    port: int | None = None
    user: str | None = None
    become: bool | None = None
    become_method: str = "sudo"
    become_user: str = "root"
    #: The name of the secret that is the become password, or "".
    become_password: str = ""
    interpreter: str = ""
    #: The pinned host key ("ssh-ed25519 AAAA…"); "" if none is known yet.
    host_key: str = ""
    #: With none pinned: the fingerprint ("SHA256:…") without which no key is taken, whatever says so; "" for any.
    fingerprint: str = ""
    #: What the key belongs to, as `Control.pinned` is told: "client-3", "repository-1".
    key_of: str = ""
    #: True: a key that nobody has pinned yet may be taken from the first connection.
    accept_new: bool = False
    #: The hostname to look up in the user's known_hosts, and to show in messages.
    title: str = ""
    variables: tuple[tuple[str, str], ...] = ()


@frozen(kw_only=True)
class HostRun:
    """One job of a run: on which host, with which variables.

    `variables` are data: whatever text is in them reaches the roles as it is and is never a template.
    `others` are hosts that tasks of this job are delegated to (a repository's host).
    """

    job: int
    attempt: int = 1
    #: Grows with every engine that takes the job over; an older one's writes are refused everywhere.
    fence: int = 0
    host: Host
    variables: Mapping[str, Any] = field(factory=dict)
    #: The secrets it may ask for, by name.
    secrets: tuple[str, ...] = ()
    #: Those of them that are also variables of the role, and may be asked for each time that one is used.
    secret_variables: tuple[str, ...] = ()
    others: tuple[Host, ...] = ()
    #: Seconds.
    timeout: int = 24 * 3600
    #: True: an engine that is gone had started it. Ask the agent how it stands and follow it; never start it.
    recover: bool = False


@frozen(kw_only=True)
class Run:
    """Jobs that one playbook works together. `playbook` is its name in the collection ("backup")."""

    id: str
    playbook: str
    #: Digits that no other store has: hosts know a job by them, its id and its attempt.
    store: str = "0"
    hosts: tuple[HostRun, ...]
    #: Variables of the whole run, all of them the library's own: they are templates' and roles' names.
    variables: Mapping[str, Any] = field(factory=dict)
    connect_timeout: int = 10


@frozen(kw_only=True)
class ArchiveMade:
    """What Borg said of an archive it made."""

    name: str
    borg_id: str
    stats: Stats
    roots: tuple[tuple[str, str], ...] = ()
    #: What the archive is of, where one backup makes several: a database's name.
    part: str = ""


@frozen(kw_only=True)
class Outcome:
    """How a job of a run ended: `error` None means that Borg's own answer met every condition.

    A backup that failed may have made some of its archives: those that are named are whole.

    `facts` is what the job found out (a preparation's addresses and versions), typed and bounded by the
    one who records it: it comes from a host, so it is hostile text until it was checked.
    """

    error: JobError | None = None
    warnings: tuple[str, ...] = ()
    archives: tuple[ArchiveMade, ...] = ()
    stats: Stats | None = None
    facts: Mapping[str, Any] = field(factory=dict)
    #: With an error: the job's host itself said that nothing of it is at work there, and nothing of it can begin any
    #: more. To be said of every error of a run with `recover`, and of each that is `lost`, or the host is asked again.
    gone: bool = False

    @property
    def successful(self) -> bool:
        """True without an error."""
        return self.error is None


class Contents(Protocol):
    """Takes in what is in one archive, piece by piece. Used by one thread at a time; each call may take a while.

    Raises `InvalidTransition` once the job, or this archive, is another engine's; `StoreError` while the database is
    away. Nobody sees anything of it before `finish` has returned.
    """

    def take(self, items: Sequence[Item]) -> None:
        """Some entries; those of a folder after or before it, in any order."""

    def finish(self) -> None:
        """Those were all, and the listing came to a good end."""

    def abandon(self) -> None:
        """They were not: nothing of them stays."""

    @property
    def entries(self) -> int:
        """How many were taken in."""
        ...

    @property
    def left_out(self) -> int:
        """How many could not be: Borg writes none like them."""
        ...


class Control(Protocol):
    """What an executor tells the engine, and asks it. Every method may be called from any thread.

    What is said of a job that has ended, or that another engine has taken over, is not taken in any more.
    Raises `NotFound` for a job that is not of the run.
    """

    def job(self, job: int) -> Job:
        """The job itself, as it stands."""
        ...

    def started(self, job: int) -> None:
        """Work on the job's host has begun."""

    def progress(self, job: int, progress: Progress) -> None:
        """How far the job is."""

    def output(self, job: int, line: str) -> None:
        """A line for people."""

    def ended(self, job: int, outcome: Outcome) -> bool:
        """The job ended. True once that is committed.

        False if it was settled before, or the database is away: then the end is kept and committed later, but
        whoever holds the result must not forget it yet.
        """
        ...

    def canceled(self, job: int) -> bool:
        """True once somebody asked for the job to be canceled."""
        ...

    def secret(self, job: int, name: str) -> Secret:
        """A secret that the job's `HostRun.secrets` names. Raises `NotFound` for any other."""
        ...

    def keep(self, job: int, name: str, secret: Secret) -> None:
        """A secret that the job brought home (a vault's exported key), to be sealed at once."""

    def contents(self, job: int, archive: int) -> Contents | None:
        """What takes in the contents of an archive, one of those that the job was given to read.

        None if they are not wanted (any more). Raises `NotFound` for an archive that is not the job's to read.
        """
        ...

    def deciding(self, job: int) -> bool:
        """The job is about to do what cannot be undone: it deletes what its `HostRun` told it to, or compacts.

        True once it is committed that it does so. False if it must not, as it has ended or is another engine's.
        """
        ...

    def pinned(self, job: int, key_of: str, host_key: str, accepted: bool) -> bool:
        """A first host key was found for a host: in the user's known_hosts, or (`accepted`) on the net.

        True if it was recorded; False if another key was pinned meanwhile, and then the job must not go on.
        """
        ...


class Executor(Protocol):
    """Works runs."""

    def execute(self, run: Run, control: Control) -> None:
        """Work all jobs of a run and return when each has ended. Called in a thread of its own.

        Tells `control` of each job as it goes. A job that was not told as ended when this returns or raises is
        lost: a backup or restore that had begun is asked for, in a run with `recover`; others fail. So `started` is
        to be told of whatever may have begun.
        """

    def close(self) -> None:
        """End the runs at work, leaving what they began on hosts as it is; give back connections and folders."""
