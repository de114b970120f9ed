# SPDX-License-Identifier: GPL-3.0-or-later
"""Which Borg a host has, and which package manager could give it one."""

import os
import re
import sys

from .host_tools import find_program, last_line, plain_environment, said

#: In this order: a Debian can have dnf installed, a Fedora no apt-get that works.
MANAGERS = ("apt-get", "dnf", "zypper", "pacman", "apk")
LISTS = "/var/lib/apt/lists"


def borg_here(path=None):
    """{"path", "version", "problem"}: of the Borg that is found first; all empty if there is none.

    ``problem``: it does not run, or does not say which version it is.
    """
    path = path or find_program("borg")
    if not path:
        return {"path": "", "version": "", "problem": ""}
    code, out, err = said([path, "--version"], 60, env={"BORG_SELFTEST": "disabled"})
    found = re.match(r"borg ([0-9]+\.[0-9]+\.[0-9]+[0-9a-z.+-]{0,40})\s*$", out)
    if code == 0 and found:
        return {"path": path, "version": found.group(1), "problem": ""}
    why = last_line(err) or last_line(out) or "exit code %s" % code
    return {"path": path, "version": "", "problem": why}


def package_manager():
    """The name of the host's package manager, or ""."""
    for name in MANAGERS:
        if find_program(name):
            return name
    return ""


def lists_missing(manager):
    """True if the package manager does not know yet which packages there are."""
    if manager == "apt-get":
        try:
            return not any(name.endswith(("_Packages", "_Packages.lz4", "_Packages.gz")) for name in os.listdir(LISTS))
        except OSError:
            return True
    if manager == "pacman":
        try:
            return not any(name.endswith(".db") for name in os.listdir("/var/lib/pacman/sync"))
        except OSError:
            return True
    return False


def programs_missing(wanted):
    """Those of the wanted programs that are not there; "borg" counts only if it runs."""
    missing = []
    for name in wanted:
        if name == "borg":
            if not borg_here()["version"]:
                missing.append(name)
        elif not find_program(name):
            missing.append(name)
    return missing


def op_host_borg(request):
    """What there is; changes nothing."""
    manager = package_manager()
    return {
        "state": "done",
        "uid": os.getuid(),
        "home": plain_environment()["HOME"],
        "python": sys.executable or "/usr/bin/python3",
        "borg": borg_here(),
        "manager": manager,
        "missing": programs_missing(request.get("wanted") or []),
    }
