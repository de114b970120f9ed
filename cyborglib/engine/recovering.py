"""What becomes of a backup of which nobody knows how it stands: asked again, looked for in the vault, or settled. Pure.

Nothing is begun beside it, and what it holds stays held, until its host has said that nothing of it is at work, or
until its time, which its host keeps too, is over.
"""

from __future__ import annotations

import enum
from datetime import timedelta

from ..errors import ErrorCode
from ..executor import Outcome
from ..kinds import LOOKED_FOR, Work
from .at_work import Assigned

#: Seconds beyond a job's own time after which its host has ended it, even one whose clock and ours differ somewhat.
BEYOND = 3600
#: The longest pause, in seconds, before a host is asked again.
LONGEST = 1800


class Step(enum.Enum):
    """What is to be done now."""

    END = "settle it"
    LATER = "leave it at work, and ask its host again later"
    LOOK = "look into the vault"


def next_step(assigned: Assigned, outcome: Outcome) -> Step:
    """What an outcome leads to."""
    job, error = assigned.work.job, outcome.error
    if error is None or job.kind not in LOOKED_FOR:
        return Step.END
    if assigned.lost is not None:
        # It was looked for. What keeps that from being done may pass.
        return Step.END if error.permanent or overdue(assigned.work) else Step.LATER
    if error.code is ErrorCode.LOST and outcome.gone:
        return Step.LOOK
    if outcome.gone or not (assigned.host_run.recover or error.code is ErrorCode.LOST):
        return Step.END
    return Step.LOOK if overdue(assigned.work) else Step.LATER


def overdue(work: Work) -> bool:
    """True once the job's time is over for long enough."""
    job = work.job
    return job.started_at is not None and work.now > job.started_at + timedelta(seconds=job.timeout + BEYOND)


def pause(work: Work) -> float:
    """Seconds until it is asked again: each time longer, and it is another engine's token each time."""
    delays = work.settings.retry_delays or (10,)
    asked = max(work.fence - 1, 0)
    if asked < len(delays):
        return float(delays[asked])
    return min(delays[-1] * 2.0 ** min(asked - len(delays) + 1, 12), max(LONGEST, delays[-1]))
