# SPDX-License-Identifier: GPL-3.0-or-later
"""What a command prints, as an archive: see the documentation in plugins/modules/borg_stream.py."""

from __future__ import annotations

from ansible_collections.cyborg.backup.plugins.plugin_utils.script import texts
from ansible_collections.cyborg.backup.plugins.plugin_utils.stream_action import STREAM, Failure, Part, StreamAction


class ActionModule(StreamAction):
    """One command, one archive."""

    ARGUMENTS = dict(
        STREAM,
        command={"type": "str", "default": "", "no_log": True},
        file={"type": "str", "default": "stream"},
        secrets={"type": "dict", "default": {}, "no_log": True},
        environment={"type": "dict", "default": {}},
        allow_empty={"type": "bool", "default": False},
        ends={"type": "str", "default": ""},
    )

    def parts(self):
        args = self.args
        if not args["command"].strip():
            raise Failure("bad_arguments", "No command was given whose output is to be backed up (command).")
        return [
            Part(
                name="",
                file=args["file"],
                script=args["command"],
                secrets=texts(args["secrets"]),
                env=texts(args["environment"]),
                allow_empty=args["allow_empty"],
                ends=args["ends"],
            )
        ]
