"""What callers of the verbs give, made into what is meant: objects, ids and names, and the like."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .errors import Invalid
from .model import Client, Job
from .model.client import as_key_line, check_key_line
from .model.fields import shown


def key(value: Any, kind: type[Any]) -> Any:
    """What the shelf of a class is asked for: the id of an object of that class, else an id or name as it is."""
    if isinstance(value, kind):
        found: int | None = value.id
        if found is None:
            raise Invalid(f"this {kind.__name__.lower()} has no id yet: add it first, and use what `add` gives back")
        return found
    # An object of another class must not act on whatever has its id here.
    if isinstance(value, bool) or not isinstance(value, int if kind is Job else int | str):
        raise Invalid(f"{shown(value)} is not a {kind.__name__.lower()}: give one, or its id")
    return value


def keys(jobs: Iterable[Job | int] | Job | int) -> list[int]:
    """The ids of jobs; of one, where one was given."""
    if isinstance(jobs, Job | int):
        jobs = [jobs]
    if not isinstance(jobs, Iterable):
        raise Invalid(f"give a list of jobs, not {shown(jobs)}")
    return [key(job, Job) for job in jobs]


def clients(members: Iterable[Client | int | str] | Client | int | str) -> list[int | str]:
    """What the shelf of clients is asked for; for one, where one was given."""
    if isinstance(members, Client | int | str):
        members = [members]
    if not isinstance(members, Iterable):
        raise Invalid(f"clients must be a list of clients, not {shown(members)}")
    return [key(client, Client) for client in members]


def only(value: object, *kinds: type[Any]) -> None:
    """Refuse all but objects of these classes."""
    if not isinstance(value, kinds):
        wanted = " or a ".join(kind.__name__.lower() for kind in kinds)
        raise Invalid(f"{shown(value)} is not a {wanted}: give the object itself, as an id does not say what it is of")


def truth(what: str, value: object) -> bool:
    """True or False, and nothing that only counts as such."""
    if not isinstance(value, bool):
        raise Invalid(f"{what} must be True or False, not {shown(value)}")
    return value


def host_key(fingerprint: str | None) -> str:
    """The line to pin for a fingerprint or a key; "" for None."""
    line = "" if fingerprint is None else as_key_line(fingerprint)
    if fingerprint is not None and not line:
        raise Invalid("the fingerprint is empty; leave it out to forget the key that is pinned")
    check_key_line(None, None, line)
    return line
