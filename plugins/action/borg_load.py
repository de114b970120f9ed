# SPDX-License-Identifier: GPL-3.0-or-later
"""A stream back into a command or a file: see the documentation in plugins/modules/borg_load.py."""

from __future__ import annotations

import os

from ansible.errors import AnsibleConnectionFailure
from ansible_collections.cyborg.backup.plugins.plugin_utils.load_action import LOAD, Failure, LoadAction
from ansible_collections.cyborg.backup.plugins.plugin_utils.script import texts

#: Into a file that nobody else can have made. It takes its name when it is whole, and on the disk.
_WRITE = 'set -C; cat > "$INTO" && sync -- "$INTO"'
_TAKE_NAME = """\
if [ "$OVER" = yes ]; then mv -f -T -- "$INTO" "$NAME"; else ln -T -- "$INTO" "$NAME" && rm -- "$INTO"; fi
"""


class ActionModule(LoadAction):
    """Into a command's stdin, or into a new file."""

    ARGUMENTS = dict(
        LOAD,
        command={"type": "str", "default": "", "no_log": True},
        path={"type": "str", "default": ""},
        secrets={"type": "dict", "default": {}, "no_log": True},
        environment={"type": "dict", "default": {}},
    )

    def load(self):
        args = self.args
        if bool(args["command"].strip()) == bool(args["path"]):
            raise Failure("bad_arguments", "Say where the stream is to go: into a command, or into a file (path).")
        what = args["path"] or "the given command"
        if self.dry:
            self.say("would send %d bytes (%s) into %s" % (self.size, self.file, what))
        elif args["path"]:
            self._into_file(args["path"])
        else:
            told = self.extract_into(args["command"], secrets=texts(args["secrets"]), env=texts(args["environment"]))
            for line in told.splitlines():
                self.say(line)
        return {"facts": {"destination": args["path"]}, "result": {"destination": args["path"], "bytes": self.size}}

    def _partial(self, path):
        """What a file is called until it is whole."""
        folder, name = os.path.split(path)
        return os.path.join(folder, ".%s.%s" % (name[:200], self.command_id("load")))

    def left(self):
        if not self.args["path"].startswith("/"):
            return super().left()
        return "What had come of it may lie on %s as %s: remove it" % (self.title, self._partial(self.args["path"]))

    def _into_file(self, path):
        if not path.startswith("/") or path.endswith("/") or ".." in path.split("/"):
            raise Failure("bad_arguments", "The path %r is no file's whole path, from / on." % path)
        partial = self._partial(path)
        env = {"NAME": path, "INTO": partial, "OVER": "yes" if self.args["overwrite"] else "no"}
        if not self.args["overwrite"] and self.shell("look", 'test -e "$NAME" || test -L "$NAME"', env=env)["rc"] == 0:
            raise Failure("destination_exists", "%s is there already: give another path, or say overwrite." % path)
        full = Failure("client_full", "The disk that %s lies on is full; nothing was kept." % path)
        try:
            self.extract_into(_WRITE, env=env, says={"No space left": (full.code, full.message)})
            done = self.shell("name", _TAKE_NAME, env=env)
            if done["rc"]:
                raise Failure("destination_exists", "%s could not take its name: %s" % (path, done["err"]))
        except Failure as failure:
            try:
                self.shell("drop", 'rm -f -- "$INTO"', env=env, watched=False)
            except (Failure, AnsibleConnectionFailure):
                failure.message += " What had come so far may lie on %s as %s: remove it there." % (self.title, partial)
            raise
