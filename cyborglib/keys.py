"""Where the key lies that opens what is sealed in a database.

In this order: `key=`, `$CYBORG_KEY`, `$CYBORG_KEY_FILE`; then, for an SQLite file only, a file in the
user's configuration folder. That one is made with an empty database and never later, so that a lost key
is noticed, and it is not beside the database, so that a copy of the one is not a copy of both.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from attrs import frozen

from .errors import Invalid, MissingKey, StoreError
from .sealing import Sealer

Key = str | os.PathLike[str] | Sequence[str] | None


@frozen(kw_only=True)
class Standing:
    """What a database is, as far as its key goes."""

    #: The SQLite file, or None.
    file: Path | None = None
    #: True for SQLite in memory: what is sealed there ends with the process.
    memory: bool = False
    #: True if nothing is sealed in it yet.
    fresh: bool
    #: The `Sealer.key_id` of the key it was sealed with; "" if fresh.
    key_id: str = ""


def find_keys(key: Key, standing: Standing, environ: Mapping[str, str], folder: Path | None = None) -> tuple[str, ...]:
    """The keys for a database; the first seals, all unseal.

    `key` is a Fernet key, a list of them, the path of a file with one on each line, or None. `folder` is
    where the default file lies, the user's configuration folder unless given; it may be written to, with
    one new file. Raises `MissingKey`, `Invalid`, and `StoreError` for a file that others may read.
    """
    if key is not None:
        return _given(key)
    if text := environ.get("CYBORG_KEY"):
        return _checked(text.split(), "$CYBORG_KEY")
    if path := environ.get("CYBORG_KEY_FILE"):
        return read_key_file(Path(path))
    if standing.memory:
        return (Sealer.generate_key(),)
    if standing.file is None:
        raise MissingKey(
            "no key was given for what is sealed in this database; give key=, or set $CYBORG_KEY or "
            "$CYBORG_KEY_FILE. For a new database `Sealer.generate_key()` of cyborglib.sealing makes one"
        )
    return _default(standing.file, standing, folder or _user_folder())


def read_key_file(path: Path) -> tuple[str, ...]:
    """The keys in a file, one on each line. Raises `MissingKey`, `Invalid`, or `StoreError` if others may read it."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise StoreError(
                    f"the key file {path} may be read or written by others (its mode is {mode:o}); "
                    f"run: chmod 600 {path}"
                )
            text = file.read(100_000)
    except (OSError, UnicodeDecodeError) as error:
        raise MissingKey(f"the key file {path} cannot be read: {error}") from error
    return _checked(text.split(), f"the key file {path}")


def write_key_file(path: Path, key: str) -> None:
    """Write a new key file, 0600, that is on the disk when this returns. Raises `StoreError` if there is one."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, 0o600)  # whatever the umask
            file.write(key + "\n")
            file.flush()
            os.fsync(descriptor)
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"the key file {path} cannot be written ({error.strerror}); give key=, or set $CYBORG_KEY_FILE to a "
            "file of yours"
        ) from error


def sync_folder(path: Path) -> None:
    """See that the names in a folder are on the disk. Raises `OSError`."""
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _given(key: str | os.PathLike[str] | Sequence[str]) -> tuple[str, ...]:
    if isinstance(key, os.PathLike):
        return read_key_file(Path(key))
    if isinstance(key, bytes) or not isinstance(key, str | Sequence):
        raise Invalid(f"key= is a text, a path or a list of texts, not a {type(key).__name__}")
    if not isinstance(key, str):
        return _checked(list(key), "key=")
    try:
        return _checked([key], "key=")
    except Invalid:
        if _is_file(key):
            return read_key_file(Path(key))
        raise Invalid(
            "key= is neither a Fernet key (44 letters of URL-safe base64) nor the path of a file that exists; "
            "`Sealer.generate_key()` of cyborglib.sealing makes one"
        ) from None


def _is_file(text: str) -> bool:
    try:
        return Path(text).is_file()
    except OSError:
        return False  # Too long for a name: a key with a slip in it, which the system's own error would show.


def _checked(keys: Sequence[str], where: str) -> tuple[str, ...]:
    try:
        Sealer(keys)
    except Invalid as error:
        raise Invalid(f"{where}: {error}") from error
    return tuple(keys)


def _user_folder() -> Path:
    from platformdirs import user_config_path  # here: not everybody needs it

    return user_config_path("cyborglib")


def default_file(database: Path, key_id: str, folder: Path | None = None) -> Path:
    """The file in which the key of this id is looked for, if none was given."""
    return (folder or _user_folder()) / f"{database.stem}-{key_id}.key"


def _default(database: Path, standing: Standing, folder: Path) -> tuple[str, ...]:
    if standing.fresh:
        key = Sealer.generate_key()
        write_key_file(default_file(database, Sealer([key]).key_id, folder), key)
        return (key,)
    expected = default_file(database, standing.key_id, folder)
    # The database may have been renamed since; the id alone tells the key.
    found = expected if expected.exists() else next(iter(sorted(folder.glob(f"*-{standing.key_id}.key"))), None)
    if found is None:
        raise MissingKey(
            f"the key that opens {database} is not here: {expected} does not exist. Put that file back from your "
            "copy, or give the key as key=, $CYBORG_KEY or $CYBORG_KEY_FILE"
        )
    return read_key_file(found)
