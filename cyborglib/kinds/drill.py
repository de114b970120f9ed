"""Proving that an archive can be restored: bringing it back where nothing else is, and comparing.

On the controller, as who lists vaults there; or on a client that the policy names for it, which is let into the vault
for as long as it takes if its own keys do not open that. A vault in a folder of a client is opened on that client.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from ..errors import ErrorCode, JobError, NotFound
from ..executor import Host, Outcome
from ..model import Client, Policy, Proof
from ..planning import accessible
from ..secret import Secret
from . import check
from .controller import explained, listing
from .hosts import become_secrets, borg_variables, client_host, key_path, repository_host, unpinned
from .rekeying import passphrases
from .work import Assignment, Refused, Settlement, Work, on_host, refuse_unready

#: How a drill can prove something.
HOW = frozenset({"sample", "all", "read", "loaded", "booted", "verified"})
#: The archive itself may be why such a drill failed; after other errors it is as good as it was.
ITS_OWN = frozenset({ErrorCode.NOT_PROVED, ErrorCode.LOAD_FAILED, ErrorCode.VAULT_DAMAGED})
#: So begins what a drill says of a doubtful archive; another one that goes well takes back only such a doubt.
DOUBT = "a restore drill failed: "
_MOST = 2**62
#: Of how many files the catalogue is asked.
_LOOKED_UP = 40


def assign(work: Work) -> Assignment:
    """A run that restores, where the policy says."""
    archive, vault, repository, policy, job = work.archive, work.vault, work.repository, work.policy, work.job
    assert archive is not None
    assert vault is not None
    assert repository is not None
    if vault.suspect:
        raise Refused(
            ErrorCode.VAULT_DAMAGED,
            f"{vault.location} is suspect: {vault.suspect}. A drill would prove nothing there; look into it first",
        )
    others: tuple[Host, ...] = unpinned(repository, vault, work.settings)
    lends = work.client is not None and not vault.where.local and not accessible(work.client, vault)
    if work.client is None:
        host, variables, secrets = listing(work, f"job-{job.id}")
        variables |= {"borg_memory_limit": check.MEMORY, "borg_cpu_limit": job.timeout}
    elif lends:
        host, others, variables, secrets = _lent(work, work.client)
    else:
        refuse_unready(work, work.client)
        host = client_host(work.client, f"job-{job.id}", work.settings)
        variables = borg_variables(job, repository, vault, work.settings)
        variables["borg_ssh_key"] = key_path(work.client, vault)
        secrets = become_secrets(work.client) | passphrases(vault)
    run_variables, more, hidden = _role(work, policy)
    variables |= {
        "borg_archive": archive.name,
        "borg_archive_id": archive.borg_id,
        "borg_part": archive.part,
        "borg_stream": bool(job.options.get("stream")),
        "borg_scratch": _scratch(work),
        "borg_sample_files": 0 if job.options.get("whole") else int(job.options.get("files") or 1),
        "borg_sample_bytes": int(job.options.get("bytes") or 0),
    }
    return on_host(
        work,
        "drill_elsewhere" if lends else "drill",
        host,
        variables=variables | more,
        secrets=secrets,
        hidden=hidden,
        others=others,
        run_variables=run_variables,
    )


def _role(work: Work, policy: Policy | None) -> tuple[dict[str, str], dict[str, Any], dict[str, Secret]]:
    """The role that does more than read, its variables and secrets; nothing where it is Borg's own."""
    if not work.job.options.get("load"):
        return {}, {}, {}
    assert work.role is not None
    if policy is None or policy.type != work.job.options.get("type"):
        raise Refused(ErrorCode.BAD_ARGUMENTS, "the policy that made this archive is of another type now")
    role, variables, secrets = work.role(policy.type, policy.drill.options, drill=True)
    return {"cyborg_drill_role": role}, dict(variables), dict(secrets)


def _scratch(work: Work) -> str:
    """The folder for what is restored, which is made by the drill and gone after it."""
    name = f"drill-{work.job.id}.{work.job.attempt}"
    if work.client is not None:
        return f"/var/tmp/cyborg-drills/{name}"  # noqa: S108 - made by root, for itself alone
    account = work.settings.controller_account
    return f"{f'~{account}/.local/state/cyborglib' if account else work.state_dir}/drills/{name}"


def _lent(work: Work, client: Client) -> tuple[Host, tuple[Host, ...], dict[str, Any], dict[str, Secret]]:
    """A client that is let into the vault by a key for this job only. As the policy trusts it, the vault keeps its
    passphrase, which this client hears."""
    vault, repository, job = work.vault, work.repository, work.job
    assert vault is not None
    assert repository is not None
    if not client.ready:
        message = f"{client.hostname}, where this drill is to be, is not ready: call prepare(client) first"
        raise Refused(ErrorCode.BAD_ARGUMENTS, message, skip=True)
    if not repository.managed:
        raise Refused(
            ErrorCode.UNSUPPORTED,
            f"{client.hostname} cannot be let into {vault.location}, whose host is not managed: leave the drill's host "
            "out, and it is done on the controller",
        )
    variables = borg_variables(job, repository, vault, work.settings)
    variables |= {
        "cyborg_repository_host": f"repository-{vault.repository}",
        "drill_key": f"drill-{job.id}",
        "drill_vault": vault.id,
        "drill_account": vault.where.user,
        "drill_folder": vault.where.path,
        "drill_seconds": job.timeout,
    }
    others = (repository_host(repository, work.settings),)
    secrets = become_secrets(client, repository) | passphrases(vault)
    return client_host(client, f"job-{job.id}", work.settings), others, variables, secrets


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """What was proved; or that the archive is doubtful, and where Borg says that data is damaged, the vault suspect."""
    archive, error = work.archive, outcome.error
    assert archive is not None
    if error is not None:
        settlement = Settlement(error=explained(work, error), warnings=outcome.warnings)
        if error.code is ErrorCode.VAULT_DAMAGED:
            settlement = check.suspect(work, error)
        return evolve(settlement, doubt=_doubt(archive.doubtful, error)) if error.code in ITS_OWN else settlement
    proof = _proof(work, outcome.facts)
    if differing := _differing(work, outcome.facts):
        error = JobError(
            ErrorCode.NOT_PROVED,
            f"{archive.name} holds other files than the catalogue took in: {'; '.join(differing[:3])}. Find out "
            "whether somebody replaced it, or call rebuild, which reads its contents anew",
        )
        return Settlement(error=error, warnings=outcome.warnings, doubt=_doubt(archive.doubtful, error))
    doubt = "" if archive.doubtful.startswith(DOUBT) else None
    return Settlement(warnings=outcome.warnings, proof=proof, doubt=doubt)


def _doubt(before: str, error: JobError) -> str:
    """What another one said of it is not written over."""
    return before if before and not before.startswith(DOUBT) else DOUBT + error.message


def _differing(work: Work, facts: Mapping[str, Any]) -> list[str]:
    """What some of the files that were restored have else than in the catalogue; nothing if that does not know them."""
    archive, told = work.archive, facts.get("sampled", [])
    assert archive is not None
    if not isinstance(told, list | tuple) or not all(_is_file(one) for one in told):
        raise Refused(ErrorCode.UNPARSABLE, "the drill ended without saying what it restored; look at the job's output")
    differing = []
    for path, size in told[:_LOOKED_UP]:
        try:
            entry = work.cataloged(archive.id or 0, f"/{path}")
        except NotFound:
            return []  # Its contents were not taken in.
        if entry is None or entry.type != "-":
            differing.append(f"/{path} is no file there")
        elif entry.size != size:
            differing.append(f"/{path} has {size} bytes, and {entry.size} there")
    return differing


def _is_file(told: Any) -> bool:
    return isinstance(told, list | tuple) and len(told) == 2 and isinstance(told[0], str) and isinstance(told[1], int)


def _proof(work: Work, facts: Mapping[str, Any]) -> Proof:
    archive = work.archive
    assert archive is not None
    amounts = {name: facts.get(name, 0) for name in ("files", "bytes", "tables", "rows")}
    seconds = facts.get("seconds")
    right = all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < _MOST for n in amounts.values())
    if facts.get("how") not in HOW or not right or not isinstance(seconds, int | float) or not 0 <= seconds < 10**9:
        raise Refused(ErrorCode.UNPARSABLE, "the drill ended without saying what it proved; look at the job's output")
    return Proof(
        archive=archive.id or 0,
        how=str(facts["how"]),
        proved_at=work.now,
        policy=archive.policy,
        client=archive.client,
        job=work.job.id,
        seconds=float(seconds),
        **amounts,
    )
