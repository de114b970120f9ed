"""Another key for a store, and how it comes into the file that the old one was read from.

It is in a file before the database is sealed with it, and the old one stays in that file until the database is: so
whenever this ends, a key on the disk opens the database, whichever of both that is sealed with.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import field, frozen

from .errors import MissingKey, StoreError
from .keys import Key, Standing, default_file, find_keys, read_key_file, sync_folder, write_key_file
from .sealing import Sealer


@frozen(kw_only=True)
class Place:
    """Where the key of a store is read from when it is opened."""

    #: The file that was given.
    file: Path | None = None
    #: Else, with an SQLite file, a file for each key in a folder.
    database: Path | None = None
    folder: Path | None = None
    #: In memory no key is looked for.
    memory: bool = False


def place_of(key: Key | Sealer, standing: Standing, environ: Mapping[str, str], folder: Path | None) -> Place:
    """The place, from what a store is opened with."""
    given: object = key if key is not None else environ.get("CYBORG_KEY") or environ.get("CYBORG_KEY_FILE")
    if given is None:
        return Place(database=standing.file, folder=folder, memory=standing.memory)
    named = key is None and not environ.get("CYBORG_KEY")
    if isinstance(given, os.PathLike) or (isinstance(given, str) and (named or Path(given).is_file())):
        # Where a link leads: the file itself is what is replaced.
        return Place(file=Path(given).resolve())
    return Place()


@frozen(kw_only=True)
class NewKey:
    """New keys, of which the first seals, and what is done with files for them."""

    keys: tuple[str, ...] = field(repr=False)
    #: The file in which they are found by the next opening; None if whoever opens gives them.
    file: Path | None = None
    #: What the file holds while nobody knows yet which key the database is sealed with; nothing for a file of its own.
    old: tuple[str, ...] = field(default=(), repr=False)
    write: bool = False

    def before(self) -> None:
        """Put the new key where the next opening finds it, beside the old one; it is on the disk then."""
        if self.file is None or not self.write:
            return
        if not self.old:
            write_key_file(self.file, self.keys[0])
            return
        kept = self.file.with_name(f"{self.file.name}.{Sealer(self.old).key_id}")
        if not kept.exists():
            # Copies of the database from before need it.
            _replace(kept, self.old, self.file)
        _replace(self.file, (*self.old, *self.keys), self.file)

    def after(self) -> None:
        """The database is sealed with the new key: the old one opens nothing there any more."""
        if self.file is not None and self.write and self.old:
            _replace(self.file, self.keys, self.file)


def new_key(given: Key, place: Place) -> NewKey:
    """What is to be done for another key. Nothing is written yet.

    `given` is a Fernet key, a list of them, or the path of a file; a `Path` that is not there is made, with a new key.
    None is a new key. Except for a path, it goes where the old one was read from. Raises `MissingKey` if a new one
    would be nowhere, `Invalid`, and `StoreError` for a file that others may read.
    """
    path = _path(given)
    if path is not None:
        if path.exists():
            return NewKey(keys=read_key_file(path), file=path)
        return NewKey(keys=(Sealer.generate_key(),), file=path, write=True)
    keys = (Sealer.generate_key(),) if given is None else find_keys(given, Standing(fresh=True), {})
    if place.file is not None:
        return NewKey(keys=keys, file=place.file, old=read_key_file(place.file), write=True)
    if place.database is not None:
        return NewKey(keys=keys, file=default_file(place.database, Sealer(keys).key_id, place.folder), write=True)
    if given is None and not place.memory:
        raise MissingKey(
            "no new key was given, and the old one was not read from a file that a new one could be put into: make "
            "one with `Sealer.generate_key()` of cyborglib.sealing, keep it, and give key=; or give key= the path of a "
            "new file"
        )
    return NewKey(keys=keys)


def _path(given: Key) -> Path | None:
    if isinstance(given, os.PathLike):
        return Path(given).resolve()
    # A text that is neither a key nor a file that is there may be a mistyped key: no name for a new file.
    return Path(given).resolve() if isinstance(given, str) and Path(given).is_file() else None


def _replace(path: Path, keys: Sequence[str], like: Path) -> None:
    """Write a key file as a whole, 0600 and its owner's as before, and on the disk when this returns."""
    try:
        owner = like.stat()
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                os.fchmod(descriptor, 0o600)
                if (owner.st_uid, owner.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(descriptor, owner.st_uid, owner.st_gid)
                file.write("".join(f"{key}\n" for key in keys))
                file.flush()
                os.fsync(descriptor)
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"the key file {path} cannot be written ({error.strerror}): see to that, or give key= another path"
        ) from error
