# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of the action that carries files: questions to the agent at one end, and its pieces as commands that go on."""

from __future__ import annotations

import re
import time
import zlib

from ansible_collections.cyborg.backup.plugins.module_utils.agent import AgentError, answer, program
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.host_action import (
    HostAction,
    clean,
    hostile,
    number,
    path,
    text,
)

#: Operation of the agent -> the piece it is in, where that is not its name.
PIECES = {"carry_login": "carry_place", "restore_look": "restoring"}
#: Seconds that are left for the way at the least, whatever was taken by what came before.
LEAST = 60
#: What an entry is called in the stream -> in a sentence.
KINDS = {"f": "files", "d": "folders", "l": "links", "h": "hard links", "p": "FIFOs", "b": "devices", "c": "devices"}
_DIGEST = re.compile(r"[0-9a-f]{64}")


class CarryAction(HostAction):
    """Has the arguments `name` (of this try of this job) and `since` (when it began)."""

    def command_id(self, step):
        return "%s.%d" % (self.args["name"], zlib.crc32(step.encode("ascii")))

    @property
    def title(self):
        """What the host is called in sentences."""
        return str(self.host_vars().get("cyborg_title") or self._task.delegate_to or "the host")

    def do(self, op, *, login=False, **request):
        """One exchange. `login`: with no more rights than the login has. Raises `Failure` for a refusal."""
        request = dict(request, op=op, fence=int(self.vars.get("cyborg_fence") or 0))
        asked = program([PIECES.get(op, op)], request)
        return self._checked_state(self._feed(asked, sudoable=False) if login else self.answer_of(asked))

    def place(self, side):
        """A FIFO here, and the folder it is in: {"place", "fifo", "python"}."""
        login = self.do("carry_login", login=True)
        uid, gid = (number(login.get(name), 2**32 - 1, "an account") for name in ("uid", "gid"))
        reply = self.do("carry_place", name=self.args["name"], side=side, uid=uid, gid=gid)
        return {name: path(reply.get(name), "a path") for name in ("place", "fifo", "python")}

    def piece(self, piece, place, request):
        """What the agent's `start` takes for a piece that works as a command."""
        left = int(self.vars.get("cyborg_timeout") or 0)
        if left:
            left = max(LEAST, left - int(time.time() - (self.args["since"] or time.time())))
        return {
            "argv": [place["python"], "-I", "-S", "-"],
            "stdin": program([piece], dict(request, op=piece)).decode("ascii"),
            "timeout": left or None,
            "grace": 5,
        }

    def ended(self, reply, said=""):
        """What a piece answered that worked as a command. `said`: by what moves the bytes, if something broke there."""
        result = reply["result"]
        if result.get("timed_out"):
            raise Failure("timeout", "The files were not over within the time that the job has.")
        try:
            return self._checked_state(answer(result.get("out") or ""))
        except AgentError as problem:
            tail = [str(line) for line in result.get("tail") or []] or ["nothing"]
            message = "A process on %s broke off without an answer; it said: %s" % (self.title, clean(tail[-1])[:300])
            raise Failure("internal", message) from problem
        except Failure as failure:
            if failure.code != "unreachable" or not said:
                raise
            message = "%s What was heard between the hosts: %s" % (failure.message, clean(said))
            raise Failure(failure.code, message) from failure

    def _checked_state(self, reply):
        if reply.get("state") == "fenced":
            raise Failure("lost", "Another engine has taken this job over; nothing more was done here.")
        return self._settled(reply)

    def progress(self, values, reply):
        """How far it is, to the library or as the task's output."""
        seconds = max(0.0, float(reply.get("now") or 0) - float(reply.get("started_at") or 0))
        told = borg_answers.progress(values, seconds)
        if self.control is not None:
            self.control.progress(told)
        else:
            self.say_lines(["%(files)d files, %(original_bytes)d bytes; %(path)s" % told])


def tally(value):
    """What a host says it has sent or taken in, of known types; or it is hostile."""
    counts = value.get("counts") if isinstance(value, dict) else None
    if not isinstance(counts, dict) or set(counts) - set(KINDS):
        raise hostile("something else than a tally of files")
    return {
        "counts": {kind: number(count, 2**53, "a count") for kind, count in sorted(counts.items())},
        "bytes": number(value.get("bytes"), 2**62, "a number of bytes"),
        "digest": text(value.get("digest"), 64, "a digest", _DIGEST.pattern),
    }


def in_words(told):
    """A tally for a sentence."""
    counts = ["%d %s" % (count, KINDS[kind]) for kind, count in told.get("counts", {}).items()]
    return "%s, %d bytes" % (", ".join(counts) or "nothing", told.get("bytes", 0))


def lost(value):
    """What did not stay, in sentences."""
    found = []
    for what, told in (value if isinstance(value, dict) else {}).items():
        if not isinstance(told, list) or len(told) != 3 or len(found) >= 50:
            raise hostile("something else than what did not stay")
        found.append(
            "%d entries did not keep %s (%s), the first of them %s"
            % (number(told[0], 2**53, "a count"), clean(what)[:300], clean(told[2])[:300], clean(told[1])[:300])
        )
    return found
