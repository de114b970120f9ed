"""Makes a restore into a planned job: what is asked for, where it goes, and whether that can be done."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from . import content, given
from .errors import Invalid, NotFound
from .model import Archive, Client, Variables
from .model.fields import as_texts, shown
from .planning import NewJob, carried, inherited
from .planning import restore as planned
from .store import Store

#: What `options` takes, and what each means.
OPTIONS = {
    "numeric_ids": "restore owners by number, not by name (for a host with other accounts)",
    "force": "restore from a vault that is suspect",
    "special": "keep set-id bits, file capabilities and device nodes in files for another client than their own",
}


def plan(
    store: Store,
    archive: Archive | int | str,
    paths: Iterable[str],
    *,
    to: Client | int | str | None,
    destination: str | Path | None,
    overwrite: bool,
    options: Mapping[str, Any] | None,
    dry_run: bool,
    roles_path: content.RolesPath = (),
) -> NewJob:
    """The job of a restore. Raises `Invalid` for what cannot be done as asked."""
    paths = as_texts(paths, "paths")
    found = find_archive(store, archive)
    if found.pruned_at is not None:
        raise Invalid(
            f"{found.name} was pruned on {found.pruned_at:%Y-%m-%d %H:%M} UTC, as the retention did not keep it; "
            "restore another archive. Until a compact the vault's host can bring its data back: docs/append-only.md"
        )
    vault = store.vaults.get(found.vault)
    repository = store.repositories.get(vault.repository)
    target = _client(store, to) if to is not None else None
    ours, theirs = _options(options)
    policy = store.policies.get(found.policy) if found.policy is not None else None
    loads = policy is not None and content.loads(policy.type, roles_path)
    if theirs and not loads:
        raise Invalid(f"restore takes no option {shown(next(iter(theirs)))} here; known are {', '.join(OPTIONS)}")
    # A stream goes back by the role that made it, unless only its file is wanted.
    files = destination is not None or bool(paths)
    if policy is not None and loads and (theirs or (target is not None and not files)):
        if files:
            raise Invalid(
                "destination and paths are for files: leave them out to have the archive brought back by its policy "
                "type, or leave out the options of that type to restore it as a file"
            )
        if carried(found, repository, vault, target):
            where = vault.location if vault.where.local else repository.name
            raise Invalid(
                f"{where} cannot be opened where the archive is wanted; restore it to the client that it is of, or as "
                "a file (destination), and load that by hand"
            )
        content.check_restore(policy.type, theirs, inherited(policy, found, target), roles_path)
        ours |= {"type": policy.type, "load": theirs}
    owner = _owner(store, found) if vault.where.local else None
    # It is the controller itself: nothing has to be carried.
    if target is None and owner is not None and owner.connection == "local":
        target = owner
    values: dict[str, Any] = {
        "paths": [_path(path) for path in paths],
        "destination": _destination(destination, on_client=to is not None),
        "on_client": to is not None,
        "overwrite": given.truth("overwrite", overwrite),
        "dry_run": given.truth("dry_run", dry_run),
        "here": os.getcwd(),
        **ours,
    }
    return planned(found, repository, vault, target, store.settings, options=Variables(values), owner=owner)


def find_archive(store: Store, archive: Archive | int | str) -> Archive:
    """An archive by itself, its id or its name."""
    if isinstance(archive, str):
        named = store.archives.find(name=archive)
        if not named:
            raise NotFound(f"no archive is called {archive!r}; `for archive in cyborg.archives` lists them")
        # Whoever may write to a vault can give an archive there any name, that of ours in another vault too.
        ours = [found for found in named if not found.foreign]
        if ours:
            return ours[-1]
        there = [found for found in named if found.missing_at is None] or named[-1:]
        if len(there) > 1:
            raise Invalid(f"{len(there)} archives are called {archive!r}: give the archive itself, or its id")
        return there[0]
    if isinstance(archive, Archive):
        if archive.id is None:
            raise Invalid(f"the archive {archive.name} was not read from this store")
        return store.archives.get(archive.id)
    return store.archives.get(archive)


def _client(store: Store, to: Client | int | str) -> Client:
    if isinstance(to, Client):
        return store.clients.get(to.id if to.id is not None else to.hostname)
    return store.clients.get(to)


def _owner(store: Store, archive: Archive) -> Client:
    """The client on whose own disk the vault lies: Borg runs there, and nowhere else."""
    if archive.client is None:
        raise Invalid(f"nobody knows on which client the vault of {archive.name} lies")
    return store.clients.get(archive.client)


def _path(path: str) -> str:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if not parts or "\x00" in path:
        raise Invalid(
            f"the path {shown(path)} cannot be restored: give paths as they were on the client, like /etc/hosts, or "
            "none for all"
        )
    if ".." in parts:
        raise Invalid(f"the path {shown(path)} holds '..'; give it as it was on the client")
    return "/".join(parts)


def _destination(given: str | Path | None, *, on_client: bool) -> str:
    if given is None:
        return ""
    if not isinstance(given, str | Path) or not str(given):
        raise Invalid(f"the destination {shown(given)} is no folder; leave it out for a new one")
    text = str(given)
    if "\x00" in text or "\n" in text:
        raise Invalid(f"the destination {shown(text)} holds a NUL or newline")
    if text.startswith("/"):
        return text
    if on_client:
        raise Invalid(f"the destination {shown(text)} must be a full path on the client, like /var/tmp/restored")
    return str(Path.cwd() / Path(text).expanduser())


def _options(options: Mapping[str, Any] | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Those of each restore, checked; and others, which a policy type may take."""
    if options is not None and not isinstance(options, Mapping):
        raise Invalid(f"options must be a mapping of {', '.join(OPTIONS)}, not {shown(options)}")
    ours = {
        name: given.truth(f"the option {name}", value) for name, value in (options or {}).items() if name in OPTIONS
    }
    return ours, {name: value for name, value in (options or {}).items() if name not in OPTIONS}
