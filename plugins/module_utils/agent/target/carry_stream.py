# SPDX-License-Identifier: GPL-3.0-or-later
"""The stream in which a tree goes from host to host: a line of JSON for each entry, a file's bytes behind its line.

Lines have ``t``, the kind of entry: ``d`` begins a folder, ``u`` ends it with its attributes; ``f`` file, ``l`` link,
``p`` FIFO, ``b`` and ``c`` devices, ``h`` one more name of an entry before; ``e`` the end with the sender's tally,
``x`` the sender's failure. ``n`` is one name, never a path, so that nothing can be put anywhere but below.
"""
# ruff: noqa: SIM105 - importing contextlib would cost more than it saves

import errno
import fcntl
import hashlib
import json
import os
import select
import time

from .frame import Refused, to_bytes, write_all

MAGIC = "cyborg-carry-1"
BLOCK = 1 << 20
#: Bytes of one line. Attributes of an entry are in it; a kernel keeps some hundred KiB of them at most.
LINE = 16 << 20
#: fcntl's F_SETPIPE_SZ, which Python names from 3.10 on.
PIPE_SIZE = 1031


class Tally:
    """What lies at one end: entries of each kind, bytes of files, a digest of names, kinds, sizes and contents."""

    def __init__(self):
        self.counts, self.bytes, self.digest = {}, 0, hashlib.blake2b(digest_size=32)

    def add(self, kind, name, size=0, more=b""):
        """``more``: where a link or another name leads to, or a device's number."""
        self.digest.update(b"%s %d %d %d " % (to_bytes(kind), len(name), size, len(more)) + name + more)
        if kind != "u":
            self.counts[kind] = self.counts.get(kind, 0) + 1
        self.bytes += size

    def data(self, data):
        """Bytes of the file that comes next."""
        self.digest.update(data)

    def told(self):
        return {"counts": self.counts, "bytes": self.bytes, "digest": self.digest.hexdigest()}


class Sink:
    """The end that is written to. ``wait``: seconds until somebody has to read."""

    def __init__(self, fifo, wait):
        until = time.monotonic() + wait
        while True:
            try:
                # Only with a reader: one that goes away again then is a broken pipe, not a wait without an end.
                self.fd = os.open(fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
                break
            except OSError as error:
                # ENXIO: nobody reads yet.
                if error.errno != errno.ENXIO or time.monotonic() > until:
                    raise Refused("cut", "Nobody came to fetch the files (%s)." % os.strerror(error.errno)) from None
                time.sleep(0.05)
        os.set_blocking(self.fd, True)
        widen(self.fd)
        self.waiting = bytearray()
        self.line({"t": MAGIC})

    def line(self, value):
        self.put(json.dumps(value).encode("ascii") + b"\n")

    def put(self, data):
        self.waiting += data
        if len(self.waiting) >= BLOCK:
            self.flush()

    def flush(self):
        waiting, self.waiting = memoryview(self.waiting), bytearray()
        write_all(self.fd, waiting)


class Source:
    """The end that is read from. ``wait``: seconds until the first byte has to come."""

    def __init__(self, fifo, wait):
        self.fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        widen(self.fd)
        watch = select.poll()
        watch.register(self.fd, select.POLLIN)
        # Without a writer there is nothing to hear; one that came and went is heard.
        if not watch.poll(wait * 1000):
            raise Refused("cut", "No files came within %d seconds." % wait)
        os.set_blocking(self.fd, True)
        self.buffer = bytearray()
        if self.line().get("t") != MAGIC:
            raise Refused("invalid", "What came is not our stream of files.")

    def more(self):
        data = os.read(self.fd, BLOCK)
        if not data:
            raise Refused("cut", "The files broke off on their way.")
        self.buffer += data

    def line(self):
        """The next line: an object."""
        looked = 0
        while True:
            end = self.buffer.find(b"\n", looked)
            if end >= 0:
                break
            looked = len(self.buffer)
            if looked > LINE:
                raise Refused("invalid", "What came is not our stream of files.")
            self.more()
        value = json.loads(self.buffer[:end].decode("ascii"))
        del self.buffer[:end + 1]
        return value

    def blocks(self, size):
        """The next ``size`` bytes, in pieces."""
        while size > 0:
            if not self.buffer:
                self.more()
            piece = bytes(self.buffer[:size])
            del self.buffer[:size]
            size -= len(piece)
            yield piece


def readable(path):
    """A path for a sentence: whatever is in it, it does not end the line."""
    shown = path.decode("utf-8", "replace") if isinstance(path, bytes) else path
    return "".join([letter if letter.isprintable() else "?" for letter in shown[:300]])


def widen(fd):
    """A pipe of a MiB: a third of the switches between processes. Where that is not to be had, it goes without."""
    try:
        fcntl.fcntl(fd, PIPE_SIZE, BLOCK)
    except OSError:
        pass
