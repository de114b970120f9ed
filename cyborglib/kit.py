"""The recovery kit: all that is needed to restore with plain Borg when this library and its database are gone."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from .model import Client, Repository, Vault
from .model.client import split_host_key
from .sealing import encrypt_for_openssl
from .secret import Secret, as_secret
from .store import Store

#: Where the store keeps when the last kit was written (ISO 8601, UTC).
WRITTEN = "kit_written_at"
OPEN = "openssl enc -d -aes-256-cbc -pbkdf2 -iter 600000 -in KIT -out kit.txt"


def write(store: Store, path: Path, passphrase: Secret | str | None, now: datetime) -> Path:
    """Write the kit to a file, 0600, as a whole; encrypted if there is a passphrase. Gives the file's path."""
    secret = as_secret(passphrase)
    data = text(store, now).encode()
    if secret is not None:  # an empty one is refused: it is a variable that was not set, not the wish for plain text
        data = encrypt_for_openssl(data, secret)
    path = path.expanduser().absolute()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
    store.set_meta(WRITTEN, now.isoformat())
    return path


def outdated(store: Store) -> str:
    """Why a new kit should be written; "" if the last one holds every vault."""
    changes = ((vault.prepared_at, vault.rekeyed_at) for vault in store.vaults)
    newest = max((change for pair in changes for change in pair if change), default=None)
    if newest is None:
        return ""
    written = store.get_meta(WRITTEN)
    how = "write one with recovery_kit(path, passphrase) and keep it on another machine"
    if not written:
        return f"there is no recovery kit: who loses this database loses every backup; {how}"
    if datetime.fromisoformat(written) < newest:
        return f"the recovery kit is older than the newest vault or passphrase; {how}"
    return ""


def text(store: Store, now: datetime) -> str:
    """The kit in words."""
    clients = {client.id: client for client in store.clients}
    repositories = {repository.id: repository for repository in store.repositories}
    parts = list(_preface(now))
    for vault in store.vaults:
        if vault.borg_id:  # one that was said not to be ready holds archives all the same
            parts += _vault(vault, repositories[vault.repository], clients.get(vault.client) if vault.client else None)
    return "\n".join(parts) + "\n"


def _preface(now: datetime) -> Iterator[str]:
    yield f"RECOVERY KIT, written {now:%Y-%m-%d %H:%M} UTC"
    yield "Whoever holds this file can read every backup named in it. Keep it where the backups are not."
    yield ""
    yield "To restore, on any machine with BorgBackup 1.2 or later and ssh:"
    yield "  1. Put the lines from BEGIN to END of a vault's ssh key into a file, chmod 600, what stands behind"
    yield '     "host key:" into another, and with their full paths:'
    yield "     export BORG_RSH='ssh -i KEY_FILE -o IdentitiesOnly=yes -o UserKnownHostsFile=HOST_KEY_FILE'"
    yield "     (not for a folder; if the key was removed, log in to the repository's host in any other way)."
    yield "  2. export BORG_PASSPHRASE='…' with the vault's passphrase."
    yield "  3. borg list REPOSITORY                    shows the archives"
    yield "     borg extract --list REPOSITORY::ARCHIVE  brings one into the folder you are in"
    yield "  4. If Borg says that the key is missing or the passphrase is wrong, put the lines of the vault's"
    yield "     Borg key into a file and run: borg key import REPOSITORY THAT_FILE"


def _vault(vault: Vault, repository: Repository, client: Client | None) -> Iterator[str]:
    yield ""
    yield "=" * 78
    yield f"Vault {vault.id} of the repository {repository.name}, of {client.hostname if client else 'all its clients'}"
    yield f"repository:  {vault.location}"
    if vault.where.local and client is not None:
        yield f"             (a folder on {client.hostname})"
    yield f"Borg id:     {vault.borg_id}"
    if vault.passphrase is not None:
        yield f"passphrase:  {vault.passphrase.reveal()}"
    if vault.next_passphrase is not None:
        yield f"     or, as a change is not settled:  {vault.next_passphrase.reveal()}"
    host_key, _fingerprint = split_host_key(repository.host_key)
    if host_key and not vault.where.local:
        host, port = vault.where.host, vault.where.port
        yield f"host key:    {host if port in (None, 22) else f'[{host}]:{port}'} {host_key}"
    if vault.controller_key is not None:
        yield "ssh key, of the controller:"
        yield vault.controller_key.reveal().strip()
    if vault.key_export is not None:
        yield "Borg key, as exported:"
        yield vault.key_export.reveal().strip()
