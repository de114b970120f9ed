"""Is a vault whole? Borg's own check of its repository, of its archives, or of all data in them. Nothing is repaired.

Where it runs: that of a repository needs no passphrase, and runs on the repository's host where that is managed, beside
no Borg that serves the vault. What needs the passphrase runs on the controller, as who lists vaults there. A vault in a
folder of a client is checked on that client, as nobody else reaches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from ..errors import ErrorCode, JobError
from ..events import VaultSuspected
from ..executor import Host, Outcome
from ..secret import Secret
from .controller import at_its_client, explained, listing
from .hosts import become_secrets, repository_host, unpinned
from .work import Assignment, Refused, Settlement, Work, on_host

#: Bytes of address space for a Borg that goes through archives here: it holds a table of all chunks.
MEMORY = 4 * 1024**3
#: What shows that something is wrong with the vault itself, and not only with this check.
DAMAGE = frozenset({ErrorCode.VAULT_DAMAGED, ErrorCode.VAULT_ID_CHANGED, ErrorCode.VAULT_KEY_CHANGED})


def assign(work: Work) -> Assignment:
    """A run where that part of the vault is looked at."""
    vault, repository, job = work.vault, work.repository, work.job
    assert vault is not None
    assert repository is not None
    part, name = str(job.options.get("part")), f"job-{job.id}"
    others: tuple[Host, ...] = ()
    if vault.where.local:
        host, variables, secrets = at_its_client(work, work.client, name)
        if part == "repository":
            secrets = become_secrets(work.client)
    elif part == "repository" and repository.managed:
        host, variables, secrets = _on_its_host(work, name)
    else:
        host, variables, secrets = listing(work, name)
        variables |= {"borg_memory_limit": MEMORY, "borg_cpu_limit": job.timeout}
        others = unpinned(repository, vault, work.settings)
    variables |= {"borg_scope": part, "borg_max_duration": int(job.options.get("seconds") or 0)}
    return on_host(work, "check", host, variables=variables, secrets=secrets, others=others)


def _on_its_host(work: Work, name: str) -> tuple[Host, dict[str, Any], dict[str, Secret]]:
    """Borg on the repository's host, which gets no passphrase."""
    vault, repository = work.vault, work.repository
    assert vault is not None
    assert repository is not None
    host = evolve(repository_host(repository, work.settings), name=name)
    variables: dict[str, Any] = {
        "borg_repository": vault.where.path,
        "borg_lock_wait": work.settings.lock_wait,
        "borg_folder": vault.where.path,
    }
    return host, variables, become_secrets(None, repository)


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """A part that was gone through is noted; damage makes the vault suspect, and that is all that is done about it."""
    vault = work.vault
    assert vault is not None
    error = outcome.error
    if error is not None and error.code in DAMAGE:
        return suspect(work, error)
    if error is not None:
        return Settlement(error=explained(work, error), warnings=outcome.warnings)
    part = str(work.job.options.get("part"))
    if outcome.facts.get("scope") != part or not isinstance(outcome.facts.get("whole"), bool):
        raise Refused(ErrorCode.UNPARSABLE, "the check ended without saying what was checked; look at the job's output")
    if not outcome.facts["whole"]:
        return Settlement(warnings=outcome.warnings)
    # With the data the archives were gone through as well.
    parts = ("archives", "data") if part == "data" else (part,)
    return Settlement(warnings=outcome.warnings, vault={f"{one}_checked_at": work.now for one in parts})


def suspect(work: Work, error: JobError) -> Settlement:
    """The vault is suspect for this reason: nothing is written to it until a person says that all is well."""
    assert work.vault is not None
    event = VaultSuspected(vault=work.vault.id or 0, reason=error.message)
    return Settlement(error=error, vault={"suspect": error.message}, events=(event,))
