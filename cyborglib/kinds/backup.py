"""One archive of one client, made by Borg on the client."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ErrorCode
from ..executor import HostRun, Outcome
from ..model import Job
from ..planning import accessible
from ..secret import Secret
from .hosts import become_secrets, borg_variables, client_host, key_path
from .work import Assignment, Refused, Settlement, Work

#: Between the parts of an archive's name: a letter that no name of ours can hold, so that the archives of
#: `web` are never taken for those of `web-01`.
SEPARATOR = "+"


def archive_name(job: Job, work: Work) -> str:
    """Policy, client, the controller's time in UTC, and the job's id and attempt.

    A new attempt has a new name: the one before may have left its archive without anybody hearing of it.
    """
    moment = work.now.strftime("%Y%m%dT%H%M%SZ")
    return SEPARATOR.join((job.policy_name, job.client_name, moment, f"{job.id}.{job.attempt}"))


def assign(work: Work) -> Assignment:
    """A run of the policy type's role on the client."""
    client, repository, vault, policy, job = work.client, work.repository, work.vault, work.policy, work.job
    assert client is not None
    assert repository is not None
    assert vault is not None
    assert policy is not None
    assert work.role is not None
    if vault.suspect:
        raise Refused(
            ErrorCode.VAULT_DAMAGED,
            f"nothing is written to {vault.location} any more: {vault.suspect}. docs/append-only.md says how to look "
            "into it; afterwards set_ready(vault) lets backups go on",
        )
    if not (client.ready and accessible(client, vault)):
        what = client.hostname if not client.ready else f"the vault {vault.location}"
        raise Refused(
            ErrorCode.BAD_ARGUMENTS,
            f"{what} is not ready, and the setting `prepare` is off: call prepare({'client' if not client.ready else 'repository'})",
            skip=True,
        )
    secrets = become_secrets(client)
    if vault.passphrase is not None:
        secrets["borg_passphrase"] = vault.passphrase
    role, variables = work.role(policy.type, job.extra_vars)
    return Assignment(
        playbook="backup",
        run_variables={"cyborg_role": role},
        host_run=HostRun(
            job=job.id or 0,
            attempt=job.attempt,
            fence=work.fence,
            host=client_host(client, f"job-{job.id}", work.settings),
            variables={
                **variables,
                **borg_variables(job, repository, vault, work.settings),
                "borg_archive": archive_name(job, work),
                "borg_timestamp": work.now.strftime("%Y-%m-%dT%H:%M:%S"),
                "borg_compression": policy.compression,
                "borg_upload_ratelimit": client.bandwidth_limit or 0,
                "borg_ssh_key": key_path(client, repository, vault),
                # Its own files cache: others' runs into the same vault would age its entries away.
                "borg_files_cache_suffix": f"policy-{policy.id}",
                "borg_expected_roots": dict(work.previous.roots) if work.previous else {},
            },
            secrets=tuple(secrets),
            timeout=job.timeout,
        ),
        secrets=secrets,
    )


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """Record the archive that Borg said it made. That the controller has seen it too is another job's."""
    if outcome.error is not None:
        return Settlement(error=outcome.error, warnings=outcome.warnings)
    if not outcome.archives:
        raise Refused(ErrorCode.UNPARSABLE, "the backup ended without naming an archive; look at the job's output")
    vault = work.vault
    warnings = list(outcome.warnings)
    if vault is not None and vault.client is None:
        warnings.append("this vault is shared: every client of it can read, and poison or delete, what others stored")
    return Settlement(warnings=tuple(warnings), archives=outcome.archives)
