# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of the actions that back up what commands print: each part one archive, or none at all.

An action has `parts()`, which asks what there is and gives a `Part` for each archive::

    class ActionModule(StreamAction):
        ARGUMENTS = dict(STREAM, database={"type": "str", "required": True})

        def parts(self):
            return [Part(name="", file="dump.sql", script='exec pg_dump -- "$DB"', env={"DB": self.args["database"]})]

A script runs under `bash -o pipefail` as Borg's own child, and through a filter that sees whether anything came, and
whether it came to its end: what fails there, or in Borg, leaves no archive. A part that fails does not keep the others
from being made; but then the job has failed, with the archives that are good.
"""

from __future__ import annotations

import json
import re
import time

from ansible_collections.cyborg.backup.plugins.module_utils.agent import source_of
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers, borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_action import VAULT, BorgAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Canceled, Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.hooks import HOOKS, Hooked
from ansible_collections.cyborg.backup.plugins.plugin_utils.parts import Part, encoded
from ansible_collections.cyborg.backup.plugins.plugin_utils.script import COMMAND, handed
from ansible_collections.cyborg.backup.plugins.plugin_utils.shell import said

__all__ = ["STREAM", "Failure", "Part", "StreamAction", "encoded"]

#: The arguments of all of them.
STREAM = dict(
    VAULT,
    **HOOKS,
    archive={"type": "str", "default": ""},
    timestamp={"type": "str", "default": ""},
    compression={"type": "str", "default": ""},
    upload_ratelimit={"type": "int", "default": 0},
)
#: Between the names of a job's archive and of one of its parts.
SEPARATOR = "+"
#: What Borg runs. The last line on stderr tells how both sides ended: Borg itself says no more than "failed".
_OUTER = """\
bash -o pipefail "$CYBORG_SCRIPT" | "$CYBORG_PYTHON" -I -S "$CYBORG_GUARD"
ended=("${PIPESTATUS[@]}")
[ "${ended[*]}" = "0 0" ] && exit 0
printf '\\n@@cyborg-stream@@ %s %s\\n' "${ended[@]}" >&2
exit 1
"""
_ENDED, _GUARD = "@@cyborg-stream@@ ", "@@cyborg-guard@@ "
#: Bytes that are not UTF-8: no store can keep them.
_HALF = re.compile("[\ud800-\udfff]")
_UNNAMED = "This name is not UTF-8, so no archive can be kept under it. Rename it, or leave it out."
#: A writer whose reader went away.
_SIGPIPE = 141
#: After these nothing further can be made either, or should be.
_ALL = frozenset(
    {
        "lost", "unreachable", "canceled", "timeout", "wrong_passphrase", "lock_held", "key_not_authorized",
        "vault_full", "quota_reached", "vault_missing", "vault_damaged", "vault_id_changed", "vault_key_changed",
        "host_key_changed",
        "borg_missing", "borg_too_old", "client_full", "limit_reached", "internal", "hostile_answer", "bad_arguments",
    }
)  # fmt: skip


class StreamAction(Hooked, BorgAction):
    """One archive for each part."""

    def parts(self):
        """What is to be made: a list of `Part`. Raises `Failure` where there is nothing to begin with."""
        raise NotImplementedError

    def warn(self, sentence):
        """A warning of the job."""
        self._notes.append(sentence)

    def borg(self):
        archive = self.args["archive"] or self._name()
        if self.vars.get("cyborg_attach"):
            self.begun()
        parts = self.parts()
        if self.check:
            for part in parts:
                self.say("would make the archive %s" % _named(archive, part))
            return {"result": {"changed": True, "archives": [_named(archive, part) for part in parts]}}
        self._made = made = []
        failed = [(part, Failure("unsupported", _UNNAMED)) for part in parts if _HALF.search(part.name)]
        for part in parts:
            if _HALF.search(part.name):
                continue
            try:
                made.append(self._make(_named(archive, part), part))
                self._preceded = True
            except Failure as failure:
                failed.append((part, failure))
                self._preceded = True
                if failure.code in _ALL:
                    break
        outcome = {"archives": made, "stats": _sum(made), "warnings": []}
        if failed:
            raise self._failed(parts, failed, outcome)
        return dict(outcome, result={"changed": True, "archives": made})

    def _failed(self, parts, failed, outcome):
        """The one `Failure` of the job, which takes the archives that were made with it."""
        part, failure = failed[-1] if failed[-1][1].code in _ALL else failed[0]
        if len(parts) > 1 and not isinstance(failure, Canceled):
            others = [other.name for other, _ in failed if other is not part]
            failure.message = "%s: %s%s %s" % (
                part.name,
                failure.message,
                " Also failed: %s." % ", ".join(others) if others else "",
                "%d of %d archives were made and stay." % (len(outcome["archives"]), len(parts)),
            )
        failure.outcome = dict(outcome, warnings=self._notes)
        for other, problem in failed:
            if other is not part:
                self.say("%s: %s" % (other.name, problem.message))
        return failure

    def _name(self):
        if self.job is not None:
            raise Failure("bad_arguments", "The library gave no name for the archive.")
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
        return "%s-%s" % (self.vars.get("inventory_hostname", "host"), moment)

    def _still_wanted(self):
        if self.control is not None and self.control.canceled_meanwhile():
            raise Canceled

    # -- one part ------------------------------------------------------------------------------------------

    def _make(self, name, part):
        args = self.args
        argv = borg_argv.stream(
            name, part.file, COMMAND, lock_wait=args["lock_wait"], compression=args["compression"],
            timestamp=args["timestamp"], upload_ratelimit=args["upload_ratelimit"],
        )  # fmt: skip
        step = "part " + part.name if part.name else ""
        reply = self._part_call(step, argv, part)
        made = borg_answers.created(self.out(step, reply), name, args["repository"], args["repository_id"])
        made["part"] = part.name
        if self.control is None:
            self.say("made the archive %s: %s" % (name, borg_answers.amounts(made["stats"])))
        for warning in borg_answers.warnings({}, reply["result"]):
            self.warn(warning)
        return made

    def _part_call(self, step, argv, part):
        self._says = part.says
        if self.vars.get("cyborg_attach"):
            # If the job was canceled, this ends what is at work on the host.
            try:
                return self._attached(step)
            except Failure as failure:
                if not self.never_began(failure):
                    raise
        self._still_wanted()
        return self.call(step, argv, main=True, **self._handed(argv, part))

    def _handed(self, argv, part):
        expect = {"empty": part.allow_empty, "ends": part.ends, "counts": part.counts}
        programs = {"CYBORG_SCRIPT": part.script, "CYBORG_GUARD": source_of("guard")}
        request = handed(_OUTER, part.secrets, part.env, programs)
        request["env"].update(CYBORG_EXPECT=json.dumps(expect), CYBORG_PYTHON="{python}")
        request["templates"] += ["CYBORG_PYTHON", len(argv) - 1]
        return request

    # -- what its end means --------------------------------------------------------------------------------

    def _judge(self, reply):
        result = reply["result"]
        ended = _last(result, _ENDED)
        if ended is None or result.get("timed_out") or not result.get("rc") or _borgs_own(result):
            super()._judge(reply)
            return
        dump, guard = (int(code) for code in ended.split())
        if guard and dump in (0, _SIGPIPE):
            self._judge_guard(_last(result, _GUARD), said(result))
        self._judge_dump(dump, said(result))

    def _judge_dump(self, code, words):
        for sign, (error, sentence) in self._says.items():
            if sign in words:
                raise Failure(error, sentence)
        if any(sign in words for sign in ("No space left on device", "Disk quota exceeded")):
            raise Failure("client_full", "A disk of the client is full, so the dump failed: %s" % _short(words))
        how = "was killed by signal %d" % (code - 128) if 128 < code < 128 + 65 else "failed with exit code %d" % code
        raise Failure(
            "dump_failed", "The command %s, so no archive was made. It said: %s" % (how, _short(words) or "nothing")
        )

    @staticmethod
    def _judge_guard(line, words):
        told = json.loads(line) if line else {}
        kind = told.get("kind")
        if kind == "empty":
            raise Failure(
                "source_empty",
                "The command printed nothing, so no archive was made. If that can be right, set allow_empty.",
            )
        if kind == "cut":
            raise Failure(
                "dump_failed",
                "The dump has no end (%r is missing there) although its command claims success; no archive was made. "
                "It said: %s" % (told.get("detail"), _short(words) or "nothing"),
            )
        if kind == "counts":
            raise Failure(
                "dump_failed",
                "The dump does not hold what the server has (%s); no archive was made. If its tables were changed "
                "meanwhile, launch it again." % told.get("detail"),
                permanent=False,
            )
        raise Failure("dump_failed", "What the dump goes through failed: %s" % (_short(words) or "it did not say why"))

    def _with_before(self, told):
        done = _sum(self._made) or {}
        return dict(told, **{name: told[name] + done[name] for name in done if name in told and name != "seconds"})

    def _lines(self, lines):
        super()._lines([line for line in lines if not line.startswith("@@cyborg-")])


def _named(archive, part):
    return archive + SEPARATOR + encoded(part.name) if part.name else archive


def _last(result, mark):
    found = [line for line in result.get("tail") or () if line.startswith(mark)]
    return found[-1][len(mark) :] if found else None


def _borgs_own(result):
    """True if Borg had an error of its own, beside that its command failed."""
    errors = [str(error.get("message")) for error in result.get("errors") or () if isinstance(error, dict)]
    return any("exited with status" not in text for text in errors)


def _short(words):
    return " / ".join(line.strip() for line in words.splitlines() if line.strip())[-600:]


def _sum(made):
    total = {}
    for one in made:
        for name, value in one["stats"].items():
            total[name] = total.get(name, 0) + value
    return total or None
