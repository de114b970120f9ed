"""Makes a Borg repository that others made into a vault to be: checked, recorded, and its opening planned."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from attrs import evolve

from . import planning
from .errors import AlreadyExists, Disabled, Invalid
from .model import Client, Repository, Variables, Vault
from .model.fields import shown
from .model.location import Location
from .planning import NewJob, Target
from .sealing import generate_ssh_key
from .secret import Secret
from .store import Queued, Store


def adopt(
    store: Store,
    repository: Repository,
    client: Client,
    *,
    path: str | None,
    passphrase: Secret,
    key: Secret | None,
    takeover: bool,
    now: datetime,
) -> Queued:
    """Queue that a client opens it, and that the controller lists it; both jobs, in that order, come last.

    Raises `Invalid`, `Disabled` or `AlreadyExists`, and then nothing was written.
    """
    for what, name in ((repository, repository.name), (client, client.hostname)):
        if not what.enabled:
            raise Disabled(f"{name} is disabled; enable it first")
    _check(passphrase, key)
    where = location(repository, path)
    with store.transaction():
        vault = _vault(store, repository, client, where, passphrase, key, now)
        planned: list[NewJob] = []
        needs: list[int] = []
        if not client.ready:
            planned.append(planning.prepare_client(client, store.settings, launched_by="dependency"))
            needs.append(0)
        opened = planning.prepare_vault(repository, Target(client, vault), store.settings, after=needs)
        options = Variables({"takeover": True}) if takeover else Variables()
        planned.append(evolve(opened, job=evolve(opened.job, options=options)))
        listed = planning.catalog(repository, vault, client, store.settings)
        planned.append(evolve(listed, after=(len(planned) - 1,)))
        return store.jobs.queue(planned)


def location(repository: Repository, path: str | None) -> Location:
    """Where it lies: on the host (or the client's disk) that the repository names, at exactly this path."""
    whole = repository.location
    if path is None:
        if whole.path != whole.expand("x").path:
            raise Invalid(
                f"the path of the repository {repository.name} ({repository.path}) is that of one vault a client; "
                "say with path= which folder the existing one lies in"
            )
        return whole
    if ":" in path.partition("/")[0] or (whole.local and not path.startswith("/")):
        raise Invalid(
            f"path={shown(path)} is not a folder's path from /: the repository {repository.name} says already on which "
            "host it is"
        )
    # As in a repository's own path: what does not begin at the root begins in the account's home.
    found = Location.parse(path if whole.local else f"host:{path}")
    if found.path != found.expand("x").path:
        raise Invalid(f"path={shown(path)} holds {{client}}; give the one folder that the repository lies in")
    if repository.managed and not found.absolute:
        raise Invalid(f"path={shown(path)} begins in a home; on a managed host give the whole path from /")
    if not whole.per_client and found.path != whole.path:
        raise Invalid(
            f"the path of the repository {repository.name} ({repository.path}) is that of one vault, so no other "
            "folder can be a vault of it: add a repository with that path"
        )
    return evolve(whole, path=found.path)


def _check(passphrase: Secret, key: Secret | None) -> None:
    if not passphrase:
        raise Invalid("the passphrase is empty: give that repository one first, by borg key change-passphrase")
    if any(letter in passphrase.reveal() for letter in "\n\r\0"):
        raise Invalid("the passphrase holds a line end; was it read from a file? Then strip that")
    if key is not None and not (key.reveal().lstrip().startswith("BORG_KEY ") and len(key.reveal()) < 64 * 1024):
        raise Invalid("key= is not what `borg key export` prints; it begins with BORG_KEY and the repository's id")


def _vault(
    store: Store,
    repository: Repository,
    client: Client,
    where: Location,
    passphrase: Secret,
    key: Secret | None,
    now: datetime,
) -> Vault:
    """Its vault in the store, that of an earlier try if there is one."""
    owner = client.id if repository.location.per_client else None
    old = next(iter(store.vaults.find(repository=repository.id, client=owner)), None)
    if old is not None and not old.foundling:
        raise AlreadyExists(
            f"{client.hostname if owner else repository.name} has a vault in the repository {repository.name} already "
            f"({old.location}): add another repository for the existing one, on the same host if that is where it lies"
        )
    if old is not None and any(not job.finished for job in store.jobs.find(vault=old.id)):
        raise AlreadyExists(f"{old.location} is just being adopted; wait for that, or cancel it")
    same = [vault for vault in store.vaults.find(location=str(where)) if old is None or vault.id != old.id]
    # The same folder of two clients is two folders.
    if taken := [vault for vault in same if not where.local or vault.client == client.id]:
        raise AlreadyExists(f"{where} is vault {taken[0].id} already")
    values: dict[str, Any] = {"passphrase": passphrase, "key_export": key}
    if old is not None:
        store.vaults.replace(evolve(old, location=str(where)))
        return store.vaults.observe(old.id or 0, **values)
    private, _public = generate_ssh_key("cyborg controller")
    return store.vaults.add(
        Vault(
            repository=repository.id,
            client=owner,
            location=str(where),
            **values,
            adopted=True,
            controller_key=private if repository.managed and not where.local else None,
            created_at=now,
        )
    )
