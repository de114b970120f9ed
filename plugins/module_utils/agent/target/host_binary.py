# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes a Borg binary in pieces, and puts it into place once it is whole, is the right one, and runs."""

import base64
import hashlib
import os
import re
import stat

from .frame import Refused
from .host_borg import borg_here
from .host_files import open_way, shown

FOLDER = "/usr/local/bin"
#: A draft that nobody has written to for this long is left over from a preparation that was ended.
STALE = 24 * 3600


def op_host_binary(request):
    """One of: ``look``, ``piece`` (at ``offset``), ``finish``, ``drop``.

    look: {"path": of the Borg found first, "sha256": of it}. Nothing that works is ever removed: a Borg that was in the
    place before is kept beside it, called by its version.
    """
    if request["do"] == "look":
        found = borg_here()
        return {"state": "done", "borg": found, "sha256": digest_of(found["path"]) if found["path"] else ""}
    if os.getuid() != 0:
        raise Refused("not_root", "Only root can put a program into %s." % FOLDER)
    if not re.match(r"[0-9a-f]{64}\Z", request["sha256"]):
        raise Refused("invalid", "A SHA-256 has 64 digits of 0-9 and a-f.")
    folder = open_way(FOLDER, True)
    # Named after what it is to become: preparations at the same time write the same bytes to the same places.
    draft = ".borg.%s.%s" % (request["sha256"][:32], re.sub(r"[^0-9.]", "", request["job"])[:64])
    if request["do"] == "piece":
        return take_piece(folder, draft, int(request["offset"]), base64.b64decode(request["data"].encode("ascii")))
    if request["do"] == "drop":
        unlink_if_there(folder, draft)
        return {"state": "done"}
    try:
        return finish(folder, draft, request["sha256"])
    finally:
        unlink_if_there(folder, draft)


def take_piece(folder, draft, offset, data):
    if offset == 0:
        unlink_if_there(folder, draft)
        remove_stale(folder)
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT | os.O_EXCL if offset == 0 else 0)
    fd = os.open(draft, flags, 0o600, dir_fd=folder)
    # "wb" on an open fd truncates nothing.
    with open(fd, "wb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size != offset:
            raise Refused("invalid", "A piece of the binary came out of turn.")
        file.seek(offset)
        try:
            while data:
                data = data[file.write(data) :]
        except OSError as error:
            unlink_if_there(folder, draft)
            message = "The binary cannot be written to %s: %s." % (FOLDER, os.strerror(error.errno))
            raise Refused("client_full", message) from error
    return {"state": "done", "size": os.stat(draft, dir_fd=folder, follow_symlinks=False).st_size}


def finish(folder, draft, sha256):
    path = FOLDER + "/" + draft
    if digest_of(path) != sha256:
        raise Refused("checksum", "What arrived on the host is not the binary that was sent; nothing was changed.")
    os.chmod(draft, 0o755, dir_fd=folder)  # noqa: S103 - a program for all
    fd = os.open(draft, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    new = borg_here(path)
    if not new["version"]:
        raise Refused("broken", "The binary does not run on this host (%s); nothing was changed." % new["problem"])
    parts = tuple(int(part) for part in new["version"].split(".")[:2])
    if parts < (1, 2) or parts[0] != 1:
        raise Refused("version", "The binary is Borg %s; nothing was changed." % new["version"], version=new["version"])
    kept = keep_old(folder)
    os.rename(draft, "borg", src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)
    return {"state": "done", "borg": borg_here(), "kept": kept}


def keep_old(folder):
    """Gives a Borg that works a second name before it loses its own; returns that path, or ""."""
    try:
        os.stat("borg", dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return ""
    old = borg_here(FOLDER + "/borg")
    if not old["version"]:
        return ""
    name = "borg-" + old["version"]
    for number in range(100):
        try:
            os.link("borg", name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
            return FOLDER + "/" + name
        except FileExistsError:
            if digest_of(FOLDER + "/" + name) == digest_of(FOLDER + "/borg"):
                return FOLDER + "/" + name
            name = "borg-%s.%d" % (old["version"], number + 1)
    raise Refused("full", "There are too many old Borgs in %s; remove some." % FOLDER)


def digest_of(path):
    """SHA-256 of a file, or "" if it cannot be read."""
    found = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            for piece in iter(lambda: file.read(1 << 20), b""):
                found.update(piece)
    except OSError:
        return ""
    return found.hexdigest()


def remove_stale(folder):
    import time

    for name in os.listdir(folder):
        if re.match(r"\.borg\.[0-9a-f]{32}\.", name):
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISREG(status.st_mode) and status.st_mtime < time.time() - STALE:
                unlink_if_there(folder, name)


def unlink_if_there(folder, name):
    try:
        os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        message = "%s cannot be removed: %s." % (shown(name), os.strerror(error.errno))
        raise Refused("agent_failed", message) from error
