"""Deleting what a policy's retention does not keep, of one client in one vault.

Which archives go is computed when the job begins (`retention`). They are deleted by their exact names, after each id
was compared once more; before that is sent, it is in the store that they go (`Control.deciding`). So a job that is
killed at any instant leaves archives that are gone and were meant to go, or that go with the next prune.
"""

from __future__ import annotations

from collections.abc import Mapping

from attrs import evolve

from .. import retention
from ..errors import ErrorCode, JobError
from ..events import ArchivesPruned
from ..executor import Outcome
from ..model import Archive
from ..secret import Secret
from . import upkeep
from .foreign import entries
from .work import Assignment, Refused, Settlement, Work


def assign(work: Work) -> Assignment:
    """A run that deletes, if there is something to delete and no reason to hold it."""
    upkeep.refuse(work)
    policy = work.policy
    assert policy is not None
    mine = of_job(work)
    for members in retention.series(mine).values():
        if reason := retention.held(members):
            raise upkeep.held(work, ErrorCode.PRUNE_HELD, reason)
    found = retention.plan(
        mine,
        policy.retention,
        now=work.now,
        timezone=work.timezone,
        share=work.settings.max_prune_share,
    )
    going = [verdict.archive for verdict in found if not verdict.keep]
    if not going:
        raise Refused(ErrorCode.BAD_ARGUMENTS, "the retention keeps all that is there", skip=True)
    return upkeep.assignment(work, going)


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """What is gone now and was to go; anything else that is gone makes the vault suspect."""
    vault = work.vault
    assert vault is not None
    if outcome.error is not None:
        return upkeep.settled(work, outcome, kept)
    deleted = {str(name) for name in outcome.facts.get("deleted") or ()}
    # As the store has it since the deletion was sent.
    recorded = tuple(
        evolve(archive, pruned_at=archive.pruned_at or work.now) if archive.name in deleted else archive
        for archive in work.recorded
    )
    settlement = upkeep.settled(evolve(work, recorded=recorded), outcome, kept)
    there = {one.name for one in entries(outcome.facts)}
    gone = [archive for archive in of_job(work) if archive.name in deleted and archive.name not in there]
    left = sorted(deleted & there)
    changes = {**settlement.vault, "unsettled_at": None}
    if (baseline := upkeep.baseline(work, outcome.facts)) is not None:
        changes["baseline"] = baseline
    if gone:
        changes |= {"deleted_at": work.now, "compact_at": upkeep.later(work.now, work.settings.compact_after)}
    if left and settlement.error is None:
        message = (
            f"Borg was told to delete {left[0]} and said that it did, and it is still there; the next prune tries it"
        )
        settlement = evolve(settlement, error=JobError(ErrorCode.BORG_FAILED, message, permanent=True))
    told = ArchivesPruned(job=work.job, archives=tuple(archive.name for archive in gone))
    return evolve(settlement, vault=changes, events=(*((told,) if gone else ()), *settlement.events))


def of_job(work: Work) -> list[Archive]:
    """The archives that the job is about, without those that are gone on purpose."""
    whose = (work.job.policy, work.job.client)
    mine = [archive for archive in work.recorded if (archive.policy, archive.client) == whose]
    return [archive for archive in mine if not upkeep.is_gone(archive)]
