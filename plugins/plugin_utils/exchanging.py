# SPDX-License-Identifier: GPL-3.0-or-later
"""One exchange with the agent: a program is fed to Python on the host, and gives an answer; or it is broken off."""

from __future__ import annotations

import os
import shlex
import signal
import threading
import time
from contextlib import suppress

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible_collections.cyborg.backup.plugins.module_utils.agent import AgentError, answer, exchange
from ansible_collections.cyborg.backup.plugins.plugin_utils import account
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.ssh_words import not_taken

#: Where Python is looked for when nobody said; `python3` of the login's PATH comes last, as it may be a shim.
PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3", "/usr/libexec/platform-python")
#: How often a program is fed again that was not taken to its end.
FED = 4
_NOT_ROOT = "@@cyborg-not-root@@"
_NO_PYTHON = "@@cyborg-no-python@@"


class Exchanging(ActionBase):
    """An action that can ask the agent on its host, as whom the play says."""

    def run(self, tmp=None, task_vars=None):
        self.vars = task_vars or {}
        self._root_by_sudo = None
        self._canceled = threading.Event()
        #: Set when the library that started the run is gone.
        self._left_alone = threading.Event()
        self._exchanging = 0
        return super().run(tmp, task_vars)

    # -- where, and as whom --------------------------------------------------------------------------------

    def host_vars(self):
        """The variables of the host that this task works on (the one it is delegated to, if it is)."""
        target = self._task.delegate_to
        if target:
            return self.vars.get("ansible_delegated_vars", {}).get(target, {})
        return self.vars

    @property
    def account(self):
        """The local account that this machine's part of the work is done as; "" for the one of this process."""
        return str(self.host_vars().get("cyborg_account") or "") if self._connection.transport == "local" else ""

    # -- one exchange --------------------------------------------------------------------------------------

    def exchange(self, request):
        """Send one request to the agent on the host, and give its answer (a dict).

        Raises `AnsibleConnectionFailure` where the host cannot be reached, `AgentError` where no whole answer
        came back, `Failure` where there is no Python, or where becoming root was refused.
        """
        request = dict(request, fence=int(self.vars.get("cyborg_fence") or 0))
        return self.answer_of(exchange(request))

    def answer_of(self, program):
        """Feed a program (bytes) made by the agent's `program` to Python on the host; gives its answer."""
        auto = self.host_vars().get("cyborg_become") == "auto"
        if auto and self._root_by_sudo is None:
            reply = self._feed(program, sudoable=False, only_root=True)
            if reply is not None:
                self._root_by_sudo = False
                return reply
            self._root_by_sudo = True
        sudoable = self._root_by_sudo if auto else True
        return self._feed(program, sudoable=sudoable)

    def _feed(self, program, sudoable, only_root=False):
        command = self._python_command()
        if only_root:
            command = 'if [ "$(id -u)" = 0 ]; then %s; else echo %s; fi' % (command, _NOT_ROOT)
        done = self._sent(command, sudoable, program)
        if only_root and _NOT_ROOT in done["stdout"]:
            return None
        if _NO_PYTHON in done["stdout"]:
            raise Failure(
                "unsupported",
                "There is no Python 3 on the host, which the agent needs (3.6 or later). Install python3 there, or "
                "name its path with the variable `interpreter`.",
            )
        try:
            return answer(done["stdout"])
        except AgentError as problem:
            # What the interpreter said is on stderr; it is the reason, the missing answer only its sign.
            problem.tail = (problem.tail + "\n" + done["stderr"])[-2000:].strip()
            problem.rc = done["rc"]
            if self.account and (failure := account.refused(self.account, problem.tail)):
                raise failure from problem
            raise

    def _sent(self, command, sudoable, program):
        """The result of a command that was fed a program.

        One that did not take all of it (there is no Python, the login was refused) may have closed its end before ssh
        itself had ended, and Ansible then says nothing else. Of such a program nothing has run, as it is read to its
        end first: so it is fed again, to hear the reason.
        """
        fed = 0
        while True:
            self._exchanging += 1
            try:
                return self._low_level_execute_command(command, sudoable=sudoable, in_data=program)
            except AnsibleConnectionFailure as problem:
                if fed == FED or not not_taken(problem) or self._canceled.is_set():
                    raise
            finally:
                # Odd while one is on its way; never the same number twice.
                self._exchanging += 1
            fed += 1
            time.sleep(0.2)

    def _python_command(self):
        # The folder that this process works in may be closed to another account.
        first = "cd / && exec " + account.command(self.account) if self.account else "exec "
        given = self.host_vars().get("cyborg_interpreter")
        if given:
            path = shlex.quote(str(given))
            return "if [ -x %s ]; then %s%s -I -S -; fi; echo %s" % (path, first, path, _NO_PYTHON)
        looked = " ".join(PYTHONS)
        return (
            "for p in %s; do if [ -x $p ]; then %s$p -I -S -; fi; done; "
            "if command -v python3 >/dev/null; then %spython3 -I -S -; fi; echo %s" % (looked, first, first, _NO_PYTHON)
        )

    # -- breaking it off -----------------------------------------------------------------------------------

    def _break_off(self):
        """Called by another thread: no more exchanges, and an end to the one that is on its way."""
        current = self._exchanging
        self._canceled.set()
        # The local end of this exchange only: the job's own end comes by the `cancel` that follows.
        while current % 2 and self._exchanging == current:
            for child in _children():
                # It may just have ended, or not be ours to signal (sudo): then the exchange's own wait ends it.
                with suppress(OSError):
                    os.kill(child, signal.SIGTERM)
            time.sleep(0.2)


def _children():
    found = []
    for task in os.listdir("/proc/self/task"):
        try:
            with open("/proc/self/task/%s/children" % task, encoding="ascii") as file:
                found += [int(child) for child in file.read().split()]
        except OSError:
            continue  # That thread has just ended.
    return found
