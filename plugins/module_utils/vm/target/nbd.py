# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of QEMU's disk servers (the NBD protocol, over a unix socket): which parts hold data, and the data.

Each connection does one thing: `extents` needs the server's structured answers, reading is faster without.

Whatever was asked for is taken at once, by a thread, even if nobody wants the data yet: what changes the guest's disks
(the end of a backup job, too) makes QEMU wait, guest and all, until the answers that are on their way have been taken.
"""

import collections
import queue
import socket
import struct
import threading

from .trouble import Trouble

#: Bytes of one request, how many are on their way at once, and how many may wait to be written further. With 1 MiB QEMU
#: takes twice the CPU: it gets and gives back the memory of each answer.
PIECE, WINDOW, ROOM = 512 * 1024, 8, 32
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
        self._thread = self._room = None
        self._spare = collections.deque()
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
        """Twice does no harm."""
        try:
            self._ask(_DISC, 0, 0)
            self._socket.shutdown(socket.SHUT_RDWR)
        except (OSError, Trouble):
            pass  # it has gone already
        if self._thread is not None:
            self._room.release()  # if it waits for somebody to take what it has
            self._thread.join()
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
        """The data of these extents, piece after piece; each is good until the next is asked for."""
        self._room, found = threading.Semaphore(ROOM), queue.Queue()
        self._thread = threading.Thread(target=self._fetch, args=(extents, found), daemon=True)
        self._thread.start()
        while True:
            piece = found.get()
            if piece is None:
                return
            if isinstance(piece, Exception):
                raise piece
            yield piece
            self._spare.append(piece.obj)
            self._room.release()

    def _fetch(self, extents, found):
        plan = ((at, min(PIECE, end - at)) for start, end in extents for at in range(start, end, PIECE))
        order, lengths, arrived = collections.deque(), {}, {}
        try:
            asked = next(plan, None)
            while asked or lengths:
                # Nothing is waited for as long as an answer is on its way.
                while asked and len(lengths) < WINDOW and self._room.acquire(blocking=not lengths):
                    order.append(self._ask(_READ, *asked))
                    lengths[order[-1]] = asked[1]
                    asked = next(plan, None)
                handle = self._replied()
                if handle not in lengths:
                    raise broken("it answers what was not asked")
                arrived[handle] = self._piece(lengths.pop(handle))
                while order and order[0] in arrived:
                    found.put(arrived.pop(order.popleft()))
            found.put(None)
        except Exception as problem:  # it is raised where the data is waited for
            found.put(problem)

    def _piece(self, length):
        # Memory that was used before has its pages already.
        view = memoryview(self._spare.popleft() if self._spare else bytearray(PIECE))[:length]
        self._fill(view)
        return view

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
        request = struct.pack(">IHHQQI", 0x25609513, 0, command, self._handle, at, length)
        try:
            self._socket.sendall(request)
            if data:
                self._socket.sendall(data)
        except OSError as error:
            raise broken("it has gone (%s)" % error) from error
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
        self._fill(memoryview(data))
        return data

    def _fill(self, view):
        while view:
            try:
                count = self._socket.recv_into(view)
            except OSError as error:
                raise broken("it has gone (%s)" % error) from error
            if not count:
                raise broken("it has gone")
            view = view[count:]


def broken(why):
    """The `Trouble` with a server of a disk."""
    return Trouble("dump_failed", "QEMU's server for the disk: %s. Was the domain stopped meanwhile?" % why)
