# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of the actions that make hosts ready: single questions to the agent, with answers that are not trusted."""

from __future__ import annotations

import ipaddress
import re
from contextlib import contextmanager

from ansible.errors import AnsibleConnectionFailure
from ansible.utils.display import Display
from ansible_collections.cyborg.backup.plugins.module_utils.agent import AgentError, answer, program
from ansible_collections.cyborg.backup.plugins.plugin_utils.agent_action import AgentAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Canceled, Failure

display = Display()

#: What the agent calls it -> what the library calls it.
CODES = {
    "agent_failed": "internal",
    "borg_failed": "borg_failed",
    "borg_missing": "borg_missing",
    "broken": "bad_arguments",
    "busy": "lock_held",
    "changed": "lock_held",
    "checksum": "install_failed",
    "client_full": "client_full",
    "cut": "unreachable",
    "cwd_exists": "destination_exists",
    "cwd_missing": "path_not_found",
    "different": "hostile_answer",
    "full": "client_full",
    "install_failed": "install_failed",
    "invalid": "bad_arguments",
    "key_in_use": "hostile_answer",
    "missing": "unsupported",
    "no_ssh_keygen": "unsupported",
    "not_root": "become_failed",
    "too_long": "unsupported",
    "unsafe_directory": "unsupported",
    "unsupported": "unsupported",
    "vault_exists": "vault_exists",
    "vault_missing": "vault_missing",
    "version": "borg_too_old",
}


class HostAction(AgentAction):
    """An action that asks the agent to look at a host, or to change something on it at once."""

    def ask(self, piece, **request):
        """One exchange with a piece of the agent (its operation is called like it): its answer, a dict.

        Raises `Failure` for a refusal, and for an answer that is none.
        """
        return self._settled(self._asked(piece, request, None))

    def ask_as_login(self, piece, **request):
        """`ask` with the rights of the account that logs in, whatever the play says."""
        return self._settled(self._asked(piece, request, False))

    def _asked(self, piece, request, sudoable):
        if self._canceled.is_set():
            raise Canceled
        text = program([piece], dict(request, op=piece))
        try:
            return self.answer_of(text) if sudoable is None else self._feed(text, sudoable=sudoable)
        except (AgentError, AnsibleConnectionFailure) as problem:
            if self._canceled.is_set():
                raise Canceled from problem
            if isinstance(problem, AnsibleConnectionFailure):
                raise
            message = "The agent on the host gave no answer (%s). It said: %s" % (problem, problem.tail or "nothing")
            raise Failure("internal", message) from problem

    def _settled(self, reply):
        if reply.get("state") == "refused":
            error = reply.get("error")
            error = error if isinstance(error, dict) else {}
            code = CODES.get(str(error.get("code")), "internal")
            raise Failure(code, text(error.get("message"), 1000, "a reason"), agent_error=error)
        if reply.get("state") != "done":
            raise hostile("a state of its own making")
        return reply

    @contextmanager
    def many(self):
        """While in it, a cancel of the job raises `Canceled` out of the questions that are asked one after another."""
        with self._watching():
            yield

    def run_piece(self, step, piece, *, python, timeout, **request):
        """Let a piece work detached from the connection, as a command of the job; its lines are the job's output.

        Gives its answer; raises `Failure` also where the job is canceled or the time is over.
        """
        stdin = program([piece], dict(request, op=piece)).decode("ascii")
        argv = [python, "-I", "-S", "-"]
        reply = self.command(step, argv, stdin=stdin, timeout=timeout, on_lines=self.say_lines)
        result = reply["result"]
        if result.get("timed_out"):
            raise Failure("timeout", "Preparing the host took longer than %d minutes." % (timeout // 60))
        try:
            return self._settled(answer(result.get("out") or ""))
        except AgentError as problem:
            tail = [str(line) for line in result.get("tail") or []]
            said = (tail or ["nothing"])[-1][:300]
            raise Failure(
                "install_failed", "The installation broke off without an answer; it said: %s" % said
            ) from problem

    def told(self, result):
        """The task's result; in a run without the library its `changes` and `notes` are shown as well."""
        if self.control is None:
            verb = "would" if self.check else "did"
            self.say_lines(["%s %s" % (verb, change) for change in result.get("changes", ())])
            result["warnings"] = list(result.get("notes", ()))
        return result

    def say_lines(self, lines):
        """Lines for people."""
        if self.control is not None:
            self.control.output([clean(line) for line in lines])
            return
        for line in lines:
            display.display("%s: %s" % (self.vars.get("inventory_hostname", "host"), clean(line)))


def hostile(what):
    """The `Failure` for an answer that no agent of ours gives."""
    message = (
        "The host answered with %s, which our agent never does. Look at that host before you trust it again: "
        "somebody may have changed its Python or its programs."
    )
    return Failure("hostile_answer", message % what)


def clean(value):
    """A host's text for people: no control characters, so that it cannot drive a terminal."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", "?", str(value))


def text(value, limit, what, pattern=None):
    """A text of at most `limit` characters without control characters; or it is hostile."""
    if not isinstance(value, str) or len(value) > limit or clean(value) != value or "\n" in value or "\t" in value:
        raise hostile("something else than %s" % what)
    if pattern is not None and not re.fullmatch(pattern, value):
        raise hostile("something else than %s" % what)
    return value


def number(value, most, what):
    """A whole number from 0 to `most`; or it is hostile."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        raise hostile("something else than %s" % what)
    return value


def truth(value, what, none=False):
    """True or False, or None where that is allowed; or it is hostile."""
    if not (isinstance(value, bool) or (none and value is None)):
        raise hostile("something else than %s" % what)
    return value


def texts(value, most, limit, what):
    """A list of texts; or it is hostile."""
    if not isinstance(value, list) or len(value) > most:
        raise hostile("something else than %s" % what)
    return [text(item, limit, what) for item in value]


def path(value, what):
    """An absolute path, or ""; or it is hostile."""
    return text(value, 1024, what, r"(/[^\x00]*)?")


def address(value):
    """An IP address as it is written shortest, or ""; or it is hostile."""
    given = text(value, 64, "an address")
    if not given:
        return ""
    try:
        return str(ipaddress.ip_address(given))
    except ValueError:
        raise hostile("something else than an address") from None
