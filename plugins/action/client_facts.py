# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client is: see the documentation in plugins/modules/client_facts.py."""

from __future__ import annotations

from ansible_collections.cyborg.backup.plugins.plugin_utils.host_action import (
    HostAction,
    address,
    hostile,
    number,
    path,
    text,
    texts,
    truth,
)


class ActionModule(HostAction):
    """Reads; changes nothing, and needs no rights."""

    ARGUMENTS: dict = {}

    def work(self):
        facts = checked(self.ask_as_login("host_facts").get("facts"))
        return self.told({"changed": False, "facts": facts, "notes": notes(facts)})


def checked(found):
    """The facts, each of its type and not too long; raises `Failure` ``hostile_answer`` for anything else."""
    if not isinstance(found, dict):
        raise hostile("something else than facts")
    python, system = found.get("python"), found.get("os")
    if not isinstance(python, dict) or not isinstance(system, dict):
        raise hostile("something else than facts")
    return {
        "uid": number(found.get("uid"), 2**32, "a user's number"),
        "user": text(found.get("user"), 64, "an account"),
        "home": path(found.get("home"), "a home folder"),
        "python": {
            "path": path(python.get("path"), "the path of Python"),
            "version": text(python.get("version"), 20, "Python's version", r"[0-9.]+"),
        },
        "os": {name: text(system.get(name), 200, "the system's name") for name in ("id", "version", "name", "like")},
        "kernel": text(found.get("kernel"), 128, "the kernel's version"),
        "machine": text(found.get("machine"), 32, "the machine's kind", r"[A-Za-z0-9_.-]*"),
        "hostname": text(found.get("hostname"), 255, "a host name", r"[A-Za-z0-9_.-]*"),
        "ip": address(found.get("ip")),
        "addresses": [address(item) for item in texts(found.get("addresses"), 64, 64, "a list of addresses")],
        "manager": text(found.get("manager"), 20, "a package manager", r"[a-z-]*"),
        "borg": path(found.get("borg"), "the path of Borg"),
        "borg_version": text(found.get("borg_version"), 60, "Borg's version", r"([0-9]+\.[0-9]+\.[0-9]+[0-9a-z.+-]*)?"),
        "borg_problem": text(found.get("borg_problem"), 300, "a problem"),
        "systemd": truth(found.get("systemd"), "whether systemd runs"),
        "memory_folders": texts(found.get("memory_folders"), 2, 20, "a list of folders"),
        "tar": path(found.get("tar"), "the path of tar"),
        "bash": path(found.get("bash"), "the path of bash"),
        "ssh": path(found.get("ssh"), "the path of ssh"),
        "ssh_keygen": path(found.get("ssh_keygen"), "the path of ssh-keygen"),
        "sudo": path(found.get("sudo"), "the path of sudo"),
        "sudo_logs_input": truth(found.get("sudo_logs_input"), "what sudo logs", none=True),
    }


def notes(facts):
    """Sentences for people to think about."""
    found = []
    if facts["sudo_logs_input"]:
        found.append(
            "sudo on this host logs what it is fed (log_input): passphrases of jobs would be in that log. Except the "
            "account %s from it, or let root log in." % facts["user"]
        )
    if not facts["memory_folders"]:
        found.append(
            "Neither /run nor /dev/shm of this host is in memory (tmpfs): jobs that need a secret file will be refused "
            "here. Mount a tmpfs at /dev/shm."
        )
    return found
