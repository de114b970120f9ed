"""Making a client ready to back up the virtual machines that run on it."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ErrorCode
from ..executor import Outcome
from ..secret import Secret
from .hosts import become_secrets, client_host
from .work import Assignment, Refused, Settlement, Work, on_host


def assign(work: Work) -> Assignment:
    """One run on the hypervisor. No secret but become's password."""
    client, job = work.client, work.job
    assert client is not None
    if not client.ready:
        raise Refused(
            ErrorCode.BAD_ARGUMENTS, f"{client.hostname} is not ready: prepare it first, by prepare(client)", skip=True
        )
    secrets = become_secrets(client)
    variables = {"prepare_hypervisor_provider": str(job.options.get("provider", ""))}
    if job.options.get("scratch"):
        variables["prepare_hypervisor_scratch"] = str(job.options["scratch"])
    return on_host(
        work,
        "prepare_hypervisor",
        client_host(client, f"job-{job.id}", work.settings),
        variables=variables,
        secrets=secrets,
    )


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """Record for which provider it is ready."""
    client = work.client
    assert client is not None
    if outcome.error is not None:
        return Settlement(error=outcome.error, warnings=outcome.warnings)
    ready = dict.fromkeys((*client.providers, str(work.job.options.get("provider", ""))))
    return Settlement(warnings=outcome.warnings, client={"providers": tuple(ready)})
