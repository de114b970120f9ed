# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands what is in archives over to the library, as Borg lists it: in pieces, none of which is kept anywhere."""

from __future__ import annotations

import time

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.cyborg.backup.plugins.module_utils.agent import AgentError
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.agent_action import OVERDUE, RECONNECT
from ansible_collections.cyborg.backup.plugins.plugin_utils.control import ControlError
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Canceled, Failure

#: Bytes: what of a listing may lie on the host, what is fetched in one exchange, and what the library gets at a time.
WINDOW, FETCH, HAND = 16 * 1024 * 1024, 4 * 1024 * 1024, 512 * 1024
#: Seconds that an exchange waits for as much, and for which a host is asked again that is out of reach: the agent ends
#: a listing that nobody has fetched from for five minutes.
WAIT, PATIENCE = 20, 240
#: What the library says of a listing -> how the job fails, where that is not the same word.
CODES = {"refused": "internal", "ended": "lost"}
#: After one of these the next archive would fare no better.
HOPELESS = frozenset(
    {"lost", "unreachable", "timeout", "lock_held", "wrong_passphrase", "become_failed", "borg_missing"}
)


class Contents:
    """Mixin for a `BorgAction` that has `limits()`, with the arguments `ARGUMENTS`."""

    ARGUMENTS = {"contents": {"type": "list", "elements": "dict", "default": []}}

    def hand_over(self, found):
        """Read what is in those of the wanted archives that were found, by name and id, in the vault.

        Gives (warnings, the first `Failure` or None): what could not be read says nothing against what was found.
        """
        warnings, problem = [], None
        there = {(entry["name"], entry["id"]) for entry in found}
        wanted = [one for one in self.args["contents"] if (one["name"], one["id"]) in there]
        if self.control is None or self.check:
            return warnings, problem
        for number, one in enumerate(wanted):
            whole = self.whole_timeout()
            if number and whole and time.monotonic() - self._since > whole / 2:
                self.say("%d archives are left for the next look into the vault." % (len(wanted) - number))
                break
            try:
                warnings += self._handed(one)
            except Canceled:
                raise
            except Failure as failure:
                text = "What is in the archive %s could not be read: %s" % (one["name"], failure.message)
                problem = problem or Failure(failure.code, text)
                self.say(text)
                if failure.code in HOPELESS:
                    break
        return warnings, problem

    def _handed(self, one):
        archive, step = int(one["archive"]), "contents %d" % int(one["archive"])
        try:
            if not self.control.contents_begin(archive, one["id"]):
                return []
            try:
                self._listed(one, archive, step)
                told = self.control.contents_end(archive)
            except BaseException:
                self.control.contents_abandon(archive)
                raise
        except ControlError as problem:
            if problem.code == "gone":
                raise
            raise Failure(CODES.get(problem.code, problem.code), str(problem)) from problem
        self.say("%s: %d entries are in the catalogue." % (one["name"], told["entries"]))
        if not told["left_out"]:
            return []
        return [
            "%d entries of the archive %s are such as no Borg writes (names with '..', impossible numbers); they are "
            "not in the catalogue. Look at the client that made it." % (told["left_out"], one["name"])
        ]

    def _listed(self, one, archive, step):
        fetched = []
        reply = self._called(
            step,
            borg_argv.contents_of(one["name"], lock_wait=self.args["lock_wait"]),
            {
                "window": WINDOW,
                "limits": self.limits(),
                "follow": {"offset": 0, "seen": 0, "wait": 0, "quiet": 0},
                "on_start": lambda first: fetched.append(self._fetched(step, archive)),
            },
        )
        try:
            result = reply["result"]
            if result.get("out_cut") or fetched != [result["out_bytes"]]:
                raise Failure("unparsable", "Borg's listing was cut on its way.")
        finally:
            self._commands = [other for other in self._commands if other != step]
            self.forget(step)

    def _fetched(self, step, archive):
        """Hand all of a listing over while Borg makes it; gives its bytes. None: the job was canceled meanwhile."""
        offset, left = 0, self.timeout()
        until = time.monotonic() + left + OVERDUE if left else None
        while True:
            piece = self._piece(step, offset)
            if piece is None:
                return None
            if piece.get("state") not in ("starting", "running", "ended"):
                raise Failure("lost", "The host forgot Borg's listing while it was fetched.")
            data, end = piece.get("data"), piece.get("end") is True
            if not isinstance(data, str) or piece.get("offset") != offset + len(data):
                raise Failure("unparsable", "A piece of Borg's listing is not what it should be.")
            for start in range(0, len(data), HAND):
                self.control.contents(archive, data[start : start + HAND])
            offset += len(data)
            if end:
                return offset
            if until is not None and time.monotonic() > until:
                raise Failure("timeout", "Borg's listing did not come to an end within the time that the job has.")

    def _piece(self, step, offset):
        """The next piece of what Borg prints; asked for again if the connection breaks, as Borg goes on there."""
        request = {"op": "out", "job": self._names[step], "offset": offset, "max": FETCH, "wait": WAIT}
        until, pauses = time.monotonic() + PATIENCE, iter(RECONNECT)
        while not self._canceled.is_set():
            try:
                return self.exchange(request)
            except (AnsibleConnectionFailure, AgentError) as problem:
                if not self._canceled.is_set() and time.monotonic() > until:
                    message = "The connection broke while Borg's listing was fetched: %s" % problem
                    raise Failure("lost", message) from problem
            self._canceled.wait(next(pauses, RECONNECT[-1]))
        return None
