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
            self._settle(members, JobError(ErrorCode.INTERNAL, f"no thread could be started: {error}"))

    def _run(self, members: Sequence[Assigned]) -> None:
        error = JobError(ErrorCode.LOST, SILENT)
        try:
            executor = self._executor_for(members)
            if executor is None:
                return
            executor.execute(self._as_run(members), self._control(members))
        except BaseException as problem:
            # Also what would only end this thread: nobody else knows of these jobs.
            logger.exception("a run failed")
            error = JobError(ErrorCode.INTERNAL, f"the run could not be worked: {problem}")
        self._settle(members, error)

    def _settle(self, members: Iterable[Assigned], error: JobError) -> None:
        """End what a run left without an end. Where Borg may be at work over there, ask once how it stands first."""
        left = [member for member in members if member.open and not member.detached]
        begun = [member for member in left if member.began is not None and member.work.job.kind in ASKED]
        asked = [member for member in begun if not member.host_run.recover]
        for member in left:
            if member not in asked:
                # One that was asked for in vain is not tried again: a second Borg would start beside the first.
                permanent = error.permanent or member in begun
                self._control(members).abandon(member.id, evolve(error, permanent=permanent))
        for member in asked:
            member.recover()
        self.start(asked)

    def _control(self, members: Iterable[Assigned]) -> EngineControl:
        by_id = {member.id: member for member in members}
        return EngineControl(self._store, self._outbox, self._scribe, by_id, clock=self._clock)

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
