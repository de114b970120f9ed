# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter between a command and Borg: passes on what comes, and fails if that cannot be all of it.

A program of its own (`source_of("guard")`), not a piece: what it expects is in CYBORG_EXPECT, as JSON:
{"empty": true if nothing may come, "ends": text near the end, "counts": {text: how often it must come}}.
"""

import json
import os
import sys

SIZE = 1 << 20
#: Bytes before the end in which its mark is looked for.
END = 400
#: Exit codes, and the mark of the line on stderr that says why.
EMPTY, CUT, OTHER = 65, 66, 67
MARK = "@@cyborg-guard@@"
#: fcntl's F_SETPIPE_SZ, which Python names from 3.10 on.
SET_PIPE_SIZE = 1031


def encoded(text):
    return text.encode("utf-8", "surrogateescape")


class Count:
    """How often a text came, also across the borders of pieces."""

    def __init__(self, name, wanted):
        self.name, self.text, self.wanted, self.found = name, encoded(name), wanted, 0
        # A text that begins a line is found in the first line, too.
        self.rest = b"\n" if self.text[:1] == b"\n" else b""

    def feed(self, data):
        data = self.rest + data
        self.found += data.count(self.text)
        self.rest = data[len(data) - len(self.text) + 1:] if len(self.text) > 1 else b""


def wide(fd):
    """A larger pipe means fewer turns; whoever may not have one goes on without."""
    import fcntl

    try:
        fcntl.fcntl(fd, SET_PIPE_SIZE, SIZE)
    except OSError:
        return


def fail(code, kind, detail=""):
    sys.stderr.write("\n%s %s\n" % (MARK, json.dumps({"kind": kind, "detail": detail})))
    sys.stderr.flush()
    os._exit(code)


def main():
    expected = json.loads(os.environ.get("CYBORG_EXPECT") or "{}")
    counts = [Count(*item) for item in (expected.get("counts") or {}).items()]
    total, end = 0, b""
    wide(0)
    wide(1)
    while True:
        data = os.read(0, SIZE)
        if not data:
            break
        total += len(data)
        end = (end + data)[-END:] if len(data) < END else data[-END:]
        for count in counts:
            count.feed(data)
        view = memoryview(data)
        while view:
            view = view[os.write(1, view):]
    if not total and not expected.get("empty"):
        fail(EMPTY, "empty")
    if total and expected.get("ends") and encoded(expected["ends"]) not in end:
        fail(CUT, "cut", expected["ends"])
    for count in counts:
        if count.found != count.wanted:
            fail(OTHER, "counts", "%s: %d instead of %d" % (count.name.strip(), count.found, count.wanted))


if __name__ == "__main__":
    main()
