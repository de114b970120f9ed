"""A backup whose host knows nothing of it any more: did it leave its archive in the vault?

The controller looks (on the client where the vault is a folder of that), with the vault held by the job and nothing
of it at work. An archive under the attempt's name is whole, as Borg writes it last: it is the backup. What is not known
is what Borg warned of, so each source is looked for, and the job says that it was recovered.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import evolve

from ..errors import ErrorCode, JobError
from ..executor import ArchiveMade, Outcome
from ..model import Stats
from ..parts import decoded, encoded
from .backup import SEPARATOR, archive_name, worker
from .controller import at_its_client, listing
from .hosts import unpinned
from .work import Assignment, Settlement, Work, on_host

RECOVERED = (
    "recovered: the host lost this backup before anybody heard how it ended, and the controller found its archive in "
    "the vault, whole, with all it was to hold. What Borg warned of, as of files it could not read, is not known"
)


def assign(work: Work) -> Assignment:
    """A look for the archives of the job's attempt."""
    job, vault, repository = work.job, work.vault, work.repository
    assert vault is not None
    assert repository is not None
    name = f"job-{job.id}"
    if vault.where.local:
        host, variables, secrets = at_its_client(work, worker(work), name)
    else:
        host, variables, secrets = listing(work, name)
    return on_host(
        work,
        "recover",
        host,
        variables={**variables, "borg_archive": str(archive_name(work))},
        secrets=secrets,
        others=unpinned(repository, vault, work.settings),
    )


def settle(work: Work, outcome: Outcome, why: JobError) -> Settlement:
    """What was found. `why` is how the job was lost: with it, it fails where its archive is not there.

    Of a backup that makes several nobody knows any more which it was to make: those that are there are recorded, and it
    is done again.
    """
    said = _stop(why.message)
    if outcome.error is not None:
        message = f"{said} Whether it had made its archive could not be found out: {outcome.error.message}"
        return Settlement(error=JobError(ErrorCode.LOST, message, permanent=True))
    found = list(_found(work, outcome.facts))
    whole = [archive for archive, missing in found if not missing and archive.stats.files]
    name = str(archive_name(work))
    if any(archive.name == name for archive in whole):
        return Settlement(archives=tuple(whole), warnings=(RECOVERED,))
    if whole:
        parts = ", ".join(archive.part for archive in whole)
        message = f"{said} Its archives of {parts} are in the vault and stay; what else it was to make is not."
    elif found:
        lacks = "; ".join(f"{archive.name} lacks {', '.join(missing) or 'any file'}" for archive, missing in found)
        message = f"{said} What it left in the vault is no backup ({lacks})."
    else:
        message = f"{said} Its archive is not in the vault."
    return Settlement(error=evolve(why, message=message), archives=tuple(whole))


def _found(work: Work, facts: Mapping[str, Any]) -> Iterable[tuple[ArchiveMade, tuple[str, ...]]]:
    """The attempt's archives, each with those of its sources that are not in it."""
    name = str(archive_name(work))
    roots = work.previous.roots if work.previous is not None else ()
    for entry in facts.get("found") or ():
        said, part = str(entry["name"]), ""
        if said != name:
            part = decoded(said.removeprefix(name + SEPARATOR))
            if said != f"{name}{SEPARATOR}{encoded(part)}":
                continue  # a name so long that only its digest is left: of what it is cannot be said
        stats = Stats(files=int(entry["files"]), original_bytes=int(entry["bytes"]))
        # On which file systems its folders lay is known of the last one that was heard of.
        made = ArchiveMade(
            name=said, borg_id=str(entry["id"]), stats=stats, part=part, roots=roots if not part else ()
        )
        yield made, tuple(map(str, entry.get("missing") or ()))


def _stop(message: str) -> str:
    return message if message.endswith((".", "!", "?")) else message + "."
