"""Another passphrase for a vault whose passphrase somebody learnt who is not to keep it.

The one that it is to get is in the store before anything is told to Borg, and the old one stays there until the
controller itself has opened the vault with the new one. So whenever it ends, one of both opens the vault.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..events import VaultRekeyed
from ..model import Vault
from ..secret import Secret
from .exported import is_export, key_digest
from .work import Work

#: What a job brings home as proof: the vault's key, exported after the next passphrase had opened it.
NEW_EXPORT = "new_key_export"


def passphrases(vault: Vault) -> dict[str, Secret]:
    """The secrets of a job whose Borg is to find out by itself which of two passphrases opens the vault.

    With Borg's key, where that does not lie in the vault.
    """
    found = {
        "borg_passphrase": vault.passphrase,
        "borg_next_passphrase": vault.next_passphrase,
        "borg_key_file": vault.key_file,
    }
    return {name: secret for name, secret in found.items() if secret is not None}


def digest(vault: Vault) -> str:
    """What the key in the vault is compared with: SHA-256 of the exported one, "" if there is none."""
    return key_digest(vault.key_export) if vault.key_export is not None else ""


def taken(work: Work, kept: Mapping[str, Secret]) -> dict[str, Any]:
    """What is written of the vault if its next passphrase is the one that opens it now; else nothing.

    On the word of a job only whose Borg ran on the controller: a client that says so could have us forget the
    passphrase that does open the vault.
    """
    vault, export = work.vault, kept.get(NEW_EXPORT)
    assert vault is not None
    if vault.next_passphrase is None or vault.where.local or export is None or not is_export(export, vault.borg_id):
        return {}
    return {
        "passphrase": vault.next_passphrase,
        "next_passphrase": None,
        "key_export": export,
        "rekeyed_at": work.now,
    }


def told(work: Work, changed: Mapping[str, Any]) -> tuple[VaultRekeyed, ...]:
    """The event of it, if the vault got its next passphrase."""
    assert work.vault is not None
    return (VaultRekeyed(vault=work.vault.id or 0),) if changed else ()
