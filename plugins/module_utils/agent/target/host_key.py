# SPDX-License-Identifier: GPL-3.0-or-later
"""The client's own ssh keys: made here, and the private half stays here."""

import contextlib
import os
import re
import stat

from .frame import Refused
from .host_files import open_way, read_whole, take_lock
from .host_tools import find_program, last_line, plain_environment, said

#: A public key file is one line of some hundred bytes; of a longer one only its beginning is told.
LIMIT = 16384


def key_folder():
    """Root's keys lie with the system's settings, anybody else's with their own."""
    if os.getuid() == 0:
        return "/etc/cyborg/keys"
    return os.path.realpath(plain_environment()["HOME"]) + "/.config/cyborg/keys"


def op_host_key(request):
    """Makes the pair unless it is there; tells the public half as it stands in its file."""
    name = request["name"]
    if not re.match(r"[a-z0-9][a-z0-9._-]{0,62}\Z", name) or name.endswith((".pub", ".lock")):
        raise Refused(
            "invalid", "A key's name is made of small letters, digits, dots and dashes, and does not end in .pub."
        )
    path = key_folder()
    if request.get("remove"):
        return remove_pair(path, name, request)
    reply = {"state": "done", "folder": path, "path": path + "/" + name, "created": False, "public": None}
    if request.get("check"):
        try:
            folder = open_way(path, False)
        except Refused as error:
            if error.error["code"] != "missing":
                raise
            return dict(reply, created=True)
        if read_whole(folder, name, LIMIT) is None:
            return dict(reply, created=True)
    else:
        folder = open_keys(path)
    if not request.get("check"):
        take_lock(folder, ".lock", 60)
        reply["created"] = make_pair(folder, path, name, request)
    safe_private_key(folder, name, path)
    public = read_whole(folder, name + ".pub", 4 * 1024 * 1024)
    if public is None:
        raise Refused(
            "missing",
            "%s/%s.pub is missing beside its private key; remove the private key, and a new pair is made."
            % (path, name),
        )
    reply["public"] = public[:LIMIT].decode("utf-8", "replace")
    reply["size"] = len(public)
    return reply


def remove_pair(path, name, request):
    """Takes both halves away; a pair that is not there is as good."""
    reply = {"state": "done", "folder": path, "path": path + "/" + name, "removed": False}
    try:
        folder = open_way(path, False)
    except Refused as error:
        if error.error["code"] != "missing":
            raise
        return reply
    there = [file for file in (name, name + ".pub") if read_whole(folder, file, LIMIT) is not None]
    if not request.get("check"):
        take_lock(folder, ".lock", 60)
        for file in there:
            os.unlink(file, dir_fd=folder)
    return dict(reply, removed=bool(there))


def open_keys(path):
    folder = open_way(path, True, mode=0o700)
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if os.fstat(folder).st_uid != os.getuid():
        raise Refused("unsafe_directory", "%s does not belong to the account that uses it; chown it." % path, path=path)
    if mode & 0o077:
        raise Refused(
            "unsafe_directory", "%s can be read by others (mode %04o); chmod 0700 it." % (path, mode), path=path
        )
    return folder


def make_pair(folder, path, name, request):
    """True if a pair was made."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        pass
    else:
        return False
    keygen = find_program("ssh-keygen")
    if not keygen:
        raise Refused("no_ssh_keygen", "ssh-keygen is missing; install the OpenSSH client.")
    draft = ".%s.%d" % (name, os.getpid())
    comment = "cyborg %s" % name
    why = ""
    # Where only approved algorithms may be used, Ed25519 is refused; the curve of the other is taken there.
    for kind in (["-t", "ed25519"], ["-t", "ecdsa", "-b", "256"]):
        remove_draft(folder, draft)
        # Through the fd of the folder that was examined, so that nobody can exchange it meanwhile.
        target = "/proc/self/fd/%d/%s" % (folder, draft)
        code, _, err = said([keygen, "-q", *kind, "-N", "", "-C", comment, "-f", target], 60, fds=(folder,))
        if code == 0:
            break
        why = last_line(err) or "exit code %s" % code
    else:
        remove_draft(folder, draft)
        raise Refused("agent_failed", "ssh-keygen could not make a key in %s: %s." % (path, why))
    # The private half last: a pair is there when it is.
    os.rename(draft + ".pub", name + ".pub", src_dir_fd=folder, dst_dir_fd=folder)
    os.rename(draft, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)
    return True


def remove_draft(folder, draft):
    for name in (draft, draft + ".pub"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def safe_private_key(folder, name, path):
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.getuid():
        raise Refused(
            "unsafe_directory", "%s/%s is no plain file of the account that uses it; remove it." % (path, name)
        )
    if status.st_mode & 0o077:
        message = "%s/%s can be read by others (mode %04o); chmod 0600 it, or remove it so that a new one is made." % (
            path,
            name,
            stat.S_IMODE(status.st_mode),
        )
        raise Refused("unsafe_directory", message)
