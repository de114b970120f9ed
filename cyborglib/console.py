"""A ready listener that prints what happens: `cyborg.on(cy.Event)(cy.console)`."""

from __future__ import annotations

import shutil
import sys
from datetime import timedelta

from .events import (
    ArchiveConfirmed,
    ArchiveDoubtful,
    ArchiveForeign,
    ArchiveProved,
    ArchivesPruned,
    ClientPaused,
    ClientResumed,
    ClockDoubtful,
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
    PruneHeld,
    SpaceLow,
    StoreAway,
    StoreBack,
    VaultPaused,
    VaultRekeyed,
    VaultResumed,
    VaultSuspected,
)
from .model import Job, JobStatus, Progress, Proof

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
#: Clears what is left of a longer line that stood there.
_CLEAR = "\x1b[K"


def console(event: Event) -> None:
    """Print an event as a line; progress in place where standard output is a terminal."""
    text = describe(event)
    if text is None:
        return
    terminal = sys.stdout.isatty()
    progress = isinstance(event, JobProgressed)
    if progress:
        text = f"  {text}"
    if terminal and progress:
        # What does not fit would begin a new line, and that could not be written over.
        text = text[: shutil.get_terminal_size().columns - 1]
    encoding = sys.stdout.encoding or "utf-8"
    text = text.encode(encoding, "backslashreplace").decode(encoding)
    sys.stdout.write(f"\r{text}{_CLEAR}{'' if progress else chr(10)}" if terminal else f"{text}\n")
    sys.stdout.flush()


def describe(event: Event) -> str | None:
    """An event in words; None for one that people need not see.

    Whatever a host said is in it without the characters that move a terminal's cursor or begin a line.
    """
    match event:
        case JobProgressed():
            return f"{event.job.title}: {_progress(event.progress)}"
        case JobOutput():
            return f"  | {_plain(event.line)}"
        case JobQueued():
            waits = event.job.status is JobStatus.WAITING
            return f"queued   {event.job.title}" + (f" ({_plain(event.job.reason)})" if waits else "")
        case JobStarted():
            return f"started  {event.job.title}"
        case JobSucceeded():
            return f"done     {event.job.title}{_stats(event.job)}" + "".join(
                f"\n  warning: {_plain(warning)}" for warning in event.job.warnings
            )
        case JobFailed():
            return f"FAILED   {event.job.title}: {_plain(str(event.error))}"
        case JobRetried():
            return f"again    {event.job.title}, as it failed: {_plain(str(event.error))}"
        case JobCanceled():
            return f"canceled {event.job.title}"
        case JobSkipped():
            return f"skipped  {event.job.title}: {_plain(event.job.reason)}"
        case HostKeyAccepted():
            return f"accepted the host key of {event.name}: {_plain(event.fingerprint)}"
        case ArchiveConfirmed():
            return f"  confirmed by the controller: {_plain(event.archive)}"
        case ArchiveForeign():
            return f"  made by somebody else: {_plain(event.archive)}" + (event.reason and f" ({_plain(event.reason)})")
        case ArchiveProved(proof=proof):
            return f"  {_proof(proof)}: {_plain(event.archive)}"
        case VaultSuspected():
            return f"SUSPECT  vault {event.vault}: {_plain(event.reason)}"
        case VaultRekeyed():
            return f"vault {event.vault} has another passphrase now"
        case VaultPaused():
            return f"PAUSED   vault {event.vault}: {_plain(event.reason)}"
        case VaultResumed():
            return f"resumed  vault {event.vault}: there is room"
        case ClientPaused():
            return f"PAUSED   client {event.client}: {_plain(event.reason)}"
        case ClientResumed():
            return f"resumed  client {event.client}: there is room"
        case SpaceLow():
            return f"LOW      {size(event.free)} of {size(event.total)} are free where vault {event.vault} lies"
        case StoreAway():
            return f"AWAY     the database: {_plain(event.reason)}"
        case StoreBack():
            return "back     the database"
        case ArchivesPruned():
            return f"  pruned: {_plain(', '.join(event.archives))}"
        case PruneHeld():
            return f"HELD     prune of vault {event.vault}: {_plain(event.reason)}"
        case ArchiveDoubtful():
            return f"DOUBTFUL {_plain(event.archive)}: {_plain(event.reason)}"
        case ClockDoubtful():
            return f"CLOCK    {_plain(event.reason)}"
        case KitOutdated():
            return f"note: {event.reason}"
        case _:
            return None


def size(count: int) -> str:
    """A number of bytes for people: 1000 is 1.0 kB."""
    if count < 1000:
        return f"{count} B"
    value, unit = float(count), 0
    # Rounded first, so that nothing is called 1000.0 of a unit.
    while round(value, 1) >= 1000 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    return f"{value:.1f} {_UNITS[unit]}"


def _plain(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in text)


def _progress(progress: Progress) -> str:
    if not (progress.files or progress.original_bytes):
        return _plain(progress.path) or "at work"
    parts = [f"{progress.files} files", size(progress.original_bytes), f"{size(progress.deduplicated_bytes)} new"]
    if progress.fraction is not None:
        parts.append(f"about {progress.fraction:.0%}")
    if progress.remaining is not None:
        parts.append(f"{timedelta(seconds=round(progress.remaining))} left")
    return ", ".join(parts) + (f"  {_plain(progress.path)}" if progress.path else "")


def _proof(proof: Proof) -> str:
    what = {"loaded": f"{proof.tables} tables, {proof.rows} rows", "booted": "a machine"}
    amount = what.get(proof.how, f"{proof.files} files")
    return f"proved ({proof.how}): {amount}, {size(proof.bytes)} in {proof.seconds:.1f} s"


def _stats(job: Job) -> str:
    if job.stats is None or not job.stats.files:
        return ""
    stats = job.stats
    return (
        f": {stats.files} files, {size(stats.original_bytes)}, {size(stats.deduplicated_bytes)} new, "
        f"{stats.seconds:.1f} s"
    )
