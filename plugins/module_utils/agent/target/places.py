# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SIM105 - importing contextlib would cost more than the exchange
"""Where jobs live: folders that are ours alone, opened part by part and never through a link."""

import errno
import os
import stat

from .frame import Refused, to_bytes

FILE = os.O_NOFOLLOW | os.O_CLOEXEC
DIRECTORY = FILE | os.O_DIRECTORY


def default_root():
    if os.getuid() == 0:
        return b"/run/cyborg"
    import pwd

    # The home folder's own place is the administrator's choice and may be a link; nothing below it may.
    home = os.path.realpath(os.fsencode(pwd.getpwuid(os.getuid()).pw_dir))
    return home + b"/.local/state/cyborg"


def root_path(request):
    return to_bytes(request["root"]) if request.get("root") else default_root()


def unsafe(path, why):
    shown = path.decode("utf-8", "replace")
    return Refused("unsafe_directory", "%s cannot hold our jobs: %s." % (shown, why), path=shown)


def open_folder(path, create):
    """An fd of a folder that belongs to us alone, or None if it is not there and not to be made.

    Parts above it must belong to root or us, and nobody else may be able to exchange what lies in them.
    """
    parts = [part for part in path.split(b"/") if part]
    if not path.startswith(b"/") or b"\0" in path or b"." in parts or b".." in parts or not parts:
        raise unsafe(path, "it must be an absolute path")
    here = os.open(b"/", os.O_PATH | DIRECTORY)
    for depth, part in enumerate(parts, 1):
        so_far = b"/" + b"/".join(parts[:depth])
        last = depth == len(parts)
        try:
            try:
                below = open_part(here, part, last)
            except FileNotFoundError:
                if not create:
                    return None
                try:
                    os.mkdir(part, 0o700, dir_fd=here)
                except FileExistsError:
                    pass  # somebody was faster; who it was is looked at below
                below = open_part(here, part, last)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):
                raise unsafe(path, "%s is a link or no folder" % so_far.decode("utf-8", "replace")) from None
            raise unsafe(path, "%s: %s" % (so_far.decode("utf-8", "replace"), os.strerror(error.errno))) from None
        finally:
            os.close(here)
        here = below
        why = fault(os.fstat(here), last)
        if why:
            os.close(here)
            raise unsafe(path, "%s %s" % (so_far.decode("utf-8", "replace"), why))
    return here


def open_part(parent, part, last):
    return os.open(part, (os.O_RDONLY if last else os.O_PATH) | DIRECTORY, dir_fd=parent)


def fault(status, last):
    """What is wrong with a folder on the way, or None."""
    mode, owner = stat.S_IMODE(status.st_mode), status.st_uid
    if last:
        if owner != os.getuid():
            return "belongs to uid %d, not to us" % owner
        return "has mode %04o instead of 0700" % mode if mode & 0o077 else None
    if owner not in (0, os.getuid()):
        return "belongs to uid %d, neither to root nor to us" % owner
    # In a sticky folder (/tmp, /dev/shm) others can add names, but not exchange ours.
    if mode & 0o022 and not mode & stat.S_ISVTX:
        return "can be written by others (mode %04o): chmod go-w" % mode
    return None


def job_name(request):
    name = request["job"]
    if not isinstance(name, str) or not 0 < len(name) <= 64 or name[0] == "." or set(name) - set("0123456789."):
        raise Refused("invalid", "A job's name is made of digits and dots.")
    return name


def open_job(request, root=None):
    """An fd of the job's folder, or None."""
    if root is None:
        root = open_folder(root_path(request), False)
        if root is None:
            return None
    try:
        job = os.open(job_name(request), os.O_RDONLY | DIRECTORY, dir_fd=root)
    except FileNotFoundError:
        return None
    except OSError:
        raise unsafe(to_bytes(job_name(request)), "it is a link or no folder") from None
    why = fault(os.fstat(job), True)
    if why:
        os.close(job)
        raise unsafe(to_bytes(job_name(request)), "it " + why)
    return job


def remove_tree(parent, name):
    """Removes a file or folder with all below it, never through a link. What is gone already is fine."""
    try:
        folder = os.open(name, os.O_RDONLY | DIRECTORY, dir_fd=parent)
    except FileNotFoundError:
        return
    except OSError:
        unlink(parent, name)
        return
    try:
        for below in os.listdir(folder):
            remove_tree(folder, below)
    finally:
        os.close(folder)
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError as error:
        if error.errno != errno.ENOENT:
            raise


def unlink(parent, name):
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        pass
