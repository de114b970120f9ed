# SPDX-License-Identifier: GPL-3.0-or-later
"""A filter between a command and Borg: passes on what comes, and fails if that cannot be all of it.

A program of its own (`source_of("guard")`), not a piece: what it expects is in CYBORG_EXPECT, as JSON:
{"empty": true if nothing may come, "ends": text near the end, "counts": {text: how often it must come}}.
Each argument is the path of a pipe that gets a copy, for as long as somebody reads there: one who has enough before
the end is left alone, as whoever started it knows by its end what it found.

Where nothing is looked for, nothing is read: the kernel hands the pages on from pipe to pipe (splice, tee).
"""

import errno
import json
import os
import sys

SIZE = 1 << 20
#: Bytes before the end in which its mark is looked for.
END = 400
#: Exit codes, and the mark of the line on stderr that says why. A writer whose reader went away says nothing.
EMPTY, CUT, OTHER, UNREAD = 65, 66, 67, 141
MARK = "@@cyborg-guard@@"
#: fcntl's F_SETPIPE_SZ, which Python names from 3.10 on.
SET_PIPE_SIZE = 1031


def encoded(text):
    return text.encode("utf-8", "surrogateescape")


class Seen:
    """What is looked for: how often texts come, and whether one stands near the end."""

    def __init__(self, counts, ends):
        self.wanted = {encoded(text): int(number) for text, number in counts.items()}
        self.found = dict.fromkeys(self.wanted, 0)
        # From one line's beginning to the next is a fraction of the way from letter to letter.
        self.lines = tuple(text for text in self.wanted if text[:1] == b"\n")
        self.others = [text for text in self.wanted if text[:1] != b"\n"]
        self.ends = encoded(ends)
        self.keep = max([END, *map(len, self.wanted)])
        # What was not looked through yet, as it may go on in the next piece. A line begins in the first place, too.
        self.rest = b"\n"

    def feed(self, data):
        data = self.rest + data
        limit = max(0, len(data) - self.keep)
        self.count(data, limit)
        self.rest = data[limit:]

    def count(self, data, limit):
        """Counts what begins before ``limit``."""
        at = data.find(b"\n", 0, limit) if self.lines else -1
        while at >= 0:
            if data.startswith(self.lines, at):
                for text in self.lines:
                    self.found[text] += data.startswith(text, at)
            at = data.find(b"\n", at + 1, limit)
        for text in self.others:
            self.found[text] += data.count(text, 0, limit + len(text) - 1)

    def judge(self, total):
        """Ends the program if something is missing."""
        if self.ends and self.ends not in self.rest[-min(total, END):]:
            fail(CUT, "cut", self.ends.decode("utf-8", "surrogateescape"))
        self.count(self.rest, len(self.rest))
        for text, number in self.wanted.items():
            if self.found[text] != number:
                name = text.decode("utf-8", "surrogateescape").strip()
                fail(OTHER, "counts", "%s: %d instead of %d" % (name, self.found[text], number))


class Kernel:
    """splice(2) and tee(2): bytes handed on, or None where that is not to be had for these two."""

    def __init__(self):
        self.splice = self.tee = None
        try:
            import ctypes

            library = ctypes.CDLL(None, use_errno=True)
            size, number = ctypes.c_size_t, ctypes.c_int
            self.splice, self.tee = library.splice, library.tee
            self.splice.argtypes = [number, ctypes.c_void_p, number, ctypes.c_void_p, size, ctypes.c_uint]
            self.tee.argtypes = [number, number, size, ctypes.c_uint]
            self.splice.restype = self.tee.restype = ctypes.c_ssize_t
            self.errno = ctypes.get_errno
        except (ImportError, AttributeError, OSError):
            pass  # an interpreter without ctypes, a C library that is not to be found so: the bytes are copied

    def moved(self, size):
        """From stdin to stdout."""
        return self.done(self.splice, 0, None, 1, None, size, 0)

    def doubled(self, fd):
        """What comes next on stdin, which stays there, to ``fd``."""
        return self.done(self.tee, 0, fd, SIZE, 0)

    def done(self, call, *given):
        while call is not None:
            count = call(*given)
            if count >= 0:
                return count
            error = self.errno()
            if error == errno.EPIPE:
                raise BrokenPipeError(error, os.strerror(error))
            if error != errno.EINTR:
                break  # no pipe at one end, or not allowed: what else it may be is met by the copying too
        return None


def written(fd, data):
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view):]


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


def moved(kernel, size):
    """So many bytes, or fewer, from stdin to stdout; gives how many."""
    count = kernel.moved(size)
    if count is None:
        data = os.read(0, size)
        written(1, data)
        count = len(data)
    return count


def doubled(kernel, copies):
    """What comes next, to stdout and to the last one who reads a copy; None where it has to be read for that."""
    try:
        count = kernel.doubled(copies[0])
    except BrokenPipeError:
        os.close(copies.pop())
        return moved(kernel, SIZE)
    rest = count or 0
    while rest:
        rest -= moved(kernel, rest)  # stdout gets all of what the copy got
    return count


def main():
    expected = json.loads(os.environ.get("CYBORG_EXPECT") or "{}")
    counts, ends = expected.get("counts") or {}, expected.get("ends") or ""
    seen = Seen(counts, ends) if counts or ends else None
    copies = [os.open(path, os.O_WRONLY) for path in sys.argv[1:]]
    for fd in [0, 1, *copies]:
        wide(fd)
    kernel, total = Kernel() if seen is None else None, 0
    while True:
        count = None
        if seen is None and len(copies) < 2:
            count = doubled(kernel, copies) if copies else moved(kernel, SIZE)
        if count is None:
            data = os.read(0, SIZE)
            if seen is not None:
                seen.feed(data)
            for fd in list(copies):
                try:
                    written(fd, data)
                except BrokenPipeError:
                    copies.remove(fd)
                    os.close(fd)
            written(1, data)
            count = len(data)
        if not count:
            break
        total += count
    if not total and not expected.get("empty"):
        fail(EMPTY, "empty")
    if total and seen is not None:
        seen.judge(total)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        os._exit(UNREAD)
