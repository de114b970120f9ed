"""Bringing the files of an archive back: to the controller, or to the client they came from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ErrorCode
from ..executor import HostRun, Outcome
from ..secret import Secret
from .catalog import controller_access
from .hosts import become_secrets, borg_variables, client_host, controller_host, key_path
from .work import Assignment, Refused, Settlement, Work, refuse_unready


def destination(job_id: int, given: str | None, *, on_client: bool, here: str) -> str:
    """Where the files go: a new folder that bears the job's id, unless one was given."""
    if given:
        return given
    # The extraction makes it, for its user alone, and refuses one that is there.
    return f"/var/tmp/cyborg-restore-{job_id}" if on_client else f"{here}/restore-{job_id}"  # noqa: S108


def assign(work: Work) -> Assignment:
    """An extraction, by Borg on the client the archive came from, or on the controller."""
    archive, vault, repository, job, client = work.archive, work.vault, work.repository, work.job, work.client
    assert archive is not None
    assert vault is not None
    assert repository is not None
    if vault.suspect and not job.options.get("force"):
        raise Refused(
            ErrorCode.VAULT_DAMAGED,
            f"{vault.location} is suspect: {vault.suspect}. Look into it first, or restore with "
            "options={'force': True} if you know what you do",
        )
    name = f"job-{job.id}"
    secrets: dict[str, Secret]
    if client is not None:
        refuse_unready(work)
        host = client_host(client, name, work.settings)
        variables = borg_variables(job, repository, vault, work.settings)
        variables["borg_ssh_key"] = key_path(client, repository, vault)
        secrets = become_secrets(client)
        if vault.passphrase is not None:
            secrets["borg_passphrase"] = vault.passphrase
    else:
        host = controller_host(name)
        variables, secrets = controller_access(work)
    options: dict[str, Any] = job.options.plain()
    variables |= {
        "borg_archive": archive.name,
        "borg_archive_id": archive.borg_id,
        "borg_paths": options.get("paths", []),
        "borg_destination": destination(
            job.id or 0, options.get("destination"), on_client=client is not None, here=str(options.get("here", "."))
        ),
        "borg_overwrite": bool(options.get("overwrite", False)),
        "borg_dry_run": bool(options.get("dry_run", False)),
        "borg_numeric_ids": bool(options.get("numeric_ids", False)),
    }
    return Assignment(
        playbook="restore",
        host_run=HostRun(
            job=job.id or 0,
            attempt=job.attempt,
            fence=work.fence,
            host=host,
            variables=variables,
            secrets=tuple(secrets),
            timeout=job.timeout,
        ),
        secrets=secrets,
    )


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """A restore changes nothing but the files it brought."""
    return Settlement(error=outcome.error, warnings=outcome.warnings)
