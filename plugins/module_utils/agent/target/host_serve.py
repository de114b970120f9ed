# SPDX-License-Identifier: GPL-3.0-or-later
"""Written by cyborg; sshd runs it for each of its keys. It lets one Borg at a time serve one vault, and nothing else.

Whoever holds the kernel's lock on the vault is the only one to write it: a lock that Borg itself keeps in the vault
can be broken by any client, this one cannot, and it is let go when its holder dies, whatever way. So one of Borg's that
is found while this one is held was left by a Borg that died here, and is taken away.

    serve --vault TAG --mode client|controller
"""

import fcntl
import json
import os
import re
import select
import shlex
import sys
import time

from .borg_locks import clear_lock

STATE = "/var/lib/cyborg"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Borg refuses to serve with less.
LEAST_QUOTA = 10000000
#: What Borg's client may ask of the far side: how much it says.
LEVELS = ("--critical", "--error", "--warning", "--info", "--debug")


def refuse(message):
    # Borg shows it to its user as "Remote: cyborg: ...".
    sys.stderr.write("cyborg: %s\n" % message)
    sys.stderr.flush()
    # Where both come at once, Borg's client looks at the end of the connection, and not at what was said before it.
    time.sleep(1)
    os._exit(75)


def main(argv):
    os.umask(0o077)
    if len(argv) != 4 or argv[0] != "--vault" or argv[2] != "--mode" or argv[3] not in ("client", "controller"):
        refuse("this key's line in authorized_keys is damaged; prepare the repository again.")
    tag, mode = argv[1], argv[3]
    about = read(tag)
    level = asked(os.environ.get("SSH_ORIGINAL_COMMAND", ""))
    look(tag, mode)
    lock(tag, int(about["wait"]))
    look(tag, mode)  # it may have been closed while we waited
    unlock(about["path"])
    borg = find(about["borg"])
    command = [borg, "serve", *level, "--restrict-to-repository", about["path"]]
    if mode == "client":
        if about["append_only"]:
            command.append("--append-only")
        most = bound(about)
        if most:
            command += ["--storage-quota", "%d" % most]
    env = {"PATH": PATH, "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8", "TZ": "UTC"}
    os.execve(borg, command, env)  # noqa: S606


def read(tag):
    about = None
    if re.match(r"[0-9a-f]{12}\Z", tag):
        try:
            with open("%s/vaults/%s" % (STATE, tag), encoding="ascii") as file:
                about = json.load(file)
        except (FileNotFoundError, ValueError):
            about = None
    if about is None:
        refuse("the vault of this key is not known on this host; prepare the repository again.")
    return about


def asked(original):
    """The level of messages; anything but Borg's own call of its far side is refused."""
    if not original:
        return []
    try:
        words = shlex.split(original)
    except ValueError:
        words = []
    if not words or not os.path.basename(words[0]).startswith("borg") or "serve" not in words[1:]:
        refuse("this key is for Borg alone; no other command is run with it.")
    return [word for word in words[1:] if word in LEVELS][:1]


def look(tag, mode):
    if mode == "client" and closed("%s/closed/%s" % (STATE, tag)):
        refuse("vault closed: it is closed to its clients for maintenance; try again later.")


def closed(path):
    """True while the mark is there: a person's own, which is empty, for good; one of a job's until its time is over."""
    try:
        with open(path, encoding="ascii") as file:
            words = file.read(200).split()
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return len(words) != 2 or not words[0].isdigit() or time.time() < int(words[0])


def lock(tag, wait):
    """Takes the lock and keeps it for whom we turn into."""
    try:
        fd = os.open("%s/locks/%s" % (STATE, tag), os.O_RDWR | os.O_NOFOLLOW)
    except OSError as error:
        refuse("the lock of this vault cannot be opened (%s); prepare the repository again." % os.strerror(error.errno))
    os.set_inheritable(fd, True)
    end = time.monotonic() + wait
    stdin = select.poll()
    stdin.register(0, 0)
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return
        if time.monotonic() >= end:
            refuse("vault busy: another Borg has been at work on it for the %d seconds that this one waited." % wait)
        if stdin.poll(0):
            os._exit(75)  # the client has gone
        time.sleep(0.1)


def unlock(path):
    """What cannot be taken away is found by Borg, which says so."""
    try:
        if clear_lock(path, alone=True):
            sys.stderr.write("cyborg's note: a lock was taken away that a dead Borg had left.\n")
    except OSError as error:
        sys.stderr.write("cyborg's note: the lock of a dead Borg cannot be taken away: %s.\n" % error)


def bound(about):
    """Bytes that a client may fill the vault to: its quota, and never so much that less than the reserve is left.

    Borg counts what was ever put and not compacted, and says so in the vault's hints; it is asked to count from there.
    """
    quota, reserve = about["quota"], about.get("reserve") or 0
    if not reserve or not os.path.isdir(about["path"]):
        return quota
    space = os.statvfs(about["path"])
    total, free = space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize
    reserve = min(reserve, total // 20)
    used = stored(about["path"])
    if used is None:
        return quota
    most = max(LEAST_QUOTA, used + max(0, free - reserve))
    if quota and quota <= most:
        return quota
    # Borg will call it a quota: who reads its words has to know better.
    message = "cyborg: reserve: of %d bytes that are free, %d are kept for prune and compact\n"
    sys.stderr.write(message % (free, reserve))
    sys.stderr.flush()
    return most


def stored(path):
    """What Borg counts against a quota, as its newest hints say (msgpack); 0 in a new vault, None if unknown."""
    try:
        numbers = [int(name[6:]) for name in os.listdir(path) if re.match(r"hints\.[0-9]+\Z", name)]
        if not numbers:
            return 0
        with open("%s/hints.%d" % (path, max(numbers)), "rb") as file:
            data = file.read()
    except OSError:
        return None
    key = b"storage_quota_use"
    at = data.rfind(key) + len(key)
    if at < len(key) or at >= len(data):
        return None
    kind = data[at]
    if kind < 0x80:
        return kind
    size = {0xCC: 1, 0xCD: 2, 0xCE: 4, 0xCF: 8}.get(kind)
    number = data[at + 1 : at + 1 + (size or 0)]
    return int.from_bytes(number, "big") if size and len(number) == size else None


def find(given):
    for path in [given] + [place + "/borg" for place in PATH.split(":")]:
        if path and os.access(path, os.X_OK):
            return path
    return refuse("there is no Borg on this host any more; prepare the repository again.")


main(sys.argv[1:])
