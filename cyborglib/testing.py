"""For hosts' tests and ours: an executor that touches nothing, and a clock that stands where it is put."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from .errors import ErrorCode, JobError
from .executor import Control, HostRun, Outcome, Run

__all__ = ["FakeExecutor", "FixedClock"]


class FakeExecutor:
    """Answers every job with what `answer` says: an `Outcome`, or an exception, which fails the run.

    Each job takes `seconds`, in which it can be canceled. `runs` keeps what was handed over, in order.
    """

    def __init__(self, answer: Callable[[HostRun], Outcome | Exception], *, seconds: float = 0.0) -> None:
        self._answer = answer
        self._seconds = seconds
        self.runs: list[Run] = []
        self._lock = threading.Lock()

    def execute(self, run: Run, control: Control) -> None:
        """Work all jobs of the run at the same time."""
        with self._lock:
            self.runs.append(run)
        for host in run.hosts:
            control.started(host.job)
        end = time.monotonic() + self._seconds
        waiting = list(run.hosts)
        while waiting:
            late = time.monotonic() >= end
            for host in list(waiting):
                if control.canceled(host.job):
                    control.ended(host.job, Outcome(error=JobError(ErrorCode.CANCELED, "canceled")))
                elif late:
                    answer = self._answer(host)
                    if isinstance(answer, Exception):
                        raise answer
                    control.ended(host.job, answer)
                else:
                    continue
                waiting.remove(host)
            if waiting:
                time.sleep(0.01)

    def close(self) -> None:
        """Nothing is kept between runs."""


class FixedClock:
    """A clock that stands until it is moved: `clock.forward(hours=2)`."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> datetime:
        """Move the clock on by a span as `timedelta` takes it."""
        self.now += timedelta(**span)
        return self.now
