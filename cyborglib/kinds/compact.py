"""Freeing the space of what was deleted. After it nobody brings that back, so it waits some days, and looks twice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import evolve

from ..errors import ErrorCode
from ..executor import Outcome
from ..secret import Secret
from . import upkeep
from .work import Assignment, Settlement, Work


def assign(work: Work) -> Assignment:
    """A run that compacts, if what was deleted is old enough and there is no reason to hold it."""
    upkeep.refuse(work)
    vault = work.vault
    assert vault is not None
    if vault.deleted_at is not None:
        ripe = upkeep.later(vault.deleted_at, work.settings.compact_after)
        if work.now < ripe:
            reason = (
                f"archives of {vault.location} were deleted on {vault.deleted_at:%Y-%m-%d %H:%M} UTC, and can be "
                f"brought back until {ripe:%Y-%m-%d %H:%M} UTC: the setting compact_after says for how many days"
            )
            raise upkeep.held(work, ErrorCode.PRUNE_HELD, reason)
    return upkeep.assignment(work, compact=True)


def settle(work: Work, outcome: Outcome, kept: Mapping[str, Secret]) -> Settlement:
    """What the vault's host says of it afterwards is what is counted from."""
    settlement = upkeep.settled(work, outcome, kept)
    if settlement.error is not None:
        return settlement
    changes: dict[str, Any] = {**settlement.vault, "unsettled_at": None, "deleted_at": None, "compact_at": None}
    if (baseline := upkeep.baseline(work, outcome.facts)) is not None:
        changes["baseline"] = baseline
    return evolve(settlement, vault=changes)
