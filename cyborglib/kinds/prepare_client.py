"""Making a client ready: Borg, the client's key, and what it says of itself."""

from __future__ import annotations

from collections.abc import Mapping

from ..executor import Outcome
from ..secret import Secret
from . import facts
from .hosts import become_secrets, client_host
from .work import Assignment, Settlement, Work, on_host

#: What is kept of a client's facts; those that decide how it is reached are of one type.
_TYPED = {
    "uid": facts.number,
    "become": facts.truth,
    "home": facts.path,
    "python": facts.path,
    "keys": facts.path,
    "borg": facts.path,
}
_FACTS = (
    *_TYPED,
    "python_version",
    "os",
    "kernel",
    "systemd",
    "hostname",
    "addresses",
    "package_manager",
)


def assign(work: Work) -> Assignment:
    """One run on the client itself. No secret but become's password."""
    client, job = work.client, work.job
    assert client is not None
    secrets = become_secrets(client)
    return on_host(
        work,
        "prepare_client",
        client_host(client, f"job-{job.id}", work.settings),
        variables={"prepare_client_update": bool(job.options.get("update", False))},
        secrets=secrets,
    )


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """Record what the client is; a key that is new means that no vault knows it yet."""
    client = work.client
    assert client is not None
    if outcome.error is not None:
        return Settlement(error=outcome.error, warnings=outcome.warnings)
    # None where the client has no ssh-keygen, which it needs for vaults on other hosts only.
    key = facts.public_key(outcome.facts, "public_key") if outcome.facts.get("public_key") else ""
    typed = {name: check(outcome.facts, name) for name, check in _TYPED.items() if name in outcome.facts}
    observed = {
        "ready": True,
        "ip": facts.address(outcome.facts, "ip"),
        "borg_version": facts.version(outcome.facts, "borg_version"),
        "facts": facts.rest({**outcome.facts, **typed}, _FACTS),
        "public_key": key,
        "prepared_at": work.now,
    }
    if client.public_key and client.public_key != key:
        # Installed anew: the keys for its vaults went with the old system.
        observed |= {"access": (), "providers": ()}
    return Settlement(warnings=outcome.warnings, client=observed)
