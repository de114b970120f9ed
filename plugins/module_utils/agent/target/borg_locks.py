# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SIM105 - importing contextlib would cost more than the exchange
"""Takes away the lock that a dead Borg left in a folder of its (a repository, or a cache), and no other one.

A lock names its owner: host, pid, thread. Taken away is that of a process of this host that is not there any more, or
is no Borg. Each owner is taken away by its name, as Borg does it, so a lock that is taken meanwhile stays.
"""

import os


def clear_lock(folder, alone=False):
    """Whether a lock of dead Borgs was taken away.

    ``alone``: it is known (by a kernel lock) that no Borg which one of our keys let in is at work there. Then the
    number of the network card, which may be another one by now, is not looked at, and a lock that names nobody is dead.
    """
    exclusive, roster = os.path.join(folder, "lock.exclusive"), os.path.join(folder, "lock.roster")
    try:
        names = os.listdir(exclusive)
    except (FileNotFoundError, NotADirectoryError):
        names = None
    shared = roster_of(roster)
    if names is None and not shared:
        return False
    if not all(owner_dead(*owner_named(name), alone) for name in names or ()):
        return False
    if not names and names is not None and not alone:
        return False  # a Borg that has just made it, or that died before it said whose it is
    if not all(owner_dead(*one, alone) for one in shared):
        return False
    for name in names or ():
        unlink_there(os.path.join(exclusive, name))
    if names is not None:
        try:
            os.rmdir(exclusive)
        except OSError:
            return False  # somebody else has it now
    if shared:
        unlink_there(roster)
    return True


def clear_locks(request):
    """Those in the folders that a request names; what stands in the way of that, Borg will say."""
    for folder in request.get("locks") or ():
        home = ""
        if folder.startswith("~/"):
            import pwd

            home, folder = pwd.getpwuid(os.getuid()).pw_dir, folder[1:]  # noqa: PLW2901
        try:
            clear_lock(home + folder)
        except OSError:
            continue


def roster_of(path):
    """(name, network card, pid) of those that have a shared lock; such a one is never left by what writes."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return []
    import json

    try:
        found = [[str(host), int(pid)] for owners in json.loads(text).values() for host, pid, _thread in owners]
    except (ValueError, TypeError, AttributeError):
        return []
    return [(*host.partition("@")[::2], pid) for host, pid in found]


def owner_named(name):
    """(name, network card, pid) in a lock's own name, "web1@1234.567-0"; of another name a pid that is no number."""
    host, _, card = name.partition("@")
    card, _, process = card.partition(".")
    return host, card, process.partition("-")[0]


def owner_dead(name, card, pid, alone):
    """Whether the owner of a lock was a process of this host, and is no Borg at work now."""
    if name.split(".")[0].lower() != os.uname().nodename.split(".")[0].lower():
        return False
    if not alone:
        import uuid

        if card != str(uuid.getnode()):
            return False
    if not str(pid).isdigit():
        return False
    try:
        with open("/proc/%d/cmdline" % int(pid), "rb") as file:
            return b"borg" not in file.read()
    except (FileNotFoundError, ProcessLookupError):
        return True
    except OSError:
        return False  # it is there, and who it is may not be seen


def unlink_there(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
