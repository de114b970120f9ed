"""The first ssh host key of a host that none is pinned for, and where it may come from.

Where a fingerprint was given: the key that has it, from the user's known_hosts or from the host, and no other. Else, in
this order: a host certificate of an authority that the user's known_hosts names; a key in there; and only where that
is allowed, the host's own word. A connection that is made for it carries nothing secret.
"""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from ..errors import ErrorCode, JobError
from ..executor import Host
from . import first_contact, host_certificates, known_hosts
from .failures import Unknown, who
from .known_hosts import Known

__all__ = ["Found", "Unknown", "find"]


@frozen
class Found:
    """A host's first key; `accepted` if it was taken from the network at the host's word."""

    host_key: str
    accepted: bool


def find(host: Host, folder: Path, connect_timeout: int) -> Found:
    """The host's first key; `folder` is for files of ours. Raises `Unknown`."""
    known = known_hosts.look(host)
    key = known.key(host)
    if host.fingerprint:
        return Found(key or first_contact.of_fingerprint(host, folder, connect_timeout), accepted=False)
    if known.authorities:
        return Found(_vouched(host, known, key, folder, connect_timeout), accepted=False)
    if key:
        return Found(key, accepted=False)
    if not host.accept_new:
        raise Unknown(
            JobError(
                ErrorCode.HOST_KEY_UNKNOWN,
                f"The ssh host key of {who(host)} is not known. Log in once with ssh and compare its fingerprint, "
                "give it as host_key='ssh-ed25519 AAAA…' or 'SHA256:…', or allow it with "
                "settings.first_contact='accept'.",
            )
        )
    return Found(first_contact.accept(host, folder, connect_timeout), accepted=True)


def _vouched(host: Host, known: Known, key: str, folder: Path, connect_timeout: int) -> str:
    """What the authority vouches for; where it does not, the key that stands in known_hosts besides."""
    try:
        return host_certificates.vouched(host, known, folder, connect_timeout)
    except Unknown as unknown:
        if key and unknown.error.code is ErrorCode.HOST_KEY_UNKNOWN:
            return key
        raise
