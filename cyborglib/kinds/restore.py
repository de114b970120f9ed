"""Bringing the files of an archive back: to the controller, to the client they came from, or to another one.

Where Borg can open the vault at the place where the files are wanted, it runs there. Another client is lent the vault,
if its host is managed; else Borg runs where it can, and the files are carried over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from ..errors import ErrorCode
from ..executor import Host, Outcome
from ..model import Client, Variables
from ..planning import carried, inherited, lent
from ..secret import Secret
from . import lending
from .controller import LIMITS, controller_access, listing
from .hosts import become_secrets, borg_variables, client_host, controller_host, key_path, repository_host, unpinned
from .rekeying import digest, passphrases
from .work import Assignment, Refused, Settlement, Work, on_host, refuse_unready

#: What the become password of the client that files are carried to is called.
TARGETS_PASSWORD = "target_become_password"  # noqa: S105 - a name


def destination(job_id: int, given: str | None, *, on_client: bool, here: str) -> str:
    """Where the files go: a new folder that bears the job's id, unless one was given."""
    if given:
        return given
    # The extraction makes it, for its user alone, and refuses one that is there.
    return f"/var/tmp/cyborg-restore-{job_id}" if on_client else f"{here}/restore-{job_id}"  # noqa: S108 - as said


def assign(work: Work) -> Assignment:
    """An extraction, by Borg on a client or on the controller."""
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
    options: dict[str, Any] = job.options.plain()
    into = destination(
        job.id or 0,
        options.get("destination"),
        on_client=bool(options.get("on_client", client is not None)),
        here=str(options.get("here", ".")),
    )
    playbook = "restore"
    role = _Role() if "load" not in options else _role(work, options)
    others: tuple[Host, ...] = unpinned(repository, vault, work.settings)
    carries = carried(archive, repository, vault, client)
    if carries:
        host, variables, secrets = _opened(work, work.owner if vault.where.local else None)
        # What would come is seen where Borg runs.
        if not options.get("dry_run"):
            playbook = "restore_carried"
            targets, more, passwords = _carried_to(work, options, into)
            others = (*others, *targets)
            variables, secrets = variables | more, secrets | passwords
    elif lends(work):
        playbook = "restore_elsewhere"
        host, others, variables, secrets = _lent(work)
    else:
        host, variables, secrets = _opened(work, client)
    variables |= {
        "borg_archive": archive.name,
        "borg_archive_id": archive.borg_id,
        "borg_paths": options.get("paths", []),
        "borg_destination": into,
        "borg_overwrite": bool(options.get("overwrite", False)),
        "borg_dry_run": bool(options.get("dry_run", False)),
        "borg_numeric_ids": bool(options.get("numeric_ids", False)),
        # What gives rights on one host is not to give them on another, unless that is meant.
        "borg_plain": client is not None and client.id != archive.client and not options.get("special", False),
    }
    return on_host(
        work,
        playbook,
        host,
        variables=variables | role.variables,
        secrets=secrets,
        hidden=role.secrets,
        others=others,
        run_variables=role.run_variables,
        lends=lends(work),
    )


@frozen
class _Role:
    """By which role an archive goes back: Borg's own, file by file, or that of the policy type that made it."""

    run_variables: Mapping[str, str] = field(factory=dict)
    variables: dict[str, Any] = field(factory=dict)
    secrets: dict[str, Secret] = field(factory=dict, repr=False)


def _role(work: Work, options: Mapping[str, Any]) -> _Role:
    archive, policy = work.archive, work.policy
    assert archive is not None
    assert work.role is not None
    if policy is None or policy.type != options["type"]:
        raise Refused(
            ErrorCode.BAD_ARGUMENTS,
            f"the policy that made {archive.name} is not of the type {options['type']} any more: restore it as a file "
            "(destination), or add a policy of that type",
        )
    given = Variables(options["load"])
    role, variables, secrets = work.role(policy.type, given, inherited(policy, archive, work.client))
    return _Role(
        {"cyborg_restore_role": role},
        {**variables, "borg_part": archive.part, "cyborg_restored_by": work.job.id},
        dict(secrets),
    )


def lends(work: Work) -> bool:
    """True if the files go to a client that is lent the vault for this."""
    client, archive, vault, repository = work.client, work.archive, work.vault, work.repository
    assert archive is not None
    assert vault is not None
    assert repository is not None
    return client is not None and not carried(archive, repository, vault, client) and lent(archive, vault, client)


Place = tuple[Host, dict[str, Any], dict[str, Secret]]


def _opened(work: Work, client: Client | None) -> Place:
    """Borg on a client that can open the vault, or (None) on the controller."""
    vault, repository, job = work.vault, work.repository, work.job
    assert vault is not None
    assert repository is not None
    if client is None:
        return controller_host(f"job-{job.id}"), *controller_access(work)
    refuse_unready(work, client)
    variables = borg_variables(job, repository, vault, work.settings)
    variables["borg_ssh_key"] = key_path(client, vault)
    secrets = become_secrets(client) | passphrases(vault)
    return client_host(client, f"job-{job.id}", work.settings), variables, secrets


def _carried_to(
    work: Work, options: Mapping[str, Any], into: str
) -> tuple[tuple[Host, ...], dict[str, Any], dict[str, Secret]]:
    """Where the files are carried to: it needs neither Borg nor passphrase, and need not be prepared."""
    client, secrets = work.client, {}
    if client is None:
        target = controller_host("controller")
    else:
        target = client_host(client, f"client-{client.id}", work.settings, secret=TARGETS_PASSWORD)
        if client.become_password:
            secrets[TARGETS_PASSWORD] = client.become_password
    variables = {
        "restore_to": target.name,
        "restore_destination": into,
        "restore_overwrite": bool(options.get("overwrite", False)),
        "restore_numeric_ids": bool(options.get("numeric_ids", False)),
        # The accounts of the host in between say nothing of an archive that is not its own.
        "restore_own": work.vault is not None and work.vault.where.local,
    }
    return (target,), variables, secrets


def _lent(work: Work) -> tuple[Host, tuple[Host, ...], dict[str, Any], dict[str, Secret]]:
    """Another client, which is let into the vault for this job only, by a key of its own.

    The vault's passphrase is changed by the controller then, as whom and how bounded it lists vaults.
    """
    vault, repository, job, client = work.vault, work.repository, work.job, work.client
    assert vault is not None
    assert repository is not None
    assert client is not None
    if not client.ready:
        raise Refused(ErrorCode.BAD_ARGUMENTS, f"{client.hostname} is not ready: call prepare(client) first", skip=True)
    controller, reached, _secrets = listing(work, lending.CONTROLLER)
    variables = borg_variables(job, repository, vault, work.settings) | LIMITS
    variables |= {
        "cyborg_repository_host": f"repository-{vault.repository}",
        "restore_key": f"restore-{job.id}",
        "restore_vault": vault.id,
        "restore_account": vault.where.user,
        "restore_folder": vault.where.path,
        "restore_seconds": job.timeout,
        "restore_base_dir": reached["borg_base_dir"],
        "cyborg_controller": lending.CONTROLLER,
        "borg_key_sha256": digest(vault),
    }
    secrets = become_secrets(client, repository) | lending.secrets(vault)
    others = (repository_host(repository, work.settings), controller)
    return client_host(client, f"job-{job.id}", work.settings), others, variables, secrets


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """A restore changes nothing but the files it brought; and, of a vault that was lent for it, the passphrase."""
    if lends(work):
        return lending.settle(work, outcome, kept)
    return Settlement(error=outcome.error, warnings=outcome.warnings)
