"""One archive of one client, made by Borg on the client."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import evolve, field, frozen

from .. import sanity
from ..errors import ErrorCode, JobError
from ..events import ArchiveDoubtful
from ..executor import ArchiveMade, Outcome
from ..model import Client
from ..model.fields import as_utc
from ..parts import encoded
from ..secret import Secret
from .hosts import become_secrets, borg_variables, client_host, key_path, unpinned
from .rekeying import passphrases
from .work import Assignment, Refused, Settlement, Work, on_host, refuse_suspect, refuse_unready

#: Between the parts of an archive's name: a letter that no name of ours can hold, so that the archives of
#: `web` are never taken for those of `web-01`.
SEPARATOR = "+"
_MOMENT = "%Y%m%dT%H%M%SZ"


@frozen(kw_only=True)
class ArchiveName:
    """The parts of an archive's name: whose it is, the controller's time in UTC, and what made it.

    A new attempt has a new name: the one before may have left its archive without anybody hearing of it.
    """

    policy: str
    client: str
    moment: datetime = field(converter=as_utc)
    job: int
    attempt: int
    #: As `parts.encoded` has it; "" where a backup makes one archive only.
    part: str = ""

    @classmethod
    def parse(cls, name: str) -> ArchiveName | None:
        """The parts of a name; None for one that we did not give."""
        try:
            policy, client, moment, work, *rest = name.split(SEPARATOR)
            [part] = rest or [""]
            job, attempt = work.split(".")
            found = cls(
                policy=policy,
                client=client,
                moment=datetime.strptime(moment, _MOMENT).replace(tzinfo=UTC),
                job=int(job),
                attempt=int(attempt),
                part=part,
            )
        except ValueError:
            return None
        return found if str(found) == name else None

    def __str__(self) -> str:
        moment = self.moment.strftime(_MOMENT)
        parts = (self.policy, self.client, moment, f"{self.job}.{self.attempt}", self.part)
        return SEPARATOR.join(parts if self.part else parts[:-1])


def archive_name(work: Work) -> ArchiveName:
    """What the archive of a job is called: the same for an engine that takes it over, so from when it was queued."""
    job = work.job
    moment = job.created_at or work.now
    return ArchiveName(
        policy=job.policy_name, client=job.client_name, moment=moment, job=job.id or 0, attempt=job.attempt
    )


def assign(work: Work) -> Assignment:
    """A run of the policy type's role on the client, or on the hypervisor of a virtual machine."""
    client, repository, vault, policy, job = work.client, work.repository, work.vault, work.policy, work.job
    assert client is not None
    assert repository is not None
    assert vault is not None
    assert policy is not None
    assert work.role is not None
    host = worker(work)
    if not work.recover:
        refuse_suspect(vault)
        refuse_unready(work, host)
    role, variables, hidden = work.role(policy.type, job.extra_vars)
    hooks = {name: Secret(text) for name, text in (("prehook", policy.prehook), ("posthook", policy.posthook)) if text}
    secrets = become_secrets(host) | passphrases(vault) | hooks
    return on_host(
        work,
        "backup",
        client_host(host, f"job-{job.id}", work.settings),
        variables={
            **variables,
            **_of_machine(work),
            **borg_variables(job, repository, vault, work.settings),
            "borg_archive": str(archive_name(work)),
            "borg_timestamp": work.now.strftime("%Y-%m-%dT%H:%M:%S"),
            "borg_compression": policy.compression,
            "borg_upload_ratelimit": host.bandwidth_limit or 0,
            "borg_ssh_key": key_path(host, vault),
            "cyborg_policy": policy.name,
            # Its own files cache: others' runs into the same vault would age its entries away.
            "borg_files_cache_suffix": f"policy-{policy.id}",
            "borg_expected_roots": dict(work.previous.roots) if work.previous else {},
        },
        secrets=secrets,
        hidden=hidden,
        others=unpinned(repository, vault, work.settings),
        run_variables={"cyborg_role": role},
    )


def worker(work: Work) -> Client:
    """The client on which a job is worked."""
    client = work.hypervisor or work.client
    assert client is not None
    return client


def _of_machine(work: Work) -> dict[str, Any]:
    """What the role has to know of a virtual machine."""
    if work.hypervisor is None or work.client is None or work.policy is None:
        return {}
    return {f"policy_{work.policy.type}_name": work.client.machine}


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """Record the archives that Borg said it made. That the controller has seen them too is another job's.

    Of a backup that makes several, one may have failed: that has failed, and the others are recorded.
    """
    if outcome.error is None and not outcome.archives:
        raise Refused(ErrorCode.UNPARSABLE, "the backup ended without naming an archive; look at the job's output")
    names = [archive.name for archive in outcome.archives]
    if len(set(names)) < len(names) or not all(_is_own(archive, work) for archive in outcome.archives):
        raise Refused(
            ErrorCode.HOSTILE_ANSWER,
            "the client said that it made an archive of another name than it was told, so nothing was recorded; look "
            "at that client before you back it up again: it may be broken or broken into",
        )
    found = {made.name: sanity.doubt(made, work.history, work.settings) for made in outcome.archives}
    doubtful = {name: reason for name, reason in found.items() if reason}
    odd = tuple(
        f"{name} may not be what it should be: {reason}. Older archives are kept until release(archive)"
        for name, reason in doubtful.items()
    )
    events = tuple(
        ArchiveDoubtful(job=work.job, archive=name, reason=reason) for name, reason in doubtful.items()
    )
    told = Settlement(warnings=(*outcome.warnings, *odd), archives=outcome.archives, doubtful=doubtful, events=events)
    if outcome.error is not None:
        return evolve(told, error=_explained(outcome.error))
    vault = work.vault
    warnings = list(told.warnings)
    if vault is not None and vault.client is None:
        warnings.append("this vault is shared: every client of it can read, and poison or delete, what others stored")
    if work.repository is not None and _one_for_several(work):
        warnings.append(
            f"the repository {work.repository.name} has one passphrase for the vaults of several clients: whoever "
            "breaks into one of them and gets at the repository's files reads all. Without passphrase= each vault has "
            "its own"
        )
    if vault is not None and vault.where.local:
        warnings.append(
            "this vault is a folder on the client itself: unless another machine's disk is mounted there, who loses "
            "that machine loses data and backup together"
        )
    return evolve(told, warnings=tuple(warnings))


def _one_for_several(work: Work) -> bool:
    """True if the passphrase given for the repository opens this vault and those of other clients."""
    given = work.repository.passphrase if work.repository is not None else None
    if given is None or work.vault is None or work.policy is None:
        return False
    return work.vault.passphrase == given and len(work.policy.clients) > 1


def _explained(error: JobError) -> JobError:
    """An error with what Borg on a client cannot know: which of both, key or passphrase, is not what it was."""
    if error.code is not ErrorCode.WRONG_PASSPHRASE:
        return error
    return evolve(
        error,
        message=f"{error.message} It opened the vault when that was prepared: if nobody gave it another passphrase on "
        "purpose, catalog(repository) finds out whether somebody changed the vault's key.",
    )


def _is_own(archive: ArchiveMade, work: Work) -> bool:
    """True for the name that this attempt was told: all but the moment and the part is known for certain afterwards."""
    found = ArchiveName.parse(archive.name)
    part = encoded(archive.part) if archive.part else ""
    return found is not None and archive.name == str(evolve(archive_name(work), moment=found.moment, part=part))
