"""Which jobs of a run are still open, and the only way for one to end."""

from __future__ import annotations

import logging
import threading
import time

from ..errors import ErrorCode, JobError
from ..executor import Control, HostRun, Outcome, Run
from .redaction import Redactor

logger = logging.getLogger("cyborglib")


class Ledger:
    """The open jobs of one run. Each ends once, whoever tells it first. May be used by any thread."""

    def __init__(self, run: Run, control: Control, redactor: Redactor) -> None:
        self._control, self._redactor = control, redactor
        self._lock = threading.Lock()
        self._open = {work.job: work for work in run.hosts}
        self._canceled: dict[int, float] = {}
        self.by_host = {work.host.name: work for work in run.hosts}

    @property
    def open(self) -> list[HostRun]:
        """The jobs that have not ended."""
        with self._lock:
            return list(self._open.values())

    def get(self, job: int) -> HostRun | None:
        """An open job."""
        with self._lock:
            return self._open.get(job)

    def end(self, job: int, outcome: Outcome) -> bool:
        """Tell how a job ended. True once it is committed; False if that was not ours to tell (any more)."""
        with self._lock:
            work = self._open.pop(job, None)
        if work is None:
            return False
        try:
            return self._control.ended(job, outcome)
        except Exception:
            # It is told again by nobody: without an end, it is lost, which is what the engine settles.
            logger.exception("the end of job %s could not be recorded", job)
            return False

    def fail(self, job: int, code: ErrorCode, message: str) -> None:
        """End a job with an error."""
        self.end(job, Outcome(error=JobError(code, self._redactor.clean(message))))

    def canceled_for(self, job: int) -> float | None:
        """For how many seconds an open job is known to be canceled; None if it is not."""
        if job not in self._canceled:
            try:
                if not self._control.canceled(job):
                    return None
            except Exception:
                logger.exception("it could not be asked whether job %s was canceled", job)
                return None
            self._canceled[job] = time.monotonic()
        return time.monotonic() - self._canceled[job]

    def all_canceled_for(self) -> float:
        """For how many seconds all open jobs are canceled; 0 if one is not, or if there are none."""
        times = [self.canceled_for(work.job) for work in self.open]
        return min((0.0 if seconds is None else seconds for seconds in times), default=0.0)
