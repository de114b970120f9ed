"""Making a vault: the account and limits on its host, the client's key for it, and Borg's own repository."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ErrorCode, JobError
from ..events import VaultSuspected
from ..executor import Outcome
from ..model import Baseline
from ..model.repository import STORAGE_ACCOUNT
from ..sealing import public_line
from ..secret import Secret
from . import facts
from .exported import is_export, key_digest
from .hosts import become_secrets, borg_variables, client_host, key_name, key_path, repository_host
from .rekeying import passphrases
from .work import Assignment, Refused, Settlement, Work, on_host, refuse_suspect


def assign(work: Work) -> Assignment:
    """A run on the client, where Borg initialises the vault, with tasks for the repository's host."""
    client, repository, vault, job = work.client, work.repository, work.vault, work.job
    assert client is not None
    assert repository is not None
    assert vault is not None
    if not client.ready:
        raise Refused(
            ErrorCode.BAD_ARGUMENTS, f"{client.hostname} is not ready: prepare it first, by prepare(client)", skip=True
        )
    refuse_suspect(vault)
    where = vault.where
    secrets = become_secrets(client, repository) | passphrases(vault)
    variables: dict[str, Any] = {
        **borg_variables(job, repository, vault, work.settings),
        "borg_ssh_key": key_path(client, vault),
        "borg_encryption": vault.encryption or repository.encryption,
        "borg_storage_quota": repository.quota or 0,
        "prepare_repository_vault": vault.id,
        "prepare_repository_key": "" if where.local else key_name(client, vault),
        "cyborg_repository_host": "",
    }
    if vault.foundling:
        variables |= {
            "prepare_repository_existing": True,
            "prepare_repository_takeover": bool(job.options.get("takeover")),
            "borg_others": list(work.others),
        }
    if not where.local and repository.managed:
        variables |= {
            "cyborg_repository_host": f"repository-{repository.id}",
            "prepare_repository_user": where.user or STORAGE_ACCOUNT,
            "prepare_repository_folder": where.path,
            "prepare_repository_quota": repository.quota or 0,
            "prepare_repository_quota_share": 0 if repository.quota else work.settings.quota_share,
            "prepare_repository_reserve": work.settings.reserve,
            "prepare_repository_append_only": repository.append_only,
            "prepare_repository_controller_key": public_line(vault.controller_key) if vault.controller_key else "",
        }
    return on_host(
        work,
        "prepare_repository",
        client_host(client, f"job-{job.id}", work.settings),
        variables=variables,
        secrets=secrets,
        others=() if where.local else (repository_host(repository, work.settings),),
    )


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """Pin the vault's id and seal its key; a vault that was there before must be the same one."""
    client, vault, repository = work.client, work.vault, work.repository
    assert client is not None
    assert vault is not None
    assert repository is not None
    if outcome.error is not None:
        return Settlement(error=outcome.error, warnings=outcome.warnings)
    borg_id = facts.borg_id(outcome.facts, "borg_id")
    if vault.borg_id and vault.borg_id != borg_id:
        return Settlement(
            error=JobError(
                ErrorCode.VAULT_ID_CHANGED,
                f"at {vault.location} lies another Borg repository than the one that was prepared there: find out who "
                "replaced it. Bring the old one back, or remove this vault's repository and add a new one",
            ),
            warnings=outcome.warnings,
        )
    if vault.foundling and (error := _not_to_be_adopted(work, borg_id, outcome)):
        return Settlement(error=error, warnings=outcome.warnings)
    export = kept.get("key_export")
    if export is None or not is_export(export, borg_id):
        return Settlement(
            error=JobError(ErrorCode.UNPARSABLE, "Borg gave no copy of this vault's key; look at the job's output"),
            warnings=outcome.warnings,
        )
    observed: dict[str, Any] = {"ready": True, "borg_id": borg_id, "prepared_at": work.now}
    warnings = outcome.warnings
    if vault.prepared_at is None and not vault.foundling and outcome.facts.get("created") is not False:
        # Nothing was in it before us, so all that is deleted in it is counted.
        observed["baseline"] = Baseline(at=int(work.now.timestamp()))
    if vault.foundling:
        # Whoever had a key to it until now may have changed what nobody counted: before anything in it is made final,
        # all data is verified.
        observed |= {"key_export": export, "encryption": outcome.facts["encryption"], "unsettled_at": work.now}
        if observed["encryption"].startswith("authenticated"):
            warnings += (f"what lies in {vault.location} is signed but not encrypted: its host can read all of it",)
    elif vault.key_export is None:
        observed["key_export"] = export
    elif vault.next_passphrase is None and key_digest(vault.key_export) != key_digest(export):
        return Settlement(
            error=JobError(
                ErrorCode.VAULT_KEY_CHANGED,
                f"the key that lies in the vault {vault.location} is not the one that was exported when it was made: "
                "somebody changed its passphrase. docs/recovery.md says how the sealed copy is put back",
            ),
            warnings=outcome.warnings,
            vault={"suspect": "the key in the vault is not the one that was exported"},
            events=(VaultSuspected(vault=vault.id or 0, reason="the key in it is not the one that was exported"),),
        )
    if not vault.where.local:
        observed["public_key"] = facts.public_key(outcome.facts, "public_key")
    return Settlement(
        warnings=warnings,
        vault=observed,
        room=facts.room(outcome.facts),
        client={"access": tuple(dict.fromkeys((*client.access, vault.id or 0)))},
        repository={"ready": True, "borg_version": facts.version(outcome.facts, "repository_borg_version")},
    )


#: How a repository that others made may be encrypted: in each of these modes there is a key to keep a copy of.
ADOPTABLE = ("repokey-blake2", "repokey", "keyfile-blake2", "keyfile", "authenticated-blake2", "authenticated")


def _not_to_be_adopted(work: Work, borg_id: str, outcome: Outcome) -> JobError | None:
    """What keeps a repository that others made from being a vault. The host that opened it looked too; it may lie."""
    vault = work.vault
    assert vault is not None
    if outcome.facts.get("encryption") not in ADOPTABLE:
        return JobError(ErrorCode.UNSUPPORTED, f"{vault.location} is not encrypted in a way that is known here")
    if borg_id in work.others:
        return JobError(
            ErrorCode.VAULT_EXISTS,
            f"the Borg repository at {vault.location} is a vault here already, or a copy of one: Borg cannot tell two "
            "of one id apart",
        )
    return None
