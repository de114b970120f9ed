"""Bringing the files of an archive back: to the controller, to the client they came from, or to another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ErrorCode
from ..executor import HostRun, Outcome
from ..secret import Secret
from . import lending
from .controller import LIMITS, controller_access, listing
from .hosts import become_secrets, borg_variables, client_host, controller_host, key_path, repository_host, unpinned
from .rekeying import digest, passphrases
from .work import Assignment, Refused, Settlement, Work, refuse_unready


def destination(job_id: int, given: str | None, *, on_client: bool, here: str) -> str:
    """Where the files go: a new folder that bears the job's id, unless one was given."""
    if given:
        return given
    # The extraction makes it, for its user alone, and refuses one that is there.
    return f"/var/tmp/cyborg-restore-{job_id}" if on_client else f"{here}/restore-{job_id}"  # noqa: S108


def assign(work: Work) -> Assignment:
    """An extraction, by Borg on a client or on the controller.

    A client that the archive is not of is let into the vault for this job only, by a key of its own.
    """
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
    playbook, lends = "restore", client is not None and elsewhere(work)
    others = unpinned(repository, vault, work.settings)
    if client is not None:
        host = client_host(client, name, work.settings)
        variables = borg_variables(job, repository, vault, work.settings)
        if lends:
            playbook = "restore_elsewhere"
            # The vault's passphrase is changed by the controller, as whom and how bounded it lists vaults.
            controller, reached, _secrets = listing(work, lending.CONTROLLER)
            others = (repository_host(repository, work.settings), controller)
            variables |= LIMITS | _lent(work) | {"restore_base_dir": reached["borg_base_dir"]}
            secrets = become_secrets(client, repository) | lending.secrets(vault)
        else:
            refuse_unready(work)
            variables["borg_ssh_key"] = key_path(client, vault)
            secrets = become_secrets(client) | passphrases(vault)
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
        playbook=playbook,
        host_run=HostRun(
            job=job.id or 0,
            attempt=job.attempt,
            fence=work.fence,
            host=host,
            variables=variables,
            secrets=tuple(secrets),
            others=others,
            timeout=job.timeout,
        ),
        secrets=secrets,
        lends=lends,
    )


def elsewhere(work: Work) -> bool:
    """True if the files go to a client whose keys do not open the vault."""
    client, archive, vault = work.client, work.archive, work.vault
    assert archive is not None
    assert vault is not None
    return client is not None and client.id != archive.client and vault.id not in client.access


def _lent(work: Work) -> dict[str, Any]:
    """How another client is let into the vault, and for how long."""
    vault, job, client = work.vault, work.job, work.client
    assert vault is not None
    assert client is not None
    if not client.ready:
        raise Refused(ErrorCode.BAD_ARGUMENTS, f"{client.hostname} is not ready: call prepare(client) first", skip=True)
    return {
        "cyborg_repository_host": f"repository-{vault.repository}",
        "restore_key": f"restore-{job.id}",
        "restore_vault": vault.id,
        "restore_account": vault.where.user,
        "restore_folder": vault.where.path,
        "restore_seconds": job.timeout,
        "cyborg_controller": lending.CONTROLLER,
        "borg_key_sha256": digest(vault),
    }


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """A restore changes nothing but the files it brought; and, of a vault that was lent for it, the passphrase."""
    if work.client is not None and elsewhere(work):
        return lending.settle(work, outcome, kept)
    return Settlement(error=outcome.error, warnings=outcome.warnings)
