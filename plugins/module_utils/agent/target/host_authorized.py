# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of an authorized_keys file that are ours. Everybody else's stay as they are, byte by byte."""

import os
import re
import stat
import time

from .frame import Refused
from .host_files import open_way, read_whole, shown, write_whole
from .host_tools import find_program, said

WRAPPER = "/usr/local/lib/cyborg/serve"
LIMIT = 16 * 1024 * 1024
OURS = re.compile(
    rb'restrict,(?:expiry-time="([0-9]{12})",)?command="'
    + re.escape(WRAPPER.encode("ascii"))
    + rb' --vault ([0-9a-f]{12}) --mode (client|controller)" ([a-z0-9@.-]+) ([A-Za-z0-9+/=]+)'
    + rb" cyborg vault-([0-9]+) ([A-Za-z0-9._-]+)\Z"
)
KEY = re.compile(
    r"(ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\.com|sk-ecdsa-sha2-nistp256@openssh\.com)"
    r" ([A-Za-z0-9+/]{40,600}={0,3})\Z"
)


class Line:
    """One key of ours: which vault, called what, in which mode, until when (seconds since 1970, or None)."""

    def __init__(self, tag, vault, name, mode, key, until=None):
        found = KEY.match(key)
        if not found:
            raise Refused("invalid", "What should be a public key is none; nothing was changed.")
        if not re.match(r"[0-9a-f]{12}\Z", tag) or not re.match(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}\Z", name):
            raise Refused("invalid", "%r cannot be the name of a key." % name)
        if mode not in ("client", "controller"):
            raise Refused("invalid", "%r is no mode of a key." % mode)
        self.tag, self.name, self.body = tag, name, found.group(2).encode("ascii")
        expiry = ""
        if until is not None:
            # In the host's own time: an older sshd does not know any other.
            expiry = 'expiry-time="%s",' % time.strftime("%Y%m%d%H%M", time.localtime(until))
        self.text = (
            'restrict,%scommand="%s --vault %s --mode %s" %s %s cyborg vault-%d %s'
            % (expiry, WRAPPER, tag, mode, found.group(1), found.group(2), vault, name)
        ).encode("ascii")


def edited(data, add=(), remove=None, now=None):
    """The file's bytes with our lines added, or replaced; and without those that are over.

    :param add: `Line`s. One of the same vault and name is replaced; only if it differs
    :param remove: called with (tag, name) of each line of ours: True takes it out
    :param now: the time as expiry-time has it, "YYYYMMDDHHMM"
    :raises Refused: ``key_in_use``: a key is there already for something else, and sshd would take that line
    """
    now = (now or time.strftime("%Y%m%d%H%M", time.localtime())).encode("ascii")
    wanted = {(line.tag, line.name): line for line in add}
    kept, seen = [], set()
    for number, raw in enumerate(data.splitlines(True), 1):
        text = raw.rstrip(b"\r\n")
        ours = OURS.match(text)
        if not ours:
            foreign(text, wanted.values(), number)
            kept.append(raw)
            continue
        tag, name = ours.group(2).decode("ascii"), ours.group(7).decode("ascii")
        if (ours.group(1) and ours.group(1) < now) or (remove is not None and remove(tag, name)):
            continue
        place = (tag, name)
        if place in seen:
            continue
        if place in wanted:
            seen.add(place)
            kept.append(wanted[place].text + b"\n")
            continue
        for line in wanted.values():
            if line.body == ours.group(5):
                message = (
                    "The key called %s is in use on this host for vault-%s (%s) already. Each vault has a key of its "
                    "own: remove the pair on the client, and a new one is made."
                )
                raise Refused("key_in_use", message % (line.name, ours.group(6).decode("ascii"), name))
        kept.append(raw)
    missing = [line for place, line in wanted.items() if place not in seen]
    if missing and kept and not kept[-1].endswith((b"\n", b"\r")):
        kept.append(b"\n")
    return b"".join(kept) + b"".join(line.text + b"\n" for line in missing)


def keys_of(data, tag):
    """The keys that our lines of a vault let in."""
    found = (OURS.match(raw) for raw in data.splitlines())
    return {one.group(5) for one in found if one and one.group(2).decode("ascii") == tag}


def foreign(text, wanted, number):
    """A key with a line of somebody else's would be let in by that line, without our limits."""
    if text.lstrip().startswith(b"#"):
        return
    words = text.split()
    for line in wanted:
        if line.body in words:
            message = (
                "The key called %s is let in by line %d of the account's authorized_keys already, which is not ours; "
                "remove that line."
            )
            raise Refused("key_in_use", message % (line.name, number))


def edit_keys(entry, home, path, add, remove, check, changes, warnings):
    """Brings the account's file up to date; it and its folder belong to root afterwards. The host's lock is held."""
    folder_path, name = os.path.split(path)
    trusted = (entry.pw_uid,)
    try:
        folder = open_way(folder_path, False, trusted=trusted)
    except Refused as error:
        if error.error["code"] != "missing":
            raise
        if not add:
            return
        if check:
            changes.append("put %d key(s) into %s" % (len(add), shown(path)))
            return
        folder = open_way(folder_path, True, trusted=trusted)
        restore_labels(folder_path)
    before = read_whole(folder, name, LIMIT)
    after = edited(before or b"", add, remove)
    status = os.stat(name, dir_fd=folder, follow_symlinks=False) if before is not None else None
    below_home = folder_path == home or folder_path.startswith(home + "/")
    if below_home and entry.pw_uid != 0:
        if os.fstat(folder).st_uid != 0 or not os.fstat(folder).st_mode & stat.S_IXOTH:
            changes.append("give %s to root" % shown(folder_path))
            if not check:
                os.fchown(folder, 0, 0)
                os.fchmod(folder, 0o755)
        if os.stat(home).st_uid == entry.pw_uid:
            warnings.append(
                "The home %s belongs to %s itself, so whatever breaks out of Borg there could exchange its keys: "
                "chown root %s" % (home, entry.pw_name, home)
            )
    mode = stat.S_IMODE(status.st_mode) & 0o755 if status is not None and entry.pw_uid == 0 else 0o644
    right = status is not None and status.st_uid == 0 and stat.S_IMODE(status.st_mode) == mode
    if after == (before or b"") and (right or before is None):
        return
    changes.append("change the keys in %s" % shown(path))
    if not check:
        write_whole(folder, name, after, mode)


def restore_labels(path):
    """Where SELinux is at work, sshd reads only files labelled for it."""
    program = find_program("restorecon")
    if program:
        said([program, "-R", path], 60)
