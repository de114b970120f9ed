"""One-time tokens: a preparation that is run by hand may say, once, that its object is ready."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from attrs import frozen

from .errors import Invalid
from .model import Client, Repository
from .secret import Secret
from .store import Store

#: How long a token may be used.
LIFE = timedelta(hours=1)


@frozen(kw_only=True)
class Invitation:
    """A token for one object and one use; it is stored as a hash only, so this is the only place it is seen."""

    token: Secret
    expires_at: datetime


def invite(store: Store, what: Client | Repository, now: datetime) -> Invitation:
    """Make a token for a client or repository of the store."""
    if what.id is None:
        raise Invalid(f"{what.name} has no id yet: add it first, and invite what `add` gives back")
    token = Secret(secrets.token_urlsafe(32))
    expires_at = now + LIFE
    store.invitations.add(_kind(what), what.id, _hash(token.reveal()), expires_at)
    return Invitation(token=token, expires_at=expires_at)


def confirm(store: Store, token: Secret | str, now: datetime) -> Client | Repository:
    """Take a token back, once, and set its object ready. Nothing else is taken from the one who brings it:
    the next job looks at everything itself. Raises `Invalid`."""
    text = token.reveal() if isinstance(token, Secret) else token
    if not isinstance(text, str):
        raise Invalid(f"a token is a text, not a {type(text).__name__}")
    with store.transaction():
        found = store.invitations.consume(_hash(text), now)
        if found is None:
            raise Invalid("this token is unknown, was used before, or is too old; make a new one with invite(…)")
        kind, number = found
        if kind == "client":
            return store.clients.observe(number, ready=True)
        return store.repositories.observe(number, ready=True)


def _kind(what: Client | Repository) -> str:
    return "client" if isinstance(what, Client) else "repository"


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
