# SPDX-License-Identifier: GPL-3.0-or-later
"""A vault on its repository's host: account, folder, the program that serves it, and who may use it."""

import fcntl
import hashlib
import json
import os
import stat
import sys
import time

from .frame import Refused
from .host_account import account_of, check_sshd, ensure_account, keys_file, sshd_says
from .host_adopting import adopt
from .host_authorized import WRAPPER, Line, edit_keys, restore_labels
from .host_files import open_way, read_whole, shown, take_lock, write_whole
from .host_folder import ensure_folder, vault_path
from .host_space import bytes_below, space_of

STATE = "/var/lib/cyborg"
#: Borg refuses to serve with less.
LEAST_QUOTA = 10000000


def op_host_vault(request):
    """``do``: ensure, grant, revoke, remove, close, open.

    A vault is known by its ``tag``, made of its path: two libraries that use one host may give vaults the same number.
    """
    if os.getuid() != 0:
        raise Refused(
            "not_root", "The account that logs in on the repository's host is not root and may not become root."
        )
    check = bool(request.get("check"))
    entry = account_of(request["account"])
    path = vault_path(request["path"], request["account"], entry)
    work = Work(request, path, check)
    if check:
        work.folder = None
    else:
        work.folder = open_way(STATE, True)
        take_lock(work.folder, "lock", 120)
    {"ensure": ensure, "grant": grant, "revoke": revoke, "remove": remove, "close": close, "open": reopen}[
        request["do"]
    ](work)
    return {
        "state": "done",
        "space": space_of(path),
        "tag": work.tag,
        "path": path,
        "changed": bool(work.changes),
        "changes": work.changes,
        "warnings": work.warnings,
        "busy": work.busy,
        "known": work.known,
    }


class Work:
    """What is asked, and what came of it."""

    def __init__(self, request, path, check):
        self.request, self.path, self.check = request, path, check
        self.account, self.vault = request["account"], int(request["vault"])
        self.tag = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
        self.changes, self.warnings, self.busy = [], [], False
        self.known = False
        self.folder = None

    def lines(self):
        """The keys that the request brings."""
        made = []
        for key in self.request.get("keys") or []:
            until = time.time() + float(key["seconds"]) if key.get("seconds") else None
            made.append(Line(self.tag, self.vault, key["name"], key["mode"], key["key"], until))
        return made

    def edit(self, add, remove):
        """Changes the account's authorized_keys."""
        entry = account_of(self.account)
        if entry is None:
            return
        settings = sshd_says(self.account)
        if add:
            check_sshd(entry, settings, self.warnings)
        home, path = keys_file(entry, settings)
        edit_keys(entry, home, path, add, remove, self.check, self.changes, self.warnings)

    def below(self, name, mode=0o755):
        """An open folder below the state folder."""
        return open_way("%s/%s" % (STATE, name), True, mode=mode)


def ensure(work):
    request, check = work.request, work.check
    lines = work.lines()
    if request.get("existing"):
        entry = account_of(work.account)
        adopt(work, entry, lines, json.loads((read_known(work.tag) or b"{}").decode("ascii")))
    else:
        entry = ensure_account(work.account, check, work.changes)
        ensure_folder(work.path, entry, work.account, check, work.changes, work.warnings)
    ensure_wrapper(request["serve"], check, work.changes)
    space = space_of(work.path)
    about = {
        "vault": work.vault,
        "path": work.path,
        "account": work.account,
        "quota": quota(work, space["free"]),
        "reserve": int(request.get("reserve") or 0),
        "append_only": bool(request.get("append_only")),
        "wait": int(request.get("wait") or 0),
        "borg": request.get("borg") or "",
    }
    data = json.dumps(about, sort_keys=True).encode("ascii") + b"\n"
    if not check:
        vaults, locks = work.below("vaults"), work.below("locks")
        work.below("closed")
        if read_whole(vaults, work.tag, 65536) != data:
            write_whole(vaults, work.tag, data, 0o644)
            work.changes.append("write how vault %d is served" % work.vault)
        own_lock(locks, work.tag, entry)
    elif read_known(work.tag) != data:
        work.changes.append("write how vault %d is served" % work.vault)
    if entry is not None:
        # A key of this vault under another name stays: a vault that clients share has one for each of them.
        work.edit(lines, None)
    else:
        work.changes.append("put %d key(s) into the new account's authorized_keys" % len(lines))


def quota(work, free):
    """Bytes that clients may fill the vault to; 0: no bound. A share of what is free comes on top of what is there."""
    share = int(work.request.get("quota_share") or 0)
    if work.request.get("quota") or not share:
        return int(work.request.get("quota") or 0)
    return max(LEAST_QUOTA, bytes_below(work.path) + free * share // 100)


def read_known(tag):
    try:
        return read_whole(open_way(STATE + "/vaults", False), tag, 65536)
    except Refused as error:
        if error.error["code"] == "missing":
            return None
        raise


def own_lock(locks, tag, entry):
    """The file by whose kernel lock whoever serves the vault is alone. It stays as long as the vault is known."""
    fd = os.open(tag, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=locks)
    try:
        os.fchmod(fd, 0o600)
        os.fchown(fd, entry.pw_uid, entry.pw_gid)
    finally:
        os.close(fd)


def ensure_wrapper(text, check, changes):
    """The program that sshd runs for our keys."""
    python = sys.executable or "/usr/bin/python3"
    data = ("#!%s -IS\n%s" % (python, text)).encode("ascii")
    path, name = os.path.split(WRAPPER)
    try:
        found = read_whole(open_way(path, False), name, 1 << 20)
        mode = stat.S_IMODE(os.stat(WRAPPER).st_mode) if found is not None else 0
    except Refused as error:
        if error.error["code"] != "missing":
            raise
        found, mode = None, 0
    if found == data and mode == 0o755:
        return
    changes.append("install %s" % WRAPPER)
    if not check:
        write_whole(open_way(path, True), name, data, 0o755)
        restore_labels(path)


def grant(work):
    """Keys for a while: each line says itself when it is over."""
    if any(not key.get("seconds") for key in work.request.get("keys") or [{}]):
        raise Refused("invalid", "A key that is granted needs a time after which it is over.")
    if read_known(work.tag) is None:
        raise Refused(
            "vault_missing",
            "%s is no vault that was prepared on this host; prepare its repository first." % shown(work.path),
        )
    work.edit(work.lines(), None)


def revoke(work):
    names = set(work.request["names"])
    work.edit([], lambda tag, name: tag == work.tag and name in names)


def remove(work):
    """Nobody may use the vault any more, and the host forgets it; what lies in its folder stays."""
    work.edit([], lambda tag, name: tag == work.tag)
    for place in ("vaults", "closed", "locks"):
        path = "%s/%s/%s" % (STATE, place, work.tag)
        if os.path.lexists(path):
            work.changes.append("remove %s" % path)
            if not work.check:
                os.unlink(path)


def close(work):
    """Clients are refused from now on. ``busy`` says whether somebody is at work still."""
    mark = mark_of(work)
    there = read_mark(work)
    # What a person closed stays closed until a person opens it.
    if there is None or (there and mark):
        work.changes.append("close the vault to its clients")
        if not work.check:
            write_whole(work.below("closed"), work.tag, mark, 0o644)
    work.busy = is_busy(work.tag)


def mark_of(work):
    """What stands in the mark that closes a vault: until when, and who closed it; nothing for good."""
    seconds, by = int(work.request.get("seconds") or 0), str(work.request.get("by") or "-")
    return b"%d %s\n" % (time.time() + seconds, by.encode("ascii")) if seconds else b""


def read_mark(work):
    try:
        return read_whole(open_way("%s/closed" % STATE, False), work.tag, 200)
    except Refused as error:
        if error.error["code"] != "missing":
            raise
        return None


def reopen(work):
    path, by = "%s/closed/%s" % (STATE, work.tag), work.request.get("by")
    if by and (read_mark(work) or b"").split()[1:] != [by.encode("ascii")]:
        # Closed by a person, or by a later try of the same job, which is at work.
        work.busy = is_busy(work.tag)
        return
    if os.path.lexists(path):
        work.changes.append("open the vault to its clients")
        if not work.check:
            os.unlink(path)
    work.busy = is_busy(work.tag)


def is_busy(tag):
    try:
        fd = os.open("%s/locks/%s" % (STATE, tag), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(fd)
