"""A ready listener that prints what happens: `cyborg.on(cy.Event)(cy.console)`."""

from __future__ import annotations

import sys
from datetime import timedelta

from .events import (
    ArchiveConfirmed,
    Event,
    HostKeyAccepted,
    JobCanceled,
    JobFailed,
    JobOutput,
    JobProgressed,
    JobQueued,
    JobRetried,
    JobSkipped,
    JobStarted,
    JobSucceeded,
    KitOutdated,
    VaultSuspected,
)
from .model import Job, Progress

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
#: Clears what is left of a longer line that stood there.
_CLEAR = "\x1b[K"


def console(event: Event) -> None:
    """Print an event as a line; progress in place where standard output is a terminal."""
    text = describe(event)
    if text is None:
        return
    terminal = sys.stdout.isatty()
    if isinstance(event, JobProgressed):
        if terminal:
            sys.stdout.write(f"\r  {text}{_CLEAR}")
        else:
            sys.stdout.write(f"  {text}\n")
    else:
        sys.stdout.write(f"\r{text}{_CLEAR}\n" if terminal else f"{text}\n")
    sys.stdout.flush()


def describe(event: Event) -> str | None:
    """An event in words; None for one that people need not see."""
    match event:
        case JobProgressed():
            return f"{event.job.title}: {_progress(event.progress)}"
        case JobOutput():
            return f"  | {event.line}"
        case JobQueued():
            return f"queued   {event.job.title}" + (f" ({event.job.reason})" if event.job.reason else "")
        case JobStarted():
            return f"started  {event.job.title}"
        case JobSucceeded():
            return f"done     {event.job.title}{_stats(event.job)}" + "".join(
                f"\n  warning: {warning}" for warning in event.job.warnings
            )
        case JobFailed():
            return f"FAILED   {event.job.title}: {event.error}"
        case JobRetried():
            return f"again    {event.job.title}, as it failed: {event.error}"
        case JobCanceled():
            return f"canceled {event.job.title}"
        case JobSkipped():
            return f"skipped  {event.job.title}: {event.job.reason}"
        case HostKeyAccepted():
            return f"accepted the host key of {event.name}: {event.fingerprint}"
        case ArchiveConfirmed():
            return f"  confirmed by the controller: {event.archive}"
        case VaultSuspected():
            return f"SUSPECT  vault {event.vault}: {event.reason}"
        case KitOutdated():
            return f"note: {event.reason}"
        case _:
            return None


def size(count: int) -> str:
    """A number of bytes for people: 1000 is 1.0 kB."""
    value = float(count)
    for unit in _UNITS:
        if value < 1000 or unit == _UNITS[-1]:
            return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")


def _progress(progress: Progress) -> str:
    parts = [f"{progress.files} files", size(progress.original_bytes), f"{size(progress.deduplicated_bytes)} new"]
    if progress.fraction is not None:
        parts.append(f"about {progress.fraction:.0%}")
    if progress.remaining is not None:
        parts.append(f"{timedelta(seconds=round(progress.remaining))} left")
    return ", ".join(parts) + (f"  {progress.path}" if progress.path else "")


def _stats(job: Job) -> str:
    if job.stats is None or not job.stats.files:
        return ""
    stats = job.stats
    return (
        f": {stats.files} files, {size(stats.original_bytes)}, {size(stats.deduplicated_bytes)} new, "
        f"{stats.seconds:.1f} s"
    )
