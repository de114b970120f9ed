"""The lines that the console prints, for every kind of event."""

from __future__ import annotations

import io

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import cyborglib as cy
from cyborglib import events
from cyborglib.console import console, describe, size

JOB = cy.Job(kind="backup", policy_name="etc", client_name="web1", id=1)
STATS = cy.Stats(files=12, original_bytes=34_500_000, deduplicated_bytes=999, seconds=1.25)
PROGRESS = cy.Progress(files=3, original_bytes=2_500, deduplicated_bytes=10, path="/etc/hosts")
LOCKED = cy.JobError("lock_held", "the vault is locked")

LINES = [
    (cy.JobQueued(job=JOB), "queued   backup etc of web1"),
    (cy.VaultPaused(vault=7, code="vault_full", reason="full"), "PAUSED   vault 7: full"),
    (cy.VaultResumed(vault=7), "resumed  vault 7: there is room"),
    (cy.ClientPaused(client=3, reason="full"), "PAUSED   client 3: full"),
    (cy.ClientResumed(client=3), "resumed  client 3: there is room"),
    (cy.StoreAway(reason="full"), "AWAY     the database: full"),
    (cy.StoreBack(), "back     the database"),
    (cy.SpaceLow(vault=7, free=10**9, total=10**10), "LOW      1.0 GB of 10.0 GB are free where vault 7 lies"),
    (
        cy.JobQueued(job=evolve(JOB, status="waiting", reason="waits for job 3")),
        "queued   backup etc of web1 (waits for job 3)",
    ),
    (cy.JobStarted(job=JOB), "started  backup etc of web1"),
    (
        cy.JobProgressed(job=JOB, progress=PROGRESS),
        "backup etc of web1: 3 files, 2.5 kB, 10 B new  /etc/hosts",
    ),
    (
        cy.JobProgressed(job=JOB, progress=evolve(PROGRESS, path="", fraction=0.256, remaining=61.4)),
        "backup etc of web1: 3 files, 2.5 kB, 10 B new, about 26%, 0:01:01 left",
    ),
    (cy.JobOutput(job=JOB, line="reading /etc"), "  | reading /etc"),
    (cy.JobSucceeded(job=JOB), "done     backup etc of web1"),
    (
        cy.JobSucceeded(job=evolve(JOB, stats=STATS, warnings=["a", "b"])),
        "done     backup etc of web1: 12 files, 34.5 MB, 999 B new, 1.2 s\n  warning: a\n  warning: b",
    ),
    (cy.JobFailed(job=JOB, error=LOCKED), "FAILED   backup etc of web1: the vault is locked"),
    (cy.JobRetried(job=JOB, error=LOCKED), "again    backup etc of web1, as it failed: the vault is locked"),
    (cy.JobCanceled(job=JOB), "canceled backup etc of web1"),
    (cy.JobSkipped(job=evolve(JOB, reason="job 3 failed")), "skipped  backup etc of web1: job 3 failed"),
    (cy.ArchiveConfirmed(job=JOB, archive="etc+web1"), "  confirmed by the controller: etc+web1"),
    (cy.HostKeyAccepted(name="web1", fingerprint="SHA256:x"), "accepted the host key of web1: SHA256:x"),
    (cy.ArchiveForeign(job=JOB, archive="by hand"), "  made by somebody else: by hand"),
    (cy.ArchiveForeign(job=JOB, archive="etc+web1", reason="odd"), "  made by somebody else: etc+web1 (odd)"),
    (
        cy.ArchiveProved(job=JOB, archive="etc+web1", proof=cy.Proof(archive=8, how="sample", files=3, bytes=2500)),
        "  proved (sample): 3 files, 2.5 kB in 0.0 s: etc+web1",
    ),
    (
        cy.ArchiveProved(job=JOB, archive="db", proof=cy.Proof(archive=8, how="loaded", tables=2, rows=9, seconds=4.2)),
        "  proved (loaded): 2 tables, 9 rows, 0 B in 4.2 s: db",
    ),
    (cy.VaultSuspected(vault=7, reason="an archive is gone"), "SUSPECT  vault 7: an archive is gone"),
    (cy.VaultRekeyed(vault=7), "vault 7 has another passphrase now"),
    (cy.ArchivesPruned(job=JOB, archives=("a", "b")), "  pruned: a, b"),
    (cy.PruneHeld(vault=7, reason="it is\nodd"), "HELD     prune of vault 7: it is odd"),
    (cy.ArchiveDoubtful(job=JOB, archive="a", reason="it is small"), "DOUBTFUL a: it is small"),
    (cy.ClockDoubtful(reason="It is ahead."), "CLOCK    It is ahead."),
    (cy.KitOutdated(reason="there is no kit"), "note: there is no kit"),
]
#: Events that the console says nothing of; a new one stands here or in LINES.
SILENT = {events.Event, events.JobEvent}


class Terminal(io.StringIO):
    """A standard output that is a terminal, of an encoding."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


class Latin(io.StringIO):
    """One that is not, and knows few letters."""

    encoding = "ascii"

    def write(self, text: str) -> int:
        text.encode("ascii")
        return super().write(text)


@pytest.mark.parametrize(("event", "line"), LINES, ids=lambda value: type(value).__name__)
def test_lines(event, line):
    assert describe(event) == line


def test_every_event_has_a_line_or_is_left_out_on_purpose():
    ours = {kind for kind in vars(events).values() if isinstance(kind, type) and issubclass(kind, events.Event)}
    assert {type(event) for event, _ in LINES} | SILENT == ours
    assert describe(cy.Event()) is None
    assert describe(events.JobEvent(job=JOB)) is None


def test_what_is_not_a_terminal_gets_lines(monkeypatch):
    out = Latin()
    monkeypatch.setattr("sys.stdout", out)
    console(cy.JobStarted(job=JOB))
    console(cy.JobProgressed(job=JOB, progress=evolve(PROGRESS, path="/etc/büro")))
    console(cy.Event())
    assert out.getvalue().splitlines() == [
        "started  backup etc of web1",
        "  backup etc of web1: 3 files, 2.5 kB, 10 B new  /etc/b\\xfcro",
    ]


def test_progress_stays_on_its_line_of_a_terminal(monkeypatch):
    out = Terminal()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("COLUMNS", "40")
    console(cy.JobProgressed(job=JOB, progress=evolve(PROGRESS, path="/long" * 50)))
    console(cy.JobSucceeded(job=JOB))
    progress, done = out.getvalue().split("\x1b[K")[:2]
    assert progress == "\r  backup etc of web1: 3 files, 2.5 kB, "
    assert len(progress) == 1 + 39
    assert done == "\rdone     backup etc of web1"
    assert out.getvalue().endswith("\x1b[K\n")


hostile = st.text(st.sampled_from("ab\n\r\t\x00\x07\x1b[2J\x7f\x85\u2028\u202e\u200b\udcff é"), max_size=20)


@settings(max_examples=100, deadline=None)
@given(text=hostile)
def test_nothing_that_a_host_says_moves_the_cursor_or_begins_a_line(text):
    said = [
        cy.JobQueued(job=evolve(JOB, reason=text)),
        cy.JobProgressed(job=JOB, progress=evolve(PROGRESS, path=text)),
        cy.JobOutput(job=JOB, line=text),
        cy.JobSucceeded(job=evolve(JOB, warnings=[text])),
        cy.JobFailed(job=JOB, error=cy.JobError("internal", text)),
        cy.JobRetried(job=JOB, error=cy.JobError("internal", text)),
        cy.JobSkipped(job=evolve(JOB, reason=text)),
        cy.ArchiveConfirmed(job=JOB, archive=text),
        cy.ArchiveForeign(job=JOB, archive=text, reason=text),
        cy.HostKeyAccepted(name="web1", fingerprint=text),
        cy.VaultSuspected(vault=7, reason=text),
    ]
    for event in said:
        lines = describe(event).split("\n")
        assert len(lines) == 1 + isinstance(event, cy.JobSucceeded)
        assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (1_500_000, "1.5 MB"),
        (2 * 10**9, "2.0 GB"),
        (10**15, "1.0 PB"),
        (10**19, "10000.0 PB"),
    ],
)
def test_sizes(count, text):
    assert size(count) == text
