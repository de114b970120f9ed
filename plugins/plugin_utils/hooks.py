# SPDX-License-Identifier: GPL-3.0-or-later
"""Mixin for actions that make a backup: the policy's own commands on the client, before it and after it."""

from __future__ import annotations

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers
from ansible_collections.cyborg.backup.plugins.plugin_utils.control import ControlError
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Canceled, Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.shell import Shell

#: The arguments of actions that have them. A command may hold a token, so both are secrets.
HOOKS = {
    "prehook": {"type": "str", "default": "", "no_log": True},
    "posthook": {"type": "str", "default": "", "no_log": True},
}

#: Seconds that a posthook may take at most. It holds the vault and the client, and the job's time may be a day.
LONGEST = 3600


class Hooked(Shell):
    """Runs `borg()` between the two. The posthook runs whatever happened, also after a prehook that failed."""

    def _guarded(self):
        try:
            self._prehook()
            outcome = super()._guarded()
        except Failure as failure:
            self._posthook("canceled" if isinstance(failure, Canceled) else "failed", failure)
            raise
        except (AnsibleConnectionFailure, ControlError):
            raise  # There is no way to the host, or nobody whose job it is: who takes it over will run it.
        except Exception:
            # A mistake in a policy type of somebody's own, say, must not leave quiet what its prehook made quiet.
            self._posthook("failed", None)
            raise
        self._posthook("successful", None)
        if self._notes:
            outcome["warnings"] = [*(outcome.get("warnings") or ()), *self._notes]
        return outcome

    def _prehook(self):
        text = self._hook("prehook")
        if not text:
            return
        if self.check:
            self.say("would run the prehook")
            return
        done = (
            self._followed("prehook")
            if self.vars.get("cyborg_attach")
            else self._run("prehook", text, "pending", None, watched=True)
        )
        if done is not None and done["rc"]:
            raise Failure(
                "hook_failed",
                "The prehook failed with exit code %s, so nothing was backed up. It said: %s"
                % (done["rc"], _last(done) or "nothing"),
            )

    def _followed(self, step):
        """How a hook ends that the engine before had begun: it may still be at work. None if the host knows of none."""
        self._commands.append(step)
        try:
            reply = self.attach(
                step, forget=False, on_start=lambda _reply: self.begun(),
                on_lines=lambda lines: self._said(step, borg_answers.texts_of(lines)),
            )  # fmt: skip
        except Failure as failure:
            if failure.details.get("unknown"):
                return None
            raise
        self._preceded = True
        return self.shell_ended(step, reply, kept=True)

    def _posthook(self, outcome, failure):
        text = self._hook("posthook")
        lost = failure is not None and failure.code == "lost" and not failure.details.get("gone")
        if not text or self.check or lost:
            return  # What was lost may still be at work: the engine asks for it once more, and then is the time.
        try:
            done = self._run("posthook", text, outcome, failure, watched=False)
        except (Failure, AnsibleConnectionFailure) as problem:
            done = {"rc": None, "out": "", "err": str(problem)}
        if done["rc"] != 0:
            note = "The posthook failed (exit code %s). It said: %s" % (done["rc"], _last(done) or "nothing")
            self._notes.append(note)
            self.say(note)

    def _run(self, step, text, outcome, failure, *, watched):
        env = {
            "CYBORG_POLICY": self.vars.get("cyborg_policy") or "",
            "CYBORG_JOB": self.vars.get("cyborg_job") or "",
            "CYBORG_ATTEMPT": self.vars.get("cyborg_attempt") or "",
            "CYBORG_CLIENT": self.vars.get("cyborg_title") or self.vars.get("inventory_hostname") or "",
            "CYBORG_OUTCOME": outcome,
            "CYBORG_ERROR": failure.code if failure is not None else "",
        }
        self.say("Running the %s." % step)
        # Kept: an engine that takes the job over between the posthook and the job's end does not run it again.
        # The posthook has a time of its own, as it runs also where the job's is over.
        timeout = self.timeout() or 86400 if watched else min(self.whole_timeout() or LONGEST, LONGEST)
        done = self.shell(
            step, text, own={name: str(value) for name, value in env.items()}, timeout=timeout,
            watched=watched, kept=True, on_start=lambda _reply: self.begun(),
            on_lines=lambda lines: self._said(step, borg_answers.texts_of(lines)),
        )  # fmt: skip
        self._said(step, done["out"].splitlines())
        return done

    def _said(self, step, lines):
        for line in lines:
            if line.strip():
                self.say("%s: %s" % (step, line))

    def _hook(self, name):
        return self._once(name, self.vars.get("cyborg_secrets") or (), self.args[name])


def _last(done):
    lines = [line.strip() for line in (done["err"] or done["out"]).splitlines() if line.strip()]
    return " / ".join(lines[-3:])
