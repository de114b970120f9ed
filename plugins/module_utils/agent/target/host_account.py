# SPDX-License-Identifier: GPL-3.0-or-later
"""The account of a repository's host that serves vaults, and what the host's sshd will say to it."""

import fnmatch
import os
import re
import shlex

from .frame import Refused
from .host_files import open_way
from .host_tools import find_program, last_line, said

HOMES = "/var/lib"
NO_SHELLS = ("nologin", "false", "sync", "true")


def account_of(name):
    """The account's entry in the user database, or None."""
    import pwd

    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def ensure_account(name, check, changes):
    """The account's entry; None in check mode if it would be made.

    Made with a home of root's, so that what serves vaults cannot exchange the keys that limit it.
    """
    if not re.match(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\Z", name):
        raise Refused("invalid", "%r is not the name of an account." % name)
    entry = account_of(name)
    if entry is not None:
        fit(entry)
        return entry
    home = "%s/%s" % (HOMES, name)
    if os.path.lexists(home):
        message = (
            "The account %s does not exist, and %s, which would be its home, is there already; "
            "make the account yourself." % (name, home)
        )
        raise Refused("invalid", message)
    changes.append("make the account %s" % name)
    if check:
        return None
    make_account(name, home)
    os.close(open_way(home, True))
    entry = account_of(name)
    if entry is None:
        raise Refused("agent_failed", "The account %s was made, and is not in the user database." % name)
    return entry


def make_account(name, home):
    """No password, but not locked either: a locked account is refused by an sshd without PAM."""
    import grp

    useradd, adduser = find_program("useradd"), find_program("adduser")
    try:
        grp.getgrnam(name)
        has_group = True
    except KeyError:
        has_group = False
    if useradd:
        group = ["--gid", name] if has_group else ["--user-group"]
        common = [
            "--home-dir",
            home,
            "--no-create-home",
            "--shell",
            "/bin/sh",
            "--password",
            "*",
            "--comment",
            "Borg backups",
        ]
        steps = [([useradd, "--system", *group, *common, name], None)]
    elif adduser:
        steps = [] if has_group else [([find_program("addgroup") or "addgroup", "-S", name], None)]
        steps.append(
            ([adduser, "-S", "-D", "-H", "-h", home, "-s", "/bin/sh", "-G", name, "-g", "Borg backups", name], None)
        )
        steps.append(([find_program("chpasswd") or "chpasswd", "-e"], ("%s:*\n" % name).encode("ascii")))
    else:
        raise Refused("unsupported", "Neither useradd nor adduser was found; make the account %s yourself." % name)
    for argv, stdin in steps:
        code, out, err = said(argv, 120, stdin)
        if code != 0:
            why = last_line(err) or last_line(out) or "exit code %s" % code
            raise Refused("agent_failed", "The account %s could not be made: %s." % (name, why.rstrip(".")))


def fit(entry):
    """Refuses an account that cannot run a command over ssh. It may be somebody's, so it is not changed."""
    shell = entry.pw_shell or "/bin/sh"
    if os.path.basename(shell) in NO_SHELLS or not os.access(shell, os.X_OK):
        message = (
            "The account %s has the shell %s, with which no command can be run over ssh; choose another account, or: "
            "usermod -s /bin/sh %s"
        )
        raise Refused("invalid", message % (entry.pw_name, shell, entry.pw_name))


def sshd_says(name):
    """The settings of the host's sshd for this account: {keyword: [values]}; empty where it does not tell."""
    sshd = find_program("sshd")
    if not sshd:
        return {}
    code, out, _ = said([sshd, "-T", "-C", "user=%s,host=localhost,addr=127.0.0.1" % name], 30)
    found = {}
    if code == 0:
        for line in out.splitlines():
            word, _, value = line.strip().partition(" ")
            found.setdefault(word.lower(), []).append(value.strip())
    return found


def check_sshd(entry, settings, warnings):
    """Refuses what would keep the keys from working, whatever is written into the file."""
    name = entry.pw_name
    if settings.get("pubkeyauthentication") == ["no"]:
        raise Refused("invalid", "The sshd of this host takes no keys from %s: set PubkeyAuthentication yes." % name)
    forced = [value for value in settings.get("forcecommand", []) if value != "none"]
    if forced:
        raise Refused(
            "invalid", "The sshd of this host runs another command for %s (ForceCommand); except that account." % name
        )
    if settings.get("usepam", ["yes"])[0] == "no" and locked(name):
        message = "The account %s is locked, and this host's sshd refuses such accounts (UsePAM no): usermod -p '*' %s"
        raise Refused("invalid", message % (name, shlex.quote(name)))
    allowed = [word for value in settings.get("allowusers", []) for word in value.split()]
    if allowed and not any(fnmatch.fnmatchcase(name, word.partition("@")[0]) for word in allowed):
        warnings.append(
            "The sshd of this host lets only some accounts in (AllowUsers), and %s is not among them." % name
        )


def locked(name):
    try:
        with open("/etc/shadow", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                fields = line.split(":")
                if fields[0] == name and len(fields) > 1:
                    return fields[1].startswith("!")
    except OSError:
        pass  # no such file: such a system has no locked accounts
    return False


def keys_file(entry, settings):
    """(home, path): where sshd looks for the account's keys, the home being without links."""
    home = os.path.realpath(entry.pw_dir)
    first = " ".join(settings.get("authorizedkeysfile", [])).split() or [".ssh/authorized_keys"]
    if first[0] == "none":
        raise Refused(
            "invalid", "The sshd of this host reads no file of keys for %s (AuthorizedKeysFile none)." % entry.pw_name
        )
    values = {"%": "%", "h": home, "u": entry.pw_name, "U": "%d" % entry.pw_uid}
    path = re.sub(r"%(.)", lambda found: values.get(found.group(1), found.group(0)), first[0])
    return home, path if path.startswith("/") else home + "/" + path
