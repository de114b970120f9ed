# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of this collection's actions: they run commands on a host through the agent, and speak to the library, if it
is there.

An action is a class with `ARGUMENTS` (an argument spec) and `work()`::

    class ActionModule(AgentAction):
        ARGUMENTS = {"path": {"type": "str", "required": True}}

        def work(self):
            answer = self.command("look", ["ls", "--", self.args["path"]])
            return {"changed": False, "found": answer["result"]["out"]}

What goes wrong is raised as a `Failure`; it becomes the task's result, with ``cyborg_error``.
"""

from __future__ import annotations

import os
import threading
import time
import zlib
from contextlib import contextmanager

from ansible.errors import AnsibleConnectionFailure
from ansible.utils.display import Display
from ansible_collections.cyborg.backup.plugins.module_utils.agent import AgentError, Lines
from ansible_collections.cyborg.backup.plugins.plugin_utils import arguments
from ansible_collections.cyborg.backup.plugins.plugin_utils.control import Control, ControlError
from ansible_collections.cyborg.backup.plugins.plugin_utils.exchanging import Exchanging
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Canceled, Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.ssh_words import moment_of

display = Display()

#: Seconds: how long one exchange waits for news, and how long after the first news it collects more.
WAIT, FIRST_WAIT, QUIET = 20.0, 4.0, 1.5
#: Where an exchange cannot be broken off, as its local end belongs to root (sudo on this machine).
STUBBORN = 3.0
#: Seconds between attempts to reach a host again whose job goes on, and for how long.
RECONNECT = (1, 2, 4, 8, 15, 30)
PATIENCE = 900
#: As long where nothing shows that a job was started: it is asked for, and then called lost.
DOUBT = 60
#: Seconds after a command's time is over in which the host must have ended it: else nobody there looks after it.
OVERDUE = 60


class AgentAction(Exchanging):
    """An action that works on its host through the agent."""

    _requires_connection = True
    _supports_async = False
    TRANSFERS_FILES = False
    #: The argument spec of the action, as for Ansible's own `validate_argument_spec`.
    ARGUMENTS: dict = {}

    def work(self):
        """Do it: gives the task's result, or raises `Failure`. `self.args` are the validated arguments."""
        raise NotImplementedError

    def arguments(self):
        """The validated arguments of the task."""
        return arguments.delivered(self.validate_argument_spec(self.ARGUMENTS)[1])

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        self.check = bool(self._task.check_mode)
        self.control = None
        try:
            try:
                self.args = self.arguments()
                self.control = Control.connect(self.vars.get("cyborg_job"), self.vars.get("cyborg_attempt"))
                # Of one that an earlier run began something may be at work on the host: `attach` ends it.
                if self.control is not None and self.control.canceled and not self.vars.get("cyborg_attach"):
                    raise Canceled("The job was canceled before its work on the host began.")
                result.update(self.work())
            except ControlError as problem:
                raise Failure("lost", "This task cannot speak to the library: %s." % problem) from problem
        except Failure as failure:
            result.update(failure.result())
        finally:
            if self.control is not None:
                self.control.close()
        return arguments.showable(result)

    # -- what the run says ---------------------------------------------------------------------------------

    @property
    def job(self):
        """`<store>.<job>.<attempt>`, or None in a run without the library.

        The store is in it as a host may be backed up by two of them, or by one that was made anew. A playbook that
        begins again where another one would ask how things stand gives a name of its own in ``cyborg_afresh``.
        """
        if self.vars.get("cyborg_job") is None:
            return None
        store, attempt = self.vars.get("cyborg_store") or 0, self.vars.get("cyborg_attempt") or 1
        name = "%d.%d.%d" % (int(store), int(self.vars["cyborg_job"]), int(attempt))
        return str(self._templar.template(self.vars.get("cyborg_afresh") or "") or name)

    def command_id(self, step):
        """The agent's name for one command of this job: the job's main command has no step.

        Outside the library it is new each time.
        """
        if self.job is None:
            return "0.%d" % int.from_bytes(os.urandom(7), "big")
        return self.job if not step else "%s.%d" % (self.job, zlib.crc32(step.encode("utf-8", "surrogateescape")))

    def secret(self, name, fallback=None):
        """A secret from the library; without it, what the task was given."""
        if self.control is None:
            return fallback
        return self.control.secret(name)

    def say(self, line):
        """A line for people: the job's output, or the task's."""
        if self.control is not None:
            self.control.output([line])
        else:
            display.display("%s: %s" % (self.vars.get("inventory_hostname", "host"), line))

    # -- one command ---------------------------------------------------------------------------------------

    def command(
        self, step, argv, *, forget=True, on_lines=None, on_progress=None, on_start=None, watched=True, **asked
    ):
        """Run a command on the host and follow it to its end: gives the agent's last answer, with `result`.

        :param step: its name within the job; "" for the job's main one, which an engine may ask for again
        :param argv: the command; everything else that `start` takes may be given by name
        :param forget: tell the agent at once that its result has arrived. False: `forget(step)` is called later
        :param on_lines: called with new log lines
        :param on_progress: called with the newest progress
        :param on_start: called once, with the agent's first answer
        :param watched: False: it is not ended by a cancel of the job, not even by one that has come already
        :raises Failure: refused by the agent, canceled, lost, or out of reach for too long
        """
        name = self.command_id(step)
        self._names = dict(getattr(self, "_names", {}), **{step: name})
        request = {"op": "start", "job": name, "argv": list(argv), "follow": self._follow_now(0, 0, FIRST_WAIT)}
        request.update(asked)
        if self.vars.get("cyborg_forget"):
            # Results of earlier jobs on this host that are in safe hands: an exchange of its own would cost more.
            request["forget"] = [[str(job), int(fence)] for job, fence in self.vars["cyborg_forget"]]
        with self._watching() if watched else self._unwatched():
            reply = self._follow(name, request, on_lines, on_progress, on_start, asked.get("timeout"))
        if forget:
            self.forget(step)
        return reply

    def attach(self, step, *, forget=True, bar=False, on_lines=None, on_progress=None, on_start=None):
        """Like `command`, for one that an earlier run started: nothing is started here.

        :param bar: True: if the host knows nothing of it, nobody can start it any more; the `Failure` (``lost``) then
            has ``gone``, which says that nothing of it is at work
        """
        name = self.command_id(step)
        self._names = dict(getattr(self, "_names", {}), **{step: name})
        if self.control is not None and self.control.canceled:
            # How it had ended, if it was faster than the cancel, is followed up like any end.
            self._cancel(name, time.monotonic() + DOUBT)
        request = dict(self._follow_now(0, 0, FIRST_WAIT), op="follow", job=name, bar=bar, about=True, patience=DOUBT)
        with self._watching():
            reply = self._follow(name, request, on_lines, on_progress, on_start)
        if forget:
            self.forget(step)
        return reply

    def forget(self, step):
        """Tell the agent that a command's result is in safe hands. What cannot be told now, its sweep removes."""
        try:
            self.exchange({"op": "forget", "job": self._names[step]})
        except (AnsibleConnectionFailure, AgentError) as problem:
            display.vv("cyborg: the agent could not be told to forget %s: %s" % (self._names[step], problem))

    def _follow_now(self, offset, seen, wait):
        # More hosts at once than a small controller can ask each second: the interval grows.
        quiet = max(QUIET, float(self.vars.get("cyborg_interval") or 0))
        if self._connection.transport == "local" and os.geteuid() != 0:
            wait = min(wait, STUBBORN)
        return {"offset": offset, "seen": seen, "wait": wait, "quiet": quiet}

    def _follow(self, name, request, on_lines, on_progress, on_start, timeout=None):
        lines, told = Lines(), False
        until = time.monotonic() + timeout + OVERDUE if timeout else None
        while True:
            reply = self._persistently(name, request)
            state = reply.get("state")
            if state == "refused":
                raise self.refused(reply)
            if state == "fenced":
                raise Failure("lost", "Another engine has taken this job over; nothing was done here.")
            if state == "unknown":
                raise Failure(
                    "lost",
                    "The host knows nothing of this job: it was restarted, or the job was never started there.",
                    unknown=True,
                    gone=bool(request.get("bar")),
                )
            if not told and on_start:
                on_start(reply)
            told = True
            fresh = lines.feed(reply)
            if fresh and on_lines:
                on_lines(fresh)
            if reply.get("progress") and on_progress:
                on_progress(reply["progress"], reply)
            if state == "ended" and "result" in reply:
                return self._checked(reply)
            if until is not None and time.monotonic() > until and state != "ended":
                return self._overdue(name)
            news = self._follow_now(reply.get("offset", 0), reply.get("seen", 0), WAIT)
            request = dict(news, op="follow", job=name, keep=request.get("keep", True), bar=request.get("bar", True))

    def _overdue(self, name):
        """End a command whose supervisor, which was to end it in time, is gone: it would stay for good."""
        reply = self._cancel(name, time.monotonic() + PATIENCE)
        result = reply.get("result") or {}
        if result.get("lost") or result.get("canceled"):
            raise Failure(
                "timeout",
                "The command was not done within the time that the job has, and nobody was left on the host to end it "
                "(its supervisor was killed there). It was ended now.",
            )
        return self._checked(reply)

    def _checked(self, reply):
        result = reply["result"]
        if result.get("canceled"):
            raise Canceled("The job was canceled; its command was ended on the host.")
        if result.get("lost"):
            raise Failure(
                "lost",
                "The command and its supervisor are gone from the host and left no result: they were killed there.",
                gone=True,
            )
        return reply

    def refused(self, reply):
        """The `Failure` for an answer of state `refused`."""
        error = reply.get("error") or {}
        code = str(error.get("code", "internal"))
        message = str(error.get("message", "the agent refused without a reason"))
        return Failure(_REFUSED.get(code, code), message, agent_error=error)

    def _persistently(self, name, request):
        """One exchange; when the connection breaks, the host is asked again for a while, as the job goes on there."""
        # Where it is short, whoever has the job then asks again later.
        until, pauses = time.monotonic() + request.pop("patience", PATIENCE), iter(RECONNECT)
        first = request["op"] == "start"
        while True:
            if self._canceled.is_set():
                return self._cancel(name, until)
            try:
                reply = self.exchange(request)
            except (AnsibleConnectionFailure, AgentError) as problem:
                if self._canceled.is_set():
                    return self._cancel(name, until)
                until = self._asked_until(problem, first and request["op"] == "start", until)
                reply = None
            if reply is not None:
                if first and request["op"] == "follow" and reply.get("state") == "unknown":
                    raise Failure("unreachable", "The connection to the host broke before its job was started.")
                return reply
            # Whether the first request arrived is not known: from now on the host is only asked.
            if request["op"] == "start":
                request = dict(request["follow"], op="follow", job=name, keep=request.get("keep", True), bar=True)
            self._pause(next(pauses, RECONNECT[-1]))

    def _pause(self, seconds):
        """Wait, but not beyond a cancel, and not for a library that is gone: who takes the job over asks for itself."""
        end = time.monotonic() + seconds
        while not self._canceled.is_set():
            if self._left_alone.is_set():
                raise ControlError("gone", "the library that started this run is gone")
            left = end - time.monotonic()
            if left <= 0:
                return
            self._canceled.wait(min(left, 1.0))

    def _asked_until(self, problem, start, until):
        """Until when the host is asked again after this problem. Raises it, or what it means, if that is now."""
        if isinstance(problem, AgentError):
            if getattr(problem, "rc", None) in (0, 1) or not self._was_cut(problem):
                raise Failure(
                    "internal",
                    "The agent on the host gave no answer (%s). It said: %s" % (problem, problem.tail or "nothing"),
                ) from problem
        elif start:
            broke = moment_of(problem)
            if broke == "before":
                raise problem
            if broke == "unknown":
                until = min(until, time.monotonic() + DOUBT)
        if time.monotonic() >= until:
            raise Failure("lost", "The host could not be reached again; its job may go on there: %s" % problem)
        return until

    @staticmethod
    def _was_cut(problem):
        # A connection that was ended (by a signal, a reboot) leaves an ssh or a shell with such an exit code.
        rc = getattr(problem, "rc", None)
        return rc is None or rc < 0 or rc >= 128

    def _cancel(self, name, until):
        """End the command on the host; gives the agent's answer (state `ended`, or `unknown` if nothing ran)."""
        pauses = iter(RECONNECT)
        while True:
            try:
                reply = self.exchange({"op": "cancel", "job": name, "grace": 4})
                break
            except (AnsibleConnectionFailure, AgentError) as problem:
                if time.monotonic() > until:
                    raise Failure(
                        "lost", "The job was canceled, but its host could not be reached to end it: %s" % problem
                    ) from problem
                time.sleep(next(pauses, RECONNECT[-1]))
        if reply.get("state") == "unknown":
            raise Canceled("The job was canceled before its command was started.")
        return reply

    @contextmanager
    def _watching(self):
        """While in it, a cancel of the job breaks off the exchange that is waiting."""
        if self.control is None:
            yield
            return
        watch = self.control.watch(self._break_off, self._left_alone.set)
        try:
            yield
        finally:
            watch.stop()

    @contextmanager
    def _unwatched(self):
        """While in it, nobody hears of a cancel."""
        kept, self._canceled = self._canceled, threading.Event()
        try:
            yield
        finally:
            self._canceled = kept


#: What the agent calls it -> what the library calls it, where that differs.
_REFUSED = {
    "unsafe_directory": "unsupported",
    "no_tmpfs": "unsupported",
    "already_forgotten": "lost",
    "cwd_exists": "destination_exists",
    "cwd_missing": "path_not_found",
    "invalid": "bad_arguments",
    "not_ended": "internal",
    "agent_failed": "internal",
}
