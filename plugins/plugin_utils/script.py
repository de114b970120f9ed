# SPDX-License-Identifier: GPL-3.0-or-later
"""How a text for bash is handed to a host: through a FIFO, so that it is on no command line and in no file. Pure.

With it go secrets, each through a FIFO of its own, whose path is in the variable of its name.
"""

from __future__ import annotations

import re

from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

#: The command that runs it; "{job}" is the folder of its FIFOs on the host.
COMMAND = ("bash", "-o", "pipefail", "{job}/command")
_NAME = re.compile(r"[A-Z][A-Z0-9_]*")
#: Variables that would change what bash, ssh or Borg do.
_OURS = re.compile(r"(BASH|BORG|LD_|SSH|PATH$|IFS$|ENV$|HOME$|CYBORG_)")


def texts(values):
    """A mapping whose values are texts."""
    return {str(name): str(value) for name, value in (values or {}).items()}


def handed(text, secrets=None, env=None, more=None):
    """What the agent's `start` is to be given besides argv: fifos, files_secret, env, templates (of env).

    `more` is {name: text} of programs that the text runs by path, with variables of theirs. Raises `Failure`.
    """
    fifos, variables, templates = {"command": text}, dict(env or {}), []
    for name in (*variables, *(secrets or {})):
        if not isinstance(name, str) or not _NAME.fullmatch(name) or _OURS.match(name):
            raise Failure(
                "bad_arguments",
                "%r cannot be the name of a variable here: capital letters, digits and _, and none that the shell, ssh "
                "or Borg listen to." % (name,),
            )
    for name, value in {**(secrets or {}), **(more or {})}.items():
        if name in variables:
            raise Failure("bad_arguments", "%s is both a variable and a secret." % name)
        fifos[name] = value
        variables[name] = "{job}/" + name
        templates.append(name)
    return {"fifos": fifos, "files_secret": True, "env": variables, "templates": templates}
