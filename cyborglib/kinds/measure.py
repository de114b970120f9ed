"""How much room there is where a vault lies: asked of its host, without Borg and without a passphrase."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from ..errors import ErrorCode
from ..executor import Outcome
from ..secret import Secret
from . import facts
from .hosts import become_secrets, client_host, repository_host
from .work import Assignment, Refused, Settlement, Work, on_host


def assign(work: Work) -> Assignment:
    """A question to the repository's host as its administrator, or to the client in whose folder the vault lies."""
    vault, repository, job = work.vault, work.repository, work.job
    assert vault is not None
    assert repository is not None
    name = f"job-{job.id}"
    if vault.where.local and work.client is not None:
        host, secrets = client_host(work.client, name, work.settings), become_secrets(work.client)
    elif not vault.where.local and repository.managed:
        host, secrets = evolve(repository_host(repository, work.settings), name=name), become_secrets(None, repository)
    else:
        raise Refused(ErrorCode.UNSUPPORTED, f"nobody can say how much room there is for {vault.location}", skip=True)
    return on_host(work, "measure", host, variables={"measure_path": vault.where.path}, secrets=secrets)


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """What was found out; the engine ends or prolongs pauses by it."""
    if outcome.error is not None:
        return Settlement(error=outcome.error, warnings=outcome.warnings)
    room = facts.room(outcome.facts)
    if room is None:
        raise Refused(ErrorCode.UNPARSABLE, "the host did not say how much room there is; look at the job's output")
    return Settlement(warnings=outcome.warnings, room=room)
