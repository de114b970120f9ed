"""A vault that is lent to another client for one restore, and its passphrase, which that client learns by it.

Root there may keep it. So before it is told, the passphrase that takes its place is in the store; and after the
client's key was let in no longer, the controller gives the vault that one.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from ..errors import ErrorCode
from ..executor import Outcome
from ..model import Vault
from ..secret import Secret
from .rekeying import taken, told
from .work import Settlement, Work

#: What the run calls the controller, to which the change of the passphrase is delegated.
CONTROLLER = "controller"


def secrets(vault: Vault) -> dict[str, Secret]:
    """What Borg on the client gets, and under other names what the controller's own task asks for.

    Of the two passphrases of a vault whose last change is not settled the client gets the old one only: the next
    one must be nobody's yet when the vault gets it.
    """
    found = {
        "borg_passphrase": vault.passphrase,
        "rekey_passphrase": vault.passphrase,
        "rekey_next_passphrase": vault.next_passphrase,
        "rekey_ssh_key": vault.controller_key,
    }
    return {name: secret for name, secret in found.items() if secret is not None}


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """How the restore ended; whatever became of the passphrase, that is no failure of the restore's own."""
    vault, client, error = work.vault, work.client, outcome.error
    assert vault is not None
    assert client is not None
    changed = taken(work, kept)
    warnings = list(outcome.warnings)
    if not changed:
        warnings.append(
            f"{client.hostname} may know the passphrase of {vault.location}, and that could not be changed yet (this "
            "job's output says why). The controller's next look into that vault tries it again; to do it now, call "
            "catalog(repository)"
        )
    elif work.repository is not None and work.repository.passphrase is not None:
        warnings.append(
            f"{client.hostname} learnt the passphrase of {vault.location}, so that vault has one of its own now, which "
            f"is not the one given for {work.repository.name} any more. If other vaults have that one, the client "
            "knows it still: consider new vaults for them, in a repository without passphrase="
        )
    if changed and error is not None and error.code is ErrorCode.WRONG_PASSPHRASE:
        # An earlier change that nobody recorded.
        message = f"{vault.location} had another passphrase already, which is recorded now: restore again"
        error = evolve(error, message=message)
    return Settlement(error=error, warnings=tuple(warnings), vault=changed, events=told(work, changed))
