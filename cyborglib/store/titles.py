"""Jobs in words, from their rows."""

from __future__ import annotations

from typing import Any

from ..model import Job, JobStatus


def title(row: Any) -> str:
    """What a person calls the job of a row."""
    names = ("kind", "policy_name", "client_name", "repository_name")
    return Job(**{name: row[name] for name in names}).title


def why_not(row: Any) -> str:
    """Why what needed the job of a row is not done."""
    status, name = row["status"], title(row)
    if status is JobStatus.FAILED:
        return f"{name} failed: {row['error']}"
    if status is JobStatus.SKIPPED:
        return f"{name} was skipped: {row['reason']}"
    return f"{name} was canceled"
