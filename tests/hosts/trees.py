"""Compares two folders: names, kinds, contents, modes, owners, times, links, ACLs."""

from __future__ import annotations

import os
import stat
from pathlib import Path


def compare(original: Path, restored: Path) -> None:
    """Raises AssertionError, naming the first difference. Sockets are left out, as Borg leaves them out."""
    left, right = dict(_entries(original)), dict(_entries(restored))
    assert sorted(left) == sorted(right)
    for name in left:
        assert left[name] == right[name], name
        if left[name]["kind"] == stat.S_IFREG:
            assert (original / name).read_bytes() == (restored / name).read_bytes(), name


def listing(folder: Path) -> list[str]:
    """The names of everything below a folder, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def _entries(folder: Path) -> list[tuple[str, dict[str, object]]]:
    found = []
    for path in [folder, *folder.rglob("*")]:
        state = path.lstat()
        if stat.S_ISSOCK(state.st_mode):
            continue
        link = os.readlink(path) if path.is_symlink() else ""
        found.append(
            (
                str(path.relative_to(folder)),
                {
                    "kind": stat.S_IFMT(state.st_mode),
                    "mode": stat.S_IMODE(state.st_mode),
                    "owner": (state.st_uid, state.st_gid),
                    "time": 0 if link else state.st_mtime_ns // 1000,
                    "link": link,
                    "attributes": {
                        name: os.getxattr(path, name, follow_symlinks=False)
                        for name in os.listxattr(path, follow_symlinks=False)
                        if not name.startswith("trusted.overlay")
                    },
                },
            )
        )
    return found
