"""The controller's own Borg: how it reaches a vault, as which account it lists it, and how much it may take.

A vault holds what its clients wrote, and a client that was broken into can write what harms a Borg that reads it.
A listing needs no rights on this machine, so it can have an account without any. A restore needs those of the
engine, as files get their owners back, and is not bounded: it must not fail where it is needed most.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve

from ..errors import ErrorCode, JobError
from ..executor import Host
from ..model import Client
from ..secret import Secret
from .hosts import become_secrets, borg_variables, client_host, controller_host
from .rekeying import passphrases
from .work import Refused, Work

#: Where Borg is run, called by the given name in the run; its variables; its secrets.
Access = tuple[Host, dict[str, Any], dict[str, Secret]]
#: What a listing may take: bytes of address space, seconds of CPU. 250 000 archives took 900 MB and 10 s, which is
#: more than is taken in; what is in an archive of 1 000 000 files 75 MB and 20 s. The time that passes is bounded by
#: the job's timeout.
LIMITS = {"borg_memory_limit": 1024**3, "borg_cpu_limit": 600}


def controller_access(work: Work) -> tuple[dict[str, Any], dict[str, Secret]]:
    """How Borg on the controller reaches the vault: variables, and secrets."""
    vault, repository = work.vault, work.repository
    assert vault is not None
    assert repository is not None
    variables = borg_variables(work.job, repository, vault, work.settings)
    variables |= {"borg_ssh_key": "", "borg_base_dir": f"{work.state_dir}/borg/vault-{vault.id}"}
    secrets = passphrases(vault)
    if repository.managed and vault.controller_key is not None:
        secrets["ssh_key"] = vault.controller_key
    return variables, secrets


def by_account(work: Work, name: str) -> Access:
    """Borg on the controller as the account that reads what clients wrote, without limits."""
    assert work.vault is not None
    account = work.settings.controller_account
    variables, secrets = controller_access(work)
    if account:
        # Never a folder that root's Borg uses too: what one account writes there, the other would believe.
        variables["borg_base_dir"] = f"~{account}/.local/state/cyborglib/borg/vault-{work.vault.id}"
    return controller_host(name, account), variables, secrets


def listing(work: Work, name: str) -> Access:
    """A listing by the controller."""
    host, variables, secrets = by_account(work, name)
    return host, variables | LIMITS, secrets


def at_its_client(work: Work, client: Client | None, name: str) -> Access:
    """Borg on the client in whose folder the vault lies. Raises `Refused` where that is not known."""
    vault, repository = work.vault, work.repository
    assert vault is not None
    assert repository is not None
    if client is None:
        raise Refused(ErrorCode.BAD_ARGUMENTS, f"nobody knows on which client {vault.location} lies")
    variables = {**borg_variables(work.job, repository, vault, work.settings), "borg_ssh_key": ""}
    return client_host(client, name, work.settings), variables, become_secrets(client) | passphrases(vault)


def explained(work: Work, error: JobError) -> JobError:
    """The error of a listing, with what the account has to do with it."""
    account, repository, vault = work.settings.controller_account, work.repository, work.vault
    assert repository is not None
    assert vault is not None
    if not account or vault.where.local or repository.managed or error.code is not ErrorCode.KEY_NOT_AUTHORIZED:
        return error
    return evolve(
        error,
        message=f"{error.message} The controller lists vaults as the account {account}: for a repository that is not "
        f"managed, that account needs an ssh key of its own (~{account}/.ssh) that is let in there.",
    )
