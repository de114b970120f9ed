# SPDX-License-Identifier: GPL-3.0-or-later
"""Base of the actions that bring a stream back: into a database, a command, a machine.

An action has `load()`, which calls `extract_into` with the script that takes the stream on its stdin. It fails where
either side fails, whatever the other one says.
"""

from __future__ import annotations

import json
import re
import shlex

from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_argv
from ansible_collections.cyborg.backup.plugins.plugin_utils.borg_action import VAULT, BorgAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure
from ansible_collections.cyborg.backup.plugins.plugin_utils.script import COMMAND, handed
from ansible_collections.cyborg.backup.plugins.plugin_utils.shell import Shell, said

__all__ = ["LOAD", "Failure", "LoadAction"]

#: The arguments of all of them.
LOAD = dict(
    VAULT,
    archive={"type": "str", "required": True},
    archive_id={"type": "str", "default": ""},
    part={"type": "str", "default": ""},
    overwrite={"type": "bool", "default": False},
    dry_run={"type": "bool", "default": False},
)
#: The last line on stderr tells how both sides ended. It begins a line, whatever the script left there.
_OUTER = """\
%s | bash -o pipefail "$CYBORG_SCRIPT"
ended=("${PIPESTATUS[@]}")
[ "${ended[*]}" = "0 0" ] && exit 0
printf '\\n@@cyborg-load@@ %%s %%s\\n' "${ended[@]}" >&2
exit 1
"""
_ENDED = re.compile(r"@@cyborg-load@@ (\d+) (\d+)")
_SIGPIPE = 141


class LoadAction(Shell, BorgAction):
    """A restore whose stream goes into a command."""

    #: True while the call is one of `extract_into`, whose exit code is none of Borg's.
    _loading = False
    RESTORES = True

    def load(self):
        """Do it: gives {"facts", "warnings", "result"}, as `borg` does. Raises `Failure`."""
        raise NotImplementedError

    def borg(self):
        if self.vars.get("cyborg_attach"):
            # A stream that is loaded cannot be taken up again in its middle.
            raise Failure(
                "lost",
                "The engine that worked this restore went away, and nobody followed it. %s, and restore again."
                % self.left(),
            )
        self._file, self._size = self._stream()
        outcome = self.load()
        outcome["warnings"] = [*(outcome.get("warnings") or ()), *self._notes]
        outcome["result"].setdefault("changed", not self.dry)
        return outcome

    def left(self):
        """The beginning of a sentence: what a restore that was broken off may have left, and what to do about it."""
        return "What it had begun may lie under a new name on %s: look there, remove it" % self.title

    @property
    def dry(self):
        """True where nothing is to be changed: `load` then only says what it would do."""
        return self.check or self.args["dry_run"]

    @property
    def title(self):
        """What people call the host."""
        return self.vars.get("cyborg_title") or self.vars.get("inventory_hostname") or "the host"

    @property
    def file(self):
        """What the stream is called in the archive."""
        return self._file

    @property
    def size(self):
        """Bytes of the stream."""
        return self._size

    def warn(self, sentence):
        """A warning of the job."""
        self._notes.append(sentence)

    def extract_into(self, script, *, step="load", secrets=None, env=None, says=None):
        """Send the archive's stream into a script's stdin.

        :param says: {sign on stderr: (code, sentence)}, for failures of which more is known
        :returns: what the script printed
        :raises Failure: ``load_failed`` if the script or Borg failed; or what Borg's failure means
        """
        self._says = says or {}
        argv = borg_argv.extract_stream(self.args["archive"], self._file, lock_wait=self.args["lock_wait"])
        argv = [self.args["program"], *argv[1:]]
        request = handed(_OUTER % " ".join(map(shlex.quote, argv)), secrets, env, {"CYBORG_SCRIPT": script})
        request["templates"] += [len(COMMAND) - 1]
        self._loading = True
        try:
            reply = self.call(step, COMMAND, **request)
        finally:
            self._loading = False
        return self.out(step, reply)

    def _judge(self, reply):
        result = reply["result"]
        if not self._loading or result.get("timed_out") or not result.get("rc"):
            super()._judge(reply)
            return
        ended = [found for line in result.get("tail") or () if (found := _ENDED.fullmatch(line))]
        # Without that line, Borg may still have said what was wrong; else all that is known is that it failed.
        borg, script = map(int, ended[-1].groups()) if ended else (result["rc"], 0)
        # A script that ended early lets Borg write into a pipe that nobody reads.
        if borg and not (script and (borg == _SIGPIPE or _broken_pipe(result))):
            super()._judge({"result": dict(result, rc=borg)})
        words = said(result)
        for sign, (code, sentence) in self._says.items():
            if sign in words:
                raise Failure(code, sentence)
        short = " / ".join(line.strip() for line in words.splitlines() if line.strip())[-600:]
        if script:
            raise Failure(
                "load_failed", "The command that takes the archive in failed with exit code %d. It said: %s"
                % (script, short or "nothing"),
            )  # fmt: skip
        raise Failure(
            "load_failed", "The archive was not taken in to its end: %s" % (short or "nobody said why")
        )

    def _lines(self, lines):
        super()._lines([line for line in lines if not line.startswith("@@cyborg-")])

    def _stream(self):
        """(path, size) of the one file in the archive."""
        args = self.args
        self.identify()
        reply = self.call("contents", borg_argv.contents(args["archive"], lock_wait=args["lock_wait"]))
        try:
            files = [json.loads(line) for line in self.out("contents", reply).splitlines()[:2]]
            [(path, size)] = [(str(file["path"]), int(file["size"])) for file in files]
        except (ValueError, KeyError, TypeError):
            raise Failure(
                "bad_arguments",
                "The archive %s is not one stream, so it cannot be loaded; restore its files instead (destination)."
                % args["archive"],
            ) from None
        return path, size


def _broken_pipe(result):
    told = [str(error.get("message")) for error in result.get("errors") or () if isinstance(error, dict)]
    return any("BrokenPipeError" in text for text in told)
