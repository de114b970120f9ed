"""How the machines of a job are reached."""

from __future__ import annotations

from typing import Any

from ..executor import Host
from ..model import Client, Job, Repository, Settings, Vault
from ..model.client import split_host_key
from ..secret import Secret

#: Where a client keeps the keys that the library made there, if its preparation did not say.
KEYS = "/etc/cyborg/keys"


def client_host(client: Client, name: str, settings: Settings, *, secret: str = "") -> Host:
    """A client, called `name` in the run. `secret` is what its become password is called there, if not just that."""
    become = client.become
    host_key, fingerprint = split_host_key(client.host_key)
    if become is None and "become" in client.facts:
        become = bool(client.facts["become"])
    return Host(
        name=name,
        local=client.connection == "local",
        address=client.address,
        port=client.port,
        user=client.user,
        become=become,
        become_method=client.host_vars.get("become_method", "sudo"),
        become_user=client.host_vars.get("become_user", "root"),
        become_password=(secret or "become_password") if client.become_password else "",
        interpreter=client.host_vars.get("interpreter", "") or str(client.facts.get("python", "")),
        host_key=host_key,
        fingerprint=fingerprint,
        key_of=f"client-{client.id}",
        accept_new=settings.first_contact == "accept",
        title=client.hostname,
        variables=client.trusted_vars,
    )


def controller_host(name: str, account: str = "") -> Host:
    """The machine this library runs on, as the account that runs it or as another one."""
    return Host(name=name, local=True, become=False, account=account, title="the controller")


def repository_host(repository: Repository, settings: Settings) -> Host:
    """The host of a repository, as its administrator reaches it."""
    location = repository.location
    host_key, fingerprint = split_host_key(repository.host_key)
    return Host(
        name=f"repository-{repository.id}",
        address=location.host,
        port=location.port,
        user=repository.admin_user or "root",
        become=repository.admin_become,
        become_method=repository.admin_vars.get("become_method", "sudo"),
        become_user=repository.admin_vars.get("become_user", "root"),
        interpreter=repository.admin_vars.get("interpreter", ""),
        become_password="admin_become_password" if repository.admin_become_password else "",
        host_key=host_key,
        fingerprint=fingerprint,
        key_of=f"repository-{repository.id}",
        accept_new=settings.first_contact == "accept",
        title=location.host,
    )


def unpinned(repository: Repository, vault: Vault, settings: Settings) -> tuple[Host, ...]:
    """The repository's host for a job that has nothing to do there itself, where its key is still to be found.

    Else Borg's ssh would take the word of whoever answers, or of nobody.
    """
    if vault.where.local or split_host_key(repository.host_key)[0]:
        return ()
    return (repository_host(repository, settings),)


def become_secrets(client: Client | None, repository: Repository | None = None) -> dict[str, Secret]:
    """The passwords that become may ask for."""
    found: dict[str, Secret] = {}
    if client is not None and client.become_password:
        found["become_password"] = client.become_password
    if repository is not None and repository.admin_become_password:
        found["admin_become_password"] = repository.admin_become_password
    return found


def key_path(client: Client, vault: Vault) -> str:
    """The client's private key for a vault."""
    if vault.where.local:
        return ""
    folder = str(client.facts.get("keys", "")) or KEYS
    return f"{folder}/{key_name(client, vault)}"


def key_name(client: Client, vault: Vault) -> str:
    """The file name of that key: one for each vault, as sshd goes by the first line of a key in authorized_keys.

    A vault that several write to has one for each of them.
    """
    return f"vault-{vault.id}" if vault.client == client.id else f"vault-{vault.id}-client-{client.id}"


def _lock_wait(repository: Repository, vault: Vault, settings: Settings) -> int:
    """Seconds that Borg waits for a lock. On a host without a wrapper of ours nobody ever breaks one: so as long as it
    takes until that host has noticed that a client is gone, whose lock it then gives back."""
    beyond_keepalive = 330 if not vault.where.local and not repository.managed else 0
    return max(settings.lock_wait, beyond_keepalive)


def borg_variables(job: Job, repository: Repository, vault: Vault, settings: Settings) -> dict[str, Any]:
    """What every call of Borg needs to know of a vault."""
    host_key, _fingerprint = split_host_key(repository.host_key)
    found: dict[str, Any] = {
        "borg_repository": str(vault.where),
        "borg_repository_id": vault.borg_id,
        "borg_lock_wait": _lock_wait(repository, vault, settings),
        "borg_connect_timeout": settings.connect_timeout,
        "borg_known_hosts": f"* {host_key}" if host_key and not vault.where.local else "",
        # Which host's key that is: where none is pinned yet, the executor finds it and fills it in.
        "borg_known_hosts_of": "" if vault.where.local else f"repository-{repository.id}",
    }
    return found
