"""Takes jobs from the queue, and makes of each what the executor gets."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from attrs import evolve

from ..errors import ErrorCode, Invalid, JobError
from ..kinds import KINDS, Refused, Role, Settlement, Work
from ..model import Settings
from ..store import Claim, Store, unavailable
from .at_work import Assigned, AtWork, Ending
from .heart import Heart
from .loading import Loading, refuse_disabled, refuse_moved
from .outbox import Outbox
from .recording import ASKED
from .recovering import overdue
from .runs import Runs
from .scribe import Scribe

logger = logging.getLogger("cyborglib")

GONE = "the engine that worked it is gone; it is done again from the start"


class Hands:
    """Takes no more than there is room for. May be used by any thread."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        scribe: Scribe,
        at_work: AtWork,
        heart: Heart,
        runs: Runs,
        owner: str,
        *,
        clock: Callable[[], datetime],
        state_dir: str,
        role: Role,
        doubt: Callable[[], str],
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._scribe = scribe
        self._at_work = at_work
        self._heart = heart
        self._runs = runs
        self._owner = owner
        self._clock = clock
        self._state_dir = state_dir
        self._role = role
        self._doubt = doubt
        self._taking = threading.Lock()

    def take_over(self) -> None:
        """Take over jobs whose engine is gone, whoever launched them: they hold what others wait for.

        Of those whose Borg may still be at work it is asked how they stand, and nothing is ever started
        beside them; what they hold stays held until that is known.
        """
        with self._taking:
            settings = self._store.settings
            free = settings.parallel - len(self._at_work)
            claims: list[Claim] = []
            for job in self._store.jobs.expired():
                # One in hand whose lease ran out is looked after by the heart.
                if job.id is None or self._at_work.get(job.id) is not None:
                    continue
                if job.kind in ASKED and len(claims) >= free:
                    continue
                claim = self._store.jobs.adopt(job.id, self._owner, settings.lease)
                if claim is None:
                    continue  # Another engine was quicker, or its own came back.
                if job.kind in ASKED:
                    claims.append(claim)
                else:
                    lost = Settlement(error=JobError(ErrorCode.LOST, GONE))
                    self._end(claim, settings, Ending(lost))
            self._hand_over(claims, settings, recover=True)

    def take(self, only: Collection[int] | None) -> None:
        """Take what may start, of `only` or of all."""
        with self._taking:
            settings = self._store.settings
            free = settings.parallel - len(self._at_work)
            if free > 0:
                claims = self._store.jobs.claim(
                    self._owner, limit=free, now=self._clock(), lease=settings.lease, only=only
                )
                self._hand_over(claims, settings)

    def _hand_over(self, claims: Sequence[Claim], settings: Settings, *, recover: bool = False) -> None:
        """Jobs of the same playbook go into one run."""
        loading = Loading(
            self._store, claims, settings, state_dir=self._state_dir, role=self._role, doubt=self._doubt
        )
        groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[Assigned]] = defaultdict(list)
        for claim in claims:
            assigned = self._assigned(claim, loading, recover=recover)
            if assigned is not None and assigned.assignment is not None:
                variables = tuple(sorted(assigned.assignment.run_variables.items()))
                groups[assigned.assignment.playbook, variables].append(assigned)
        for members in groups.values():
            self._runs.start(members)
        if len(self._at_work):
            self._heart.start()

    def _assigned(self, claim: Claim, loading: Loading, *, recover: bool) -> Assigned | None:
        """The claimed job as the executor gets it; None where it cannot be handed over, and has ended."""
        try:
            work = evolve(loading.work(claim, self._clock()), recover=recover)
            if not recover:
                refuse_disabled(work)
                refuse_moved(work)
            assigned = self._assign(work)
        except Exception as error:
            # Whatever it is, it must neither stop the queue nor leave the job unfinished.
            if recover:
                self._ask_later(claim, loading.settings, error)
            else:
                self._end(claim, loading.settings, _why_not(claim, error))
            return None
        if recover:
            assigned.recover()
        return assigned

    def _assign(self, work: Work) -> Assigned:
        """As its kind says; before a vault's passphrase is told to a host, the one that takes its place is kept."""
        kind = KINDS[work.job.kind]
        assignment = kind.assign(work)
        if assignment.lends and work.vault is not None and work.vault.id is not None:
            work = evolve(work, vault=self._store.vaults.promise(work.vault.id))
            assignment = kind.assign(work)
        return Assigned(work, assignment)

    def _ask_later(self, claim: Claim, settings: Settings, error: Exception) -> None:
        """Of a job that may be at work it cannot be asked how it stands: nothing is settled before its time is over."""
        work = Work(job=claim.job, fence=claim.fence, settings=settings, now=self._clock())
        if overdue(work):
            lost = JobError(ErrorCode.LOST, f"its host could not be asked how it stands: {error}", permanent=True)
            self._end(claim, settings, Ending(Settlement(error=lost)))
            return
        if not unavailable(error):
            logger.error("job %s cannot be asked for", claim.job.id, exc_info=error)
        assigned = Assigned(work)
        with self._outbox.committing() as told:
            self._scribe.postpone(assigned, told, str(error))

    def _end(self, claim: Claim, settings: Settings, ending: Ending) -> None:
        """End a claimed job that no executor gets."""
        work = Work(job=claim.job, fence=claim.fence, settings=settings, now=self._clock())
        assigned = Assigned(work, ending=ending)
        self._at_work.add([assigned])
        with self._outbox.committing() as told:
            self._scribe.end(assigned, told)
        if not assigned.over:
            self._heart.start()


def _why_not(claim: Claim, error: Exception) -> Ending:
    if isinstance(error, Refused):
        told = Settlement(error=error.error, events=error.events)
        return Ending(told, skipped=str(error) if error.skip else "")
    if isinstance(error, Invalid):
        return Ending(Settlement(error=JobError(ErrorCode.BAD_ARGUMENTS, str(error))))
    if unavailable(error):
        return Ending(Settlement(), given_back=True)
    logger.error("job %s could not be handed over", claim.job.id, exc_info=error)
    return Ending(Settlement(error=JobError(ErrorCode.INTERNAL, f"the job could not be handed over: {error}")))
