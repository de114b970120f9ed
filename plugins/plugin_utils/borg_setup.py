# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes sure that a host has a Borg that can be used: by its package manager, or from a given binary."""

from __future__ import annotations

import base64
import hashlib
import os
import re

from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_versions
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.host_action import (
    hostile,
    number,
    path,
    text,
    texts,
    truth,
)

#: Where a package manager puts programs; what lies elsewhere it has not installed, and cannot bring up to date.
PACKAGED = ("/usr/bin/", "/bin/")
PROGRAMS = {"borg": "Borg", "ssh": "the OpenSSH client", "ssh-keygen": "ssh-keygen"}
#: Bytes of the binary in one exchange.
PIECE = 4 * 1024 * 1024
#: Seconds that an installation may take, waiting for others included.
TIME = 3600

#: The arguments by which an action takes what is said here.
ARGUMENTS = {
    "update": {"type": "bool", "default": False},
    "binary": {"type": "path", "default": ""},
    "binary_sha256": {"type": "str", "default": ""},
}


class BorgSetup:
    """One host's Borg. `action` is the `HostAction` that speaks to it."""

    def __init__(self, action, where="the client"):
        self.action, self.where = action, where
        self.changed = False
        #: Sentences on what was done, or would be.
        self.changes: list[str] = []
        #: Sentences for people to think about.
        self.notes: list[str] = []

    def ensure(self, needed, welcome=()):
        """Install what is missing, and give what there is then.

        :param needed: programs without which the host is not ready ("borg", "ssh", "ssh-keygen")
        :param welcome: programs that are installed as well where that can be done, but not insisted on
        :returns: {"borg": path, "borg_version", "uid", "home", "python", "manager", "missing": [programs]}
        """
        args = self.action.args
        binary = self._binary(args["binary"], args["binary_sha256"])
        here = self._look([*needed, *welcome])
        if binary:
            self._place(args["binary"], binary, here)
            if "borg" in here["missing"] and not self.action.check:
                here = self._look([*needed, *welcome])
        wanted = [name for name in here["missing"] if not (binary and name == "borg")]
        update = args["update"] and not binary
        if update and here["borg"] and not here["borg"].startswith(PACKAGED):
            self.notes.append(
                "%s on %s was not installed by the package manager and is not updated by it; give a newer binary "
                "(borg_binary), or remove it and prepare again." % (here["borg"], self.where)
            )
            update = False
        if wanted or update:
            here = self._install(here, wanted, needed, [*needed, *welcome], update)
        if not (self.action.check and not here["borg_version"]):
            self._judge(here)
        return here

    # -- looking -------------------------------------------------------------------------------------------

    def _look(self, wanted):
        reply = self.action.ask("host_borg", wanted=wanted)
        borg = borg_of(reply.get("borg"))
        return {
            "borg": borg["path"],
            "borg_version": borg["version"],
            "problem": borg["problem"],
            "uid": number(reply.get("uid"), 2**32, "a user's number"),
            "home": path(reply.get("home"), "a home folder"),
            "python": path(reply.get("python"), "the path of Python"),
            "manager": text(reply.get("manager"), 20, "a package manager", r"[a-z-]*"),
            "missing": [name for name in texts(reply.get("missing"), 8, 20, "a list of programs") if name in PROGRAMS],
        }

    def _judge(self, here):
        sentence = borg_versions.refused(here["borg_version"])
        if sentence:
            raise Failure("borg_too_old", "%s (%s on %s.)" % (sentence, here["borg"], self.where))
        note = borg_versions.warning(here["borg_version"], self.where)
        if note:
            self.notes.append(note)

    # -- the package manager -------------------------------------------------------------------------------

    def _install(self, here, wanted, needed, all_of_them, update):
        if here["problem"] and "borg" in wanted:
            raise Failure(
                "borg_missing",
                "%s on %s does not run (%s). Repair it or remove it, then prepare again; nothing was changed."
                % (here["borg"], self.where, here["problem"]),
            )
        names = " and ".join(PROGRAMS[name] for name in wanted) or PROGRAMS["borg"]
        reason = ""
        if here["uid"] != 0:
            reason = "the account that logs in is not root and may not become root (become)"
        elif not here["manager"]:
            reason = "no package manager that we know (apt-get, dnf, zypper, pacman, apk) is there"
        if reason:
            missing = [name for name in wanted if name in needed]
            if not missing and not update:
                self.notes.append("%s is missing on %s, and %s." % (names, self.where, reason))
                return here
            raise Failure(
                "borg_missing" if "borg" in missing else "unsupported",
                "%s cannot be %s on %s, because %s. Install it there yourself, then prepare again."
                % (names, "installed" if missing else "updated", self.where, reason),
            )
        verb = "update" if update else "install"
        self.changes.append("%s %s by %s" % (verb, names, here["manager"]))
        if self.action.check:
            self.changed = True
            return here
        self.action.say_lines(["Preparing %s: %s %s by %s." % (self.where, verb, names, here["manager"])])
        wanted = ["borg"] if update and not wanted else wanted
        reply = self.action.run_piece(
            "install", "host_install", python=here["python"], timeout=TIME, wanted=wanted, update=update
        )
        self.changed = self.changed or truth(reply.get("changed"), "whether something was changed")
        return self._look(all_of_them)

    # -- a given binary ------------------------------------------------------------------------------------

    def _binary(self, binary, sha256):
        """The checksum of the given binary, which it has; "" if none is given."""
        if not binary and not sha256:
            return ""
        sha256 = sha256.lower()
        if not binary or not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise Failure(
                "bad_arguments",
                "A binary needs both its path on the controller (borg_binary) and its SHA-256, 64 digits of 0-9 and "
                "a-f (borg_binary_sha256).",
            )
        found = hashlib.sha256()
        try:
            with open(binary, "rb") as file:
                for piece in iter(lambda: file.read(1 << 20), b""):
                    found.update(piece)
        except OSError as problem:
            raise Failure(
                "bad_arguments", "The binary %s cannot be read on the controller: %s." % (binary, problem.strerror)
            ) from problem
        if found.hexdigest() != sha256:
            raise Failure(
                "bad_arguments",
                "The binary %s has the SHA-256 %s, not the one given; nothing was changed. Get it again from where you "
                "have the checksum." % (binary, found.hexdigest()),
            )
        return sha256

    def _place(self, binary, sha256, here):
        reply = self.action.ask("host_binary", do="look")
        if text(reply.get("sha256"), 64, "a checksum", r"([0-9a-f]{64})?") == sha256:
            return
        if here["uid"] != 0:
            raise Failure(
                "become_failed",
                "The given binary can be put on %s by root only, and the account that logs in is not root and may not "
                "become root (become)." % self.where,
            )
        self.changes.append("put the binary %s into /usr/local/bin/borg" % os.path.basename(binary))
        self.changed = True
        if self.action.check:
            return
        same = {"job": self.action.command_id("binary"), "sha256": sha256}
        try:
            with self.action.many():
                self._send(binary, same)
            reply = self.action.ask("host_binary", do="finish", **same)
        except Failure:
            self.action.ask("host_binary", do="drop", **same)
            raise
        placed = borg_of(reply.get("borg"))
        here.update(borg=placed["path"], borg_version=placed["version"], problem=placed["problem"])
        kept = path(reply.get("kept"), "a path")
        if kept:
            self.action.say_lines(["The Borg that was in its place before is kept as %s." % kept])

    def _send(self, binary, same):
        size, at = os.path.getsize(binary), 0
        with open(binary, "rb") as file:
            while at < size:
                piece = file.read(PIECE)
                if not piece:
                    raise Failure("bad_arguments", "The binary %s became shorter while it was sent." % binary)
                data = base64.b64encode(piece).decode("ascii")
                reply = self.action.ask("host_binary", do="piece", offset=at, data=data, **same)
                at += len(piece)
                if number(reply.get("size"), 2**40, "a size") != at:
                    raise hostile("another size than was sent")


def borg_of(value):
    """What the agent says of a Borg, checked."""
    if not isinstance(value, dict):
        raise hostile("something else than a Borg")
    return {
        "path": path(value.get("path"), "a path"),
        "version": text(value.get("version"), 60, "a version", r"([0-9]+\.[0-9]+\.[0-9]+[0-9a-z.+-]*)?"),
        "problem": text(value.get("problem"), 300, "a problem"),
    }
