"""The runs of one engine: each a thread in which the executor works some jobs."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from attrs import evolve

from ..errors import ErrorCode, JobError
from ..executor import Executor, Run
from ..kinds import LOOKED_FOR, recovery
from ..store import Store
from .at_work import Assigned, AtWork
from .control import EngineControl
from .outbox import Outbox
from .recording import ASKED
from .scribe import Scribe
from .trouble import Trouble

logger = logging.getLogger("cyborglib")

#: Where the store keeps its number.
STORE_NUMBER = "store_number"
SILENT = "the run ended without saying how this job did; look at its output, and launch it again"


class Runs:
    """Hands jobs to the executor, and settles what that leaves without an end."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        scribe: Scribe,
        at_work: AtWork,
        executor: Callable[[], Executor],
        *,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._scribe = scribe
        self._at_work = at_work
        self._new_executor = executor
        self._clock = clock
        self._making = threading.Lock()
        self._executor: Executor | None = None

    def start(self, members: Sequence[Assigned]) -> None:
        """Work jobs of one playbook in one run, in a thread of its own."""
        with self._outbox.committing():
            members = [member for member in members if not member.over and not member.detached]
            self._at_work.add(members)
        if not members:
            return
        try:
            threading.Thread(target=self._run, args=(members,), name="cyborglib-run", daemon=True).start()
        except RuntimeError as error:
            logger.exception("no thread could be started")
            self._settle(
                members, JobError(ErrorCode.INTERNAL, f"no thread could be started: {error}"), self._control(members)
            )

    def _run(self, members: Sequence[Assigned]) -> None:
        error = JobError(ErrorCode.LOST, SILENT)
        control = self._control(members)
        try:
            executor = self._executor_for(members)
            if executor is None:
                return
            executor.execute(self._as_run(members), control)
        except BaseException as problem:
            # Also what would only end this thread: nobody else knows of these jobs.
            logger.exception("a run failed")
            error = JobError(ErrorCode.INTERNAL, f"the run could not be worked: {problem}")
        self._settle(members, error, control)

    def _settle(self, members: Iterable[Assigned], error: JobError, control: EngineControl) -> None:
        """End what a run left without an end. Where Borg may be at work over there, ask how it stands first."""
        left = [member for member in members if control.open(member) and not member.detached]
        asked = [member for member in left if _to_ask(member)]
        for member in left:
            if member not in asked:
                recovered = member.host_run.recover or member.lost is not None
                # One that was asked for in vain, and is not looked for, is not tried again: it may still be at work.
                permanent = error.permanent or (recovered and member.work.job.kind not in LOOKED_FOR)
                control.abandon(member.id, evolve(error, permanent=permanent), gone=not recovered)
        for member in asked:
            member.recover()
        self.start(asked)

    def _look(self, member: Assigned, why: JobError) -> bool:
        """Look for what a job left in the vault, in a run of its own. False if that cannot be done."""
        try:
            member.look(recovery.assign(member.work), why)
        except Exception:
            logger.exception("job %s cannot be looked for", member.id)
            return False
        self.start([member])
        return True

    def _control(self, members: Iterable[Assigned]) -> EngineControl:
        by_id = {member.id: member for member in members}
        return EngineControl(
            self._store, self._outbox, self._scribe, by_id, clock=self._clock, look=self._look
        )

    def _as_run(self, members: Sequence[Assigned]) -> Run:
        assignment = members[0].assignment
        assert assignment is not None
        return Run(
            id=secrets.token_hex(6),
            playbook=assignment.playbook,
            store=self._store_number(),
            hosts=tuple(member.host_run for member in members),
            variables=assignment.run_variables,
            connect_timeout=members[0].work.settings.connect_timeout,
        )

    def _store_number(self) -> str:
        """What tells this store from every other one, made with the first run."""
        number = self._store.get_meta(STORE_NUMBER)
        if number is None:
            with self._store.transaction():
                number = self._store.get_meta(STORE_NUMBER)
                if number is None:
                    number = str(secrets.randbits(48))
                    self._store.set_meta(STORE_NUMBER, number)
        return number

    # Going away

    def detach(self, owner: str) -> None:
        """End the runs and leave Borg at work on the clients; the next engine takes the jobs over at once."""
        members = self._at_work.all()
        for member in members:
            member.detached = True
        try:
            self.drop_executor()
        finally:
            with self._outbox.committing():
                for member in members:
                    member.over = True
                    self._at_work.remove(member)
            self._outbox.wake()
            try:
                self._store.jobs.release(owner)
            except Exception as error:
                if not Trouble().passes(error, "the leases of what is at work run out by themselves"):
                    raise

    def drop_executor(self) -> None:
        """Close the executor, if there is one; the next run gets a new one."""
        with self._making:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.close()

    def _executor_for(self, members: Iterable[Assigned]) -> Executor | None:
        """The executor, made when it is first needed; None for jobs from which this engine has gone away."""
        with self._making:
            if any(member.detached for member in members):
                return None
            if self._executor is None:
                self._executor = self._new_executor()
            return self._executor


def _to_ask(member: Assigned) -> bool:
    """True for a job that may be at work on its host, and was not asked for yet."""
    begun = member.began is not None and member.work.job.kind in ASKED
    return begun and not member.host_run.recover and member.lost is None
