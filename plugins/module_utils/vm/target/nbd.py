# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of QEMU's disk servers (the NBD protocol, over a unix socket): which parts hold data, and the data.

Each connection does one thing: `extents` needs the server's structured answers, reading is faster without them.
"""

import collections
import socket
import struct

from .trouble import Trouble

#: Bytes of one request, and how many are on their way at once.
PIECE, WINDOW = 1024 * 1024, 8
#: Seconds that a server may think.
PATIENCE = 600
MOST_STATUS = 0x40000000
_GO, _STRUCTURED, _META = 7, 8, 10
_READ, _WRITE, _DISC, _FLUSH, _STATUS = 0, 1, 2, 3, 7


class Nbd:
    """A connection to one export; `size` is its capacity."""

    def __init__(self, path, export, structured=False):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(PATIENCE)
        self.size = None
        self._handle = 0
        try:
            self._socket.connect(path)
            self._negotiate(export.encode("utf-8", "surrogateescape"), structured)
        except OSError as error:
            self._socket.close()
            raise broken("it cannot be reached (%s)" % error) from error
        except BaseException:
            self._socket.close()
            raise

    def close(self):
        try:
            self._ask(_DISC, 0, 0)
        except OSError:
            pass  # it has gone already
        self._socket.close()

    # -- the beginning -------------------------------------------------------------------------------------

    def _negotiate(self, export, structured):
        magic, option, flags = struct.unpack(">8s8sH", self._take(18))
        if magic != b"NBDMAGIC" or option != b"IHAVEOPT" or not flags & 1:
            raise broken("it is no server of today")
        self._socket.sendall(struct.pack(">I", flags & 3))
        name = struct.pack(">I", len(export)) + export
        if structured:
            self._option(_STRUCTURED, b"")
            context = b"base:allocation"
            found = self._option(_META, name + struct.pack(">II", 1, len(context)) + context)
            if 4 not in [kind for kind, _ in found]:
                raise broken("it does not tell which parts hold data")
        for kind, data in self._option(_GO, name + struct.pack(">H", 0)):
            if kind == 3 and data[:2] == b"\0\0":
                self.size = struct.unpack(">Q", data[2:10])[0]
        if self.size is None:
            raise broken("it does not tell the disk's size")

    def _option(self, option, data):
        self._socket.sendall(struct.pack(">8sII", b"IHAVEOPT", option, len(data)) + data)
        answers = []
        while True:
            _, _, kind, length = struct.unpack(">QIII", self._take(20))
            said = bytes(self._take(length))
            if kind & 0x80000000:
                raise broken("it refuses: %s" % (said.decode("utf-8", "replace") or "error %d" % (kind & 0xFF)))
            if kind == 1:
                return answers
            answers.append((kind, said))

    # -- which parts hold data -----------------------------------------------------------------------------

    def extents(self, gap):
        """[[start, end]] of what holds data, in order; with less than `gap` of zeroes between them they are one."""
        found, at = [], 0
        while at < self.size:
            length = min(MOST_STATUS, self.size - at)
            self._ask(_STATUS, at, length)
            for size, flags in self._status():
                end = min(at + size, self.size)
                if not flags & 2:  # not known to be zeroes
                    if found and at - found[-1][1] < gap:
                        found[-1][1] = end
                    else:
                        found.append([at, end])
                at = end
        return found

    def _status(self):
        pairs = []
        while True:
            magic, flags, kind, _, length = struct.unpack(">IHHQI", self._take(20))
            data = bytes(self._take(length))
            if magic != 0x668E33EF or kind & 0x8000:
                raise broken("it cannot tell which parts hold data")
            if kind == 5:
                pairs += struct.iter_unpack(">II", data[4:])
            if flags & 1:
                break
        if not pairs or not all(size for size, _ in pairs):
            raise broken("it does not tell which parts hold data")
        return pairs

    # -- data ----------------------------------------------------------------------------------------------

    def read(self, extents):
        """The data of these extents, piece after piece."""
        plan = ((at, min(PIECE, end - at)) for start, end in extents for at in range(start, end, PIECE))
        waiting, arrived = collections.deque(), {}
        lengths = {}
        for at, length in plan:
            waiting.append(self._ask(_READ, at, length))
            lengths[waiting[-1]] = length
            if len(waiting) >= WINDOW:
                yield self._arrived(waiting.popleft(), lengths, arrived)
        while waiting:
            yield self._arrived(waiting.popleft(), lengths, arrived)

    def _arrived(self, wanted, lengths, arrived):
        while wanted not in arrived:
            handle = self._replied()
            if handle not in lengths:
                raise broken("it answers what was not asked")
            arrived[handle] = self._take(lengths.pop(handle))
        return arrived.pop(wanted)

    def write(self, at, data):
        """Write, and wait until it is taken."""
        self._ask(_WRITE, at, len(data), data)
        self._replied()

    def flush(self):
        """Returns when all that was written lies on the disk."""
        self._ask(_FLUSH, 0, 0)
        self._replied()

    # -- the wire ------------------------------------------------------------------------------------------

    def _ask(self, command, at, length, data=b""):
        self._handle += 1
        self._socket.sendall(struct.pack(">IHHQQI", 0x25609513, 0, command, self._handle, at, length))
        if data:
            self._socket.sendall(data)
        return self._handle

    def _replied(self):
        magic, error, handle = struct.unpack(">IIQ", self._take(16))
        if magic != 0x67446698:
            raise broken("it answers something else")
        if error:
            raise Trouble(
                "client_full" if error == 28 else "dump_failed",
                "The disk's host has no space left." if error == 28 else "The disk cannot be used (error %d)." % error,
            )
        return handle

    def _take(self, length):
        data = bytearray(length)
        view, at = memoryview(data), 0
        while at < length:
            count = self._socket.recv_into(view[at:])
            if not count:
                raise broken("it has gone")
            at += count
        return data


def broken(why):
    """The `Trouble` with a server of a disk."""
    return Trouble("dump_failed", "QEMU's server for the disk: %s. Was the domain stopped meanwhile?" % why)
