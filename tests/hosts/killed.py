"""An engine that is killed at a step of a restore or backup, with all that it started here, as if power was lost.

A program of its own, `python -m tests.hosts.killed DATABASE KEY STATE STEP`: it works the queue up to that step.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import cyborglib as cy
from cyborglib.engine import recording, scribe
from cyborglib.engine.control import EngineControl
from cyborglib.store.shelves import VaultShelf

#: The next passphrase is in the store; the target works; Borg has changed the passphrase and nobody here heard of it;
#: the library heard of it; the job's end, with all that it says, is about to be written.
STEPS = ("promised", "lent", "changed", "kept", "unwritten")
#: Of a backup: some megabytes of it are on their way.
STREAMING = "streaming"
#: Of a backup: the host has begun it, by its prehook if it has one.
BEGUN = "begun"


def children(pid: int) -> Iterator[int]:
    """A process's descendants, the deepest first."""
    with suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                yield from children(int(child))
                yield int(child)


def die() -> None:
    """End this process and all that it started. What became of its session, Borg with its agent, goes on."""
    for child in children(os.getpid()):
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def always(*_: Any, **__: Any) -> bool:
    return True


def dies_after(owner: Any, name: str, when: Callable[..., bool] = always, *, before: bool = False) -> None:
    """Let a call be the last one."""
    real = getattr(owner, name)

    def last(*args: Any, **named: Any) -> Any:
        if before and when(*args, **named):
            die()
        given = real(*args, **named)
        if not before and when(*args, **named):
            die()
        return given

    setattr(owner, name, last)


def at(
    moment: str, when: str, do: Callable[[], None], *, kind: str = "backup", least: int = 2_000_000
) -> Callable[[], None]:
    """Do something once, before or after a job of a kind tells the engine something: `moment` is a method of `Control`.

    Of a backup's progress only what comes when so many bytes of it were read. Gives a call that takes it back.
    """
    real, left = getattr(EngineControl, moment), [do]

    def told(self: EngineControl, job: int, *args: Any, **named: Any) -> Any:
        now = self.job(job).kind == kind and (moment != "progress" or args[0].original_bytes >= least)
        if now and when == "before" and left:
            left.pop()()
        given = real(self, job, *args, **named)
        if now and when == "after" and left:
            left.pop()()
        return given

    setattr(EngineControl, moment, told)
    return lambda: setattr(EngineControl, moment, real)


def prepare(step: str) -> None:
    """Arm one step; at "backup/progress/after" this process alone ends, and nothing that it started."""
    if "/" in step:
        kind, moment, when = step.split("/")
        at(moment, when, lambda: os.kill(os.getpid(), signal.SIGKILL), kind=kind)
    elif step == "promised":
        dies_after(VaultShelf, "promise")
    elif step == "none":
        pass
    elif step == "lent":
        dies_after(EngineControl, "started", lambda self, job: self.job(job).kind == "restore")
    elif step == "changed":
        dies_after(EngineControl, "keep", before=True)
    elif step == "kept":
        dies_after(EngineControl, "keep")
    elif step == "unwritten":
        assert scribe.recording is recording
        dies_after(recording, "record", lambda _store, work, *_: work.job.kind == "restore", before=True)
    elif step == STREAMING:
        dies_after(EngineControl, "progress", lambda _self, _job, progress: progress.original_bytes > 3_000_000)
    elif step == BEGUN:
        dies_after(EngineControl, "started", lambda self, job: self.job(job).kind == "backup")
    else:
        raise SystemExit(f"{step} is none of {(*STEPS, STREAMING, BEGUN)}")


def main() -> None:
    database, key, state, step = sys.argv[1:]
    prepare(step)
    with cy.Cyborg(database, key=Path(key), state_dir=state) as cyborg:
        cyborg.work()


if __name__ == "__main__":
    main()
