# SPDX-License-Identifier: GPL-3.0-or-later
"""Mixin for actions that run a script on their host, besides or without Borg."""

from __future__ import annotations

from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.script import COMMAND, handed

#: Characters of what a script said on stderr that are told.
SAID = 2000


class Shell:
    """`shell` runs one."""

    def shell(
        self, step, script, *, secrets=None, env=None, more=None, own=None, timeout=600, on_lines=None, on_start=None,
        watched=True, kept=False,
    ):  # fmt: skip
        """Run a script with bash (pipefail) and wait for its end, whatever that is.

        :param step: its name within the job, which no other command of it has
        :param secrets: {NAME: text}; the script reads each once from the path in $NAME
        :param env: {NAME: text}, nothing secret
        :param more: like `secrets`, for programs of ours
        :param own: like `env`, for variables of ours (CYBORG_…)
        :param timeout: seconds
        :param on_lines: called with the lines on its stderr
        :param on_start: called once, with the agent's first answer
        :param watched: False: a cancel of the job lets it go on to its end
        :param kept: its answer is kept on the host as long as the job's archives are: an engine that takes the job
            over gets the same one, as the agent starts nothing twice
        :returns: {"rc", "out", "err"}: exit code (128 + number of a signal), all of stdout, the end of stderr
        :raises Failure: it could not be started, took too long, printed more than can be fetched; and as `command` does
        """
        if self.vars.get("cyborg_attach") and not kept:
            # Of the run before, whose questions are answered; this one has its own.
            step = "%s of %s" % (step, self.vars.get("cyborg_fence"))
        request = self._scripted(handed(script, secrets, env, more))
        request["env"].update(own or {})
        if kept:
            self._commands.append(step)
        reply = self.command(
            step, COMMAND, forget=False, keep=kept, timeout=timeout, on_lines=on_lines, on_start=on_start,
            watched=watched, **request
        )  # fmt: skip
        return self.shell_ended(step, reply, kept)

    def shell_ended(self, step, reply, kept):
        """What `shell` gives, of the agent's last answer."""
        result = reply["result"]
        if result.get("exec_error"):
            raise Failure("unsupported", "bash cannot be started on the host (%s); install it." % result["exec_error"])
        if result.get("timed_out"):
            raise Failure("timeout", "The step %r was not done on the host within the time that it has." % step)
        if result.get("out_cut"):
            raise Failure("unparsable", "The step %r printed more than can be taken." % step)
        try:
            out = self.out(step, reply)
        finally:
            if "out" not in result and not kept:
                self.forget(step)
        return {"rc": result["rc"], "out": out, "err": said(result)}

    def question(self, step, script, **asked):
        """`shell` whose answer is kept: for what has to be known before the first archive is begun."""
        return self.shell(step, script, kept=True, **asked)

    @staticmethod
    def _scripted(request):
        """A request whose argv is `COMMAND`."""
        return dict(request, templates=[*request["templates"], len(COMMAND) - 1])


def said(result, most=SAID):
    """The end of what a command said on stderr, without the lines that are meant for us.

    Beside a Borg it is the command's words that count; only if it had none, Borg's.
    """
    lines = [str(line) for line in result.get("tail") or () if not str(line).startswith("@@cyborg-")]
    texts = [line for line in lines if line.strip() and not line.startswith("{")] or borg_answers.texts_of(lines)
    return "\n".join(texts)[-most:]
