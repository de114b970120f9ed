# SPDX-License-Identifier: GPL-3.0-or-later
"""How the programs of module_utils/vm are run on a hypervisor, and what they say when they fail."""

from __future__ import annotations

import json
import re

from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

#: Runs the program whose text is in a FIFO. Python may be in the places where the agent looks for it, too.
RUN = """\
for python in "${CYBORG_PYTHON:-}" /usr/bin/python3 /usr/local/bin/python3 /usr/libexec/platform-python; do
    [ -x "$python" ] && exec "$python" -I -S "$PROGRAM"
done
echo 'cyborg [unsupported]: There is no Python 3 on this hypervisor; prepare it (prepare_hypervisor).' >&2
exit 127
"""
_SAID = re.compile(r"^cyborg \[([a-z_]+)\]: (.+)$", re.MULTILINE)
#: Codes that the programs may give; the host's other words are only words.
_CODES = frozenset(
    {
        "bad_arguments", "client_full", "destination_exists", "dump_failed", "load_failed", "lock_held",
        "server_unreachable", "source_empty", "source_missing", "timeout", "unsupported",
    }
)  # fmt: skip


def failure_in(words):
    """The `Failure` that a program told on its stderr, or None."""
    found = [match for match in _SAID.finditer(words) if match[1] in _CODES]
    return Failure(found[-1][1], found[-1][2]) if found else None


def answered(done, step):
    """The answer (a dict) in the result of a `shell` that ran a program. Raises `Failure` if it failed."""
    if done["rc"] != 0:
        words = (step, done["rc"], done["err"][-600:] or "nothing")
        message = "The step %r failed on the hypervisor with exit code %s. It said: %s" % words
        raise failure_in(done["err"]) or Failure("internal", message)
    return answer_in(done["out"])


def answer_in(out):
    """The answer that a program printed."""
    try:
        value = json.loads(out)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Failure("hostile_answer", "The hypervisor gave an answer that no program of ours gives.")
    return value


def sentences(value):
    """Those of an answer's notes that are texts, each of a length that people read."""
    return [note[:1000] for note in value[:50] if isinstance(note, str)] if isinstance(value, list) else []
