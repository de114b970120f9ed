"""Verbs that say what is ready and trusted, and keep what opens the vaults."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import given, invitations, kit
from ..engine import pausing
from ..invitations import Invitation
from ..model import Client, Repository, Vault
from ..secret import Secret
from .base import Base


class Keeping(Base):
    """None of them works or queues anything."""

    def set_ready(self, what: Client | Repository | Vault, ready: bool = True) -> Client | Repository | Vault:
        """Say by hand that something is ready or not.

        For a vault, True also ends its being suspect, and accepts as lost what the last listing did not find
        (archives with `missing_at`): later listings go on warning of it, but make the vault suspect for
        further losses only. So bring back first what can be brought back, and see that `catalog` succeeds. Before the
        next prune or compact all data in it is read and verified.
        """
        given.truth("ready", ready)
        if isinstance(what, Vault):
            number = given.key(what, Vault)
            changes: dict[str, Any] = {"ready": ready, **({"suspect": ""} if ready else {})}
            if ready and self._store.vaults.get(number).suspect:
                changes |= {"baseline": None, "unsettled_at": self._clock()}
            return self._store.vaults.observe(number, **changes)
        return self._observe(what, ready=ready)

    def resume(self, what: Vault | Client) -> None:
        """Let jobs go on that wait for room on a client or for a vault (and for others on the same file system).

        The library finds out by itself when there is room; this is for one who does not want to wait for that.
        """
        given.only(what, Vault, Client)
        key = f"vault:{given.key(what, Vault)}" if isinstance(what, Vault) else f"client:{given.key(what, Client)}"
        with self._engine.committing() as events, self._store.transaction():
            pauses = self._store.pauses.all()
            for pause in pauses:
                if pause.key == key:
                    events.extend(pausing.resume(self._store, pausing.together(pauses, pause)))
        self._engine.tell()

    def trust(self, what: Client | Repository, fingerprint: str | None = None) -> Client | Repository:
        """Forget the host key pinned for a client or repository, or pin another one.

        `fingerprint` is "SHA256:…", as `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints it on the host: the
        next connection takes the key that has it, from the user's known_hosts or the network, and no other. Or
        it is the new key itself, "ssh-ed25519 AAAA…". Without one, the next connection takes the key from the
        user's known_hosts, or from the network if the setting `first_contact` is "accept".
        """
        return self._observe(what, host_key=given.host_key(fingerprint))

    def invite(self, what: Client | Repository) -> Invitation:
        """A one-time token with which a preparation run by hand may say that the object is ready."""
        given.only(what, Client, Repository)
        return invitations.invite(self._store, what, self._clock())

    def confirm(self, token: Secret | str) -> Client | Repository:
        """Take a token back: its object is ready. Raises `Invalid` for one that is used, late or unknown."""
        return invitations.confirm(self._store, token, self._clock())

    def recovery_kit(self, path: str | Path, passphrase: Secret | str | None = None) -> Path:
        """Write all that is needed to restore without this library and its database: addresses, ids,
        passphrases and keys of all vaults, and the commands.

        With a passphrase the file is encrypted, and `openssl` opens it (its first line is in
        docs/recovery.md); without one it is plain text. It is 0600 and replaces an older one as a whole.
        **Keep it elsewhere**: whoever loses this machine and has no kit has lost the backups.
        """
        return kit.write(self._store, Path(path), passphrase, self._clock())

    def rotate_key(self, key: str | Sequence[str] | Path | None = None) -> Path | None:
        """Seal everything in the database anew with another key; gives the file that holds it, if there is one.

        None makes a new key, which goes where the old one was read from: into that key file, or into a new default
        file of an SQLite database; so does a key given as text. A `Path` is a file to open the database with from
        then on. At every instant a key on the disk opens the database; the old one is kept in a file beside the
        new one, for copies of the database from before. Other processes that have it open raise `WrongKey`.

        Raises `InUse` while another engine has jobs at work, `MissingKey` where a new key would be in no file,
        `Invalid`, and `StoreError`; then nothing was changed.
        """
        return self._store.rotate(key, owner=self._engine.owner)

    def _observe(self, what: Client | Repository, **fields: Any) -> Client | Repository:
        """Write what the library knows of a client or repository. Ids alone do not say which of both is meant."""
        given.only(what, Client, Repository)
        if isinstance(what, Client):
            return self._store.clients.observe(given.key(what, Client), **fields)
        return self._store.repositories.observe(given.key(what, Repository), **fields)
