# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at what is to be backed up before Borg starts, and again after it has ended."""

import os
import stat

from .frame import Refused, to_bytes, to_text
from .mounts import below, identity, mount_of, read_mounts

MEANT = " If it was moved on purpose, back it up once with allow_moved."


def refused(what, root, message, **more):
    return Refused("source_" + what, message, root=root, **more)


def examine(sources):
    """{"roots", "left_out", "absent", "excludes"} for the sources of a request. Raises Refused."""
    mounts = read_mounts()
    found = {"roots": [], "left_out": [], "absent": [], "excludes": []}
    for asked in sources["roots"]:
        root = one_root(asked, sources, mounts)
        if root is None:
            found["absent"].append(asked)
        elif root["real"] not in [other["real"] for other in found["roots"]]:
            found["roots"].append(root)
    if not found["roots"]:
        names = ", ".join(sources["roots"])
        raise refused("missing", names, "None of the folders to back up exists: %s." % names)
    if sources.get("mounts"):
        add_mounts(found, mounts)
    known = [path for root in found["roots"] for path in (root["asked"], root["real"])]
    for path, filesystem in sorted((sources.get("expected") or {}).items()):
        if path not in known and wanted(path, sources, found) and file_system(path, mounts) != filesystem:
            message = "%s was in the last backup, as file system %s, and is not there now: is it not mounted?" + MEANT
            raise refused("moved", path, message % (path, filesystem), expected=filesystem, filesystem=None)
    return found


def wanted(path, sources, found):
    """Whether something of the last backup is still asked for: what was taken out of a policy is not missed."""
    if path in sources["roots"]:
        return True
    tops = [to_bytes(root["real"]) for root in found["roots"]]
    return bool(sources.get("mounts")) and any(below(to_bytes(path), top) for top in tops)


def file_system(path, mounts):
    """The identity of the file system that a path is on; None where there is no such path."""
    try:
        return identity(mount_of(to_bytes(path), mounts), os.stat(to_bytes(path)))
    except OSError:
        return None


def one_root(asked, sources, mounts):
    """{"asked", "real", "filesystem"}, or None if it may be absent and is."""
    path = to_bytes(asked)
    if not path.startswith(b"/") or b"\0" in path:
        raise Refused("invalid", "A folder to back up must be an absolute path: %s." % asked, root=asked)
    follow = sources.get("follow", True)
    real = os.path.realpath(path) if follow else os.path.normpath(path)
    real = b"/" + real.lstrip(b"/")  # "//x" is a path of its own to POSIX, the same to Linux
    try:
        status = os.stat(real, follow_symlinks=follow)
    except (FileNotFoundError, NotADirectoryError):
        if sources.get("optional"):
            return None
        where = "" if real == path else " (it leads to %s)" % to_text(real)
        message = "%s does not exist%s. Create it, or take it out of the policy." % (asked, where)
        raise refused("missing", asked, message) from None
    except OSError as error:
        raise refused("unreadable", asked, "%s cannot be read: %s." % (asked, os.strerror(error.errno))) from None
    look_into(asked, real, status, sources.get("allow_empty"))
    filesystem = identity(mount_of(real, mounts), status)
    expected = (sources.get("expected") or {}).get(asked)
    if expected and expected != filesystem:
        raise refused(
            "moved", asked,
            ("%s was on file system %s and is on %s now: is it not mounted?" + MEANT) % (asked, expected, filesystem),
            expected=expected, filesystem=filesystem,
        )
    return {"asked": asked, "real": to_text(real), "filesystem": filesystem}


def look_into(asked, real, status, allow_empty):
    if stat.S_ISLNK(status.st_mode):
        raise refused("unreadable", asked, "%s is a link, and links are not to be followed." % asked)
    if not (stat.S_ISDIR(status.st_mode) or stat.S_ISREG(status.st_mode)):
        raise refused("unreadable", asked, "%s is neither a folder nor a file." % asked)
    folder = stat.S_ISDIR(status.st_mode)
    try:
        if folder:
            # lost+found: an empty disk is as empty as an empty folder.
            names = [name for name in os.listdir(real) if name != b"lost+found"]
        else:
            os.close(os.open(real, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        raise refused("unreadable", asked, "%s cannot be read: %s." % (asked, os.strerror(error.errno))) from None
    if folder and not os.access(real, os.X_OK):
        raise refused("unreadable", asked, "%s can be listed, but not entered, by this user." % asked)
    if folder and not names and not allow_empty:
        raise refused(
            "empty", asked,
            "%s is empty: is a disk not mounted there? If it may be empty, set allow_empty." % asked,
        )


def add_mounts(found, mounts):
    """Every real local file system below a root becomes a root; what holds data and does not is told."""
    tops = [to_bytes(root["real"]) for root in found["roots"]]
    # (device, part of it, path): what the roots reach, widest first, so that bind mounts come after what they show.
    reached = []
    for top in tops:
        mount = mount_of(top, mounts)
        if mount is not None:
            inside = os.path.relpath(top, mount.point)
            reached.append((os.stat(top).st_dev, os.path.normpath(os.path.join(mount.root, inside)), top))
    visible = [mount for mount in mounts if mount_of(mount.point, mounts) is mount]
    for mount in sorted(visible, key=lambda mount: (len(mount.root), len(mount.point))):
        top = max((top for top in tops if below(mount.point, top)), key=len, default=None)
        if top is None or mount.point in tops:
            continue
        kind = mount.kind()
        if kind == "pseudo":
            continue
        if kind != "real":
            leave_out(found, mount, kind)
            continue
        try:
            status = os.stat(mount.point)
        except OSError:
            leave_out(found, mount, "unreadable")
            continue
        device = status.st_dev
        if any(device == other and below(mount.root, part) for other, part, _ in reached):
            # Borg goes by devices: it would walk into a bind mount of the one it is on.
            if device == os.stat(os.path.dirname(mount.point)).st_dev:
                found["excludes"].append(to_text(mount.point))
            continue
        reached.append((device, mount.root, mount.point))
        if stat.S_ISDIR(status.st_mode) and not os.access(mount.point, os.R_OK | os.X_OK):
            leave_out(found, mount, "unreadable")
            continue
        filesystem = identity(mount, status)
        found["roots"].append({"asked": None, "real": to_text(mount.point), "filesystem": filesystem})


def leave_out(found, mount, reason):
    found["left_out"].append({
        "path": to_text(mount.point), "type": to_text(mount.type), "source": to_text(mount.source), "reason": reason,
    })


def look_again(roots):
    """After the end: is each root still there, on the same file system?"""
    mounts, after = read_mounts() if roots else [], []
    for root in roots:
        real = to_bytes(root["real"])
        try:
            status = os.stat(real)
        except OSError:
            after.append({"real": root["real"], "there": False, "filesystem": None, "same": False})
            continue
        now = identity(mount_of(real, mounts), status)
        after.append({"real": root["real"], "there": True, "filesystem": now, "same": now == root["filesystem"]})
    return after
