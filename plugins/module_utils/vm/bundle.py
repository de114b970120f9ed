# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side: joins the parts in target/ to the text of one program, as the agent's bundle does with pieces."""

import functools
import json
import os
import re

_TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "target")
_IMPORT = re.compile(r"^from \.(\w+) import (?:\([^)]*\)|[^\n(]*)\n", re.MULTILINE)


def program(request):
    """The text of a program for ``python3 -I -S FILE`` on the hypervisor, pure ASCII.

    :param request: `op` (the operation) and what it takes; JSON-plain
    """
    # A literal of plain values, so that whatever a name holds is data.
    literal = ascii(json.loads(json.dumps(request, allow_nan=False)))
    begin = {"load": "load", "plan": "load", "boot": "drill", "gone": "drill"}.get(request["op"], "main")
    return "%simport sys\nsys.exit(main(%s))\n" % (_joined(begin), literal)


@functools.lru_cache(maxsize=None)
def _joined(piece):
    order, texts = [], {}

    def need(name):
        if name in texts:
            return
        with open(os.path.join(_TARGET, name + ".py"), encoding="ascii") as file:
            texts[name] = file.read()
        for other in _IMPORT.findall(texts[name]):
            need(other)
        order.append(name)

    need(piece)
    return "".join(_IMPORT.sub("", texts[name]) for name in order)
