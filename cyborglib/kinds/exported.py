"""What `borg key export` gives, and how two of them are compared."""

from __future__ import annotations

import hashlib

from ..secret import Secret

#: Characters; the export of a repokey has a few hundred.
_LONGEST = 64 * 1024


def is_export(export: Secret, borg_id: str) -> bool:
    """True for what `borg key export` writes of the repository of this id: a line with the id, then base64."""
    text = export.reveal()
    return len(text) <= _LONGEST and text.lstrip().startswith(f"BORG_KEY {borg_id}\n")


def key_digest(export: Secret) -> str:
    """SHA-256 of an exported key, without what differs between two exports of the same key (line ends, blanks)."""
    return hashlib.sha256("\n".join(export.reveal().split()).encode()).hexdigest()
