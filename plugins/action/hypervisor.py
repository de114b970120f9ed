# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes sure that virtual machines can be backed up here: see the documentation in plugins/modules/hypervisor.py."""

from __future__ import annotations

from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.host_action import (
    HostAction,
    hostile,
    number,
    text,
    texts,
    truth,
)

#: What a backup and a restore run.
PROGRAMS = ("virsh", "qemu-img", "qemu-nbd", "bash")
#: From these on there are backup jobs; which of them have them, libvirt itself says.
LIBVIRT, QEMU = (6, 0), (4, 2)
#: Seconds that an installation may take, waiting for others included.
TIME = 3600
VERSION = r"([0-9]+(\.[0-9]+)+)?"


class ActionModule(HostAction):
    """Installs what is missing around libvirt, never its daemon itself, and makes the folder for scratch files."""

    ARGUMENTS = {"scratch": {"type": "path", "default": "/var/lib/libvirt/cyborg"}}

    def work(self):
        scratch = self.args["scratch"].rstrip("/")
        if not scratch.startswith("/") or ".." in scratch.split("/"):
            raise Failure("bad_arguments", "The folder for scratch files must be a whole path: %r." % scratch)
        self._changes = []
        facts = self._look(scratch)
        if facts["missing"]:
            facts = self._install(facts, scratch)
        if not self.check or not facts["missing"]:
            judge(facts)
        if facts["scratch"] != "right":
            self._changes.append("make the folder %s" % scratch)
            if not self.check:
                facts = self._look(scratch, make=True)
        changes = self._changes
        return self.told({"changed": bool(changes), "changes": changes, "facts": facts, "notes": notes(facts)})

    def _look(self, scratch, *, make=False):
        return checked(self.ask("host_hypervisor", wanted=list(PROGRAMS), scratch=scratch, make=make).get("facts"))

    def _install(self, facts, scratch):
        names = ", ".join(facts["missing"])
        if "bash" in facts["missing"] or facts["uid"] != 0 or not facts["manager"]:
            raise Failure("unsupported", "The hypervisor has no %s, which backups need. Install it there." % names)
        self._changes.append("install %s by %s" % (names, facts["manager"]))
        if self.check:
            return facts
        python = text(self.ask("host_borg", wanted=[]).get("python"), 1024, "the path of Python", r"/.*")
        self.say_lines(["Preparing the hypervisor: install %s by %s." % (names, facts["manager"])])
        self.run_piece("install", "host_install", python=python, timeout=TIME, wanted=facts["missing"])
        return self._look(scratch)


def checked(found):
    """The facts, each of its kind and not too long; raises `Failure` ``hostile_answer`` for anything else."""
    if not isinstance(found, dict):
        raise hostile("something else than facts")
    missing = texts(found.get("missing"), 8, 20, "a list of programs")
    if not set(missing) <= set(PROGRAMS):
        raise hostile("programs that were not asked for")
    return {
        "uid": number(found.get("uid"), 2**32, "a user's number"),
        "manager": text(found.get("manager"), 20, "a package manager", r"[a-z-]*"),
        "missing": missing,
        "libvirt_version": text(found.get("libvirt_version"), 20, "a version", VERSION),
        "qemu_version": text(found.get("qemu_version"), 20, "a version", VERSION),
        "backup": truth(found.get("backup"), "whether there are backup jobs", none=True),
        "domains": texts(found.get("domains"), 1000, 255, "a list of domains"),
        "problem": text(found.get("problem"), 300, "a problem"),
        "scratch": text(found.get("scratch"), 10, "a folder's state", "right|missing|open|foreign"),
        "scratch_free": number(found.get("scratch_free"), 2**63, "a size"),
    }


def judge(facts):
    """Raises `Failure` where no running domain could be backed up."""
    if facts["uid"] != 0:
        raise Failure(
            "become_failed",
            "Virtual machines can be backed up by root only, and the account that logs in is not root and may not "
            "become root (become).",
        )
    if facts["problem"]:
        raise Failure(
            "server_unreachable",
            "libvirt does not answer on the hypervisor (%s). Install and start it (libvirtd, or virtqemud), then "
            "prepare again." % facts["problem"],
        )
    versions = (("libvirt", facts["libvirt_version"], LIBVIRT), ("QEMU", facts["qemu_version"], QEMU))
    for name, version, least in versions:
        if version and tuple(int(part) for part in version.split(".")[:2]) < least:
            raise Failure(
                "unsupported",
                "%s %s on the hypervisor is too old for backups of running virtual machines, which need %d.%d or "
                "later. Bring it up to date, or use the provider command." % (name, version, *least),
            )
    if facts["backup"] is False:
        raise Failure(
            "unsupported",
            "libvirt %s with QEMU %s on the hypervisor has no backup jobs (virsh domcapabilities says so). Bring them "
            "up to date (libvirt 7.6 and QEMU 6.1 have them for certain), or use the provider command."
            % (facts["libvirt_version"], facts["qemu_version"]),
        )


def notes(facts):
    """Sentences for people to think about."""
    free = facts["scratch_free"] // 1048576
    if facts["scratch"] == "right" and free < 4096:
        return [
            "Only %d MiB are free in the folder for scratch files. What guests overwrite while they are saved goes "
            "there; a backup that finds too little is given up." % free
        ]
    return []
