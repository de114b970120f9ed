"""A process of its own that works a store: `python -m tests.engine.other_process URL LOG VERB`.

Writes a line "job attempt pid" to LOG for every job it is handed. The key is in $CYBORG_KEY.
"""

from __future__ import annotations

import os
import sys
import threading

import cyborglib as cy
from cyborglib.testing import FakeExecutor


class Noting(FakeExecutor):
    """Writes down what it is handed."""

    def __init__(self, log: str, seconds: float = 0.0) -> None:
        super().__init__(seconds=seconds)
        self.log = log

    def execute(self, run: cy.Run, control: cy.Control) -> None:
        lines = "".join(f"{host.job} {host.attempt} {os.getpid()}\n" for host in run.hosts)
        # One write of few bytes to a file opened so is not mixed with another process's.
        descriptor = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(descriptor, lines.encode())
        os.close(descriptor)
        super().execute(run, control)


def main(url: str, log: str, verb: str) -> None:
    executor = Noting(log, seconds=0.02)
    with cy.Cyborg(url, executor=executor) as cyborg:
        if verb == "work":
            cyborg.work()
        elif verb == "wait":
            print(*(job.status for job in cyborg.wait(cyborg.jobs)))
        elif verb == "hang":
            executor._seconds = 3600
            cyborg.on(cy.JobStarted)(lambda event: print("started", event.job.id, flush=True))
            threading.Thread(target=cyborg.work, daemon=True).start()
            sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
