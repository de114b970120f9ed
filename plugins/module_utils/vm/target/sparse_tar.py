# SPDX-License-Identifier: GPL-3.0-or-later
"""The stream: a plain tar (POSIX with GNU's sparse files, format 1.0), which `tar -xSf -` can unpack.

Nothing in it but the contents changes from one backup to the next (no times, no ids): so what stays is stored once.
"""

import struct

from .trouble import Trouble

BLOCK = 512
_PAX, _FILE = b"x", b"0"


def padding(size):
    return b"\0" * (-size % BLOCK)


def header(name, size, kind):
    """A block of ustar."""
    if size >= 8**11:
        size = 0  # the record before it tells the size
    fields = struct.pack(
        "100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x",
        name, b"0000600\0", b"0000000\0", b"0000000\0", b"%011o\0" % size, b"%011o\0" % 0, b" " * 8, kind, b"",
        b"ustar\0", b"00", b"root", b"root", b"0000000\0", b"0000000\0", b"",
    )  # fmt: skip
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def record(key, value):
    """A record of an extended header: it begins with its own length."""
    rest = b" %s=%s\n" % (key, value)
    size = len(rest)
    while len(b"%d" % size) + len(rest) != size:
        size = len(b"%d" % size) + len(rest)
    return b"%d" % size + rest


def plain(name, data):
    """A small file."""
    return header(name.encode("ascii"), len(data), _FILE) + data + padding(len(data))


def sparse_map(extents, realsize):
    """What stands before a sparse file's data: which parts there are."""
    pairs = [(start, end - start) for start, end in extents]
    if not pairs or extents[-1][1] < realsize:
        pairs.append((realsize, 0))
    text = b"%d\n" % len(pairs) + b"".join(b"%d\n%d\n" % pair for pair in pairs)
    return text + padding(len(text))


def sparse(name, extents, realsize):
    """(what comes before the data of a sparse file, what comes after it)."""
    before = sparse_map(extents, realsize)
    size = len(before) + sum(end - start for start, end in extents)
    name = name.encode("ascii")
    records = b"".join(
        record(key, value)
        for key, value in (
            (b"GNU.sparse.major", b"1"),
            (b"GNU.sparse.minor", b"0"),
            (b"GNU.sparse.name", name),
            (b"GNU.sparse.realsize", b"%d" % realsize),
            (b"size", b"%d" % size),
        )
    )
    head = header(b"PaxHeaders/" + name, len(records), _PAX) + records + padding(len(records))
    return head + header(b"GNUSparseFile.0/" + name, size, _FILE) + before, padding(size)


END = b"\0" * BLOCK * 2


class Reader:
    """Takes such a stream apart. `take(count)` of the source gives exactly that many bytes, or raises `Trouble`."""

    def __init__(self, take):
        self._take = take

    def members(self):
        """(name, realsize, [[start, end]] or None) of each; what it holds must be taken by `data` before the next."""
        while True:
            block = self._block()
            if block is None:
                return
            name, size, kind, records = self._head(block), self._size(block), block[156:157], {}
            if kind == _PAX:
                records = self._records(bytes(self._take(size)))
                self._take(-size % BLOCK)
                block = self._block()
                if block is None:
                    raise foreign()
                name, size, kind = self._head(block), self._size(block), block[156:157]
                size = int(records.get(b"size", size))
            if kind not in (_FILE, b"\0"):
                raise foreign()
            self.left = size
            if b"GNU.sparse.name" not in records:
                yield name, size, None
            else:
                extents = self._extents()
                yield records[b"GNU.sparse.name"].decode("ascii"), int(records[b"GNU.sparse.realsize"]), extents
            if self.left:
                raise foreign()
            self._take(-size % BLOCK)

    def data(self, count):
        """So many bytes of what the member holds."""
        if count > self.left:
            raise foreign()
        self.left -= count
        return self._take(count)

    def _block(self):
        block = bytes(self._take(BLOCK))
        if block == END[:BLOCK]:
            if bytes(self._take(BLOCK)) != block:
                raise foreign()
            return None
        if int(block[148:154], 8) != sum(block[:148]) + 8 * 32 + sum(block[156:]):
            raise foreign()
        return block

    @staticmethod
    def _head(block):
        return block[:100].rstrip(b"\0").decode("ascii")

    @staticmethod
    def _size(block):
        return int(block[124:135], 8)

    @staticmethod
    def _records(data):
        found = {}
        while data:
            size = int(data[: data.index(b" ")])
            key, _, value = data[data.index(b" ") + 1 : size - 1].partition(b"=")
            found[key], data = value, data[size:]
        return found

    def _extents(self):
        parts, lines, count = [], 0, None
        while count is None or lines < 1 + 2 * count:
            parts.append(bytes(self.data(BLOCK)))
            lines += parts[-1].count(b"\n")
            if count is None and lines:
                count = int(b"".join(parts).partition(b"\n")[0])
        numbers = [int(word) for word in b"".join(parts).split(b"\n")[1 : 1 + 2 * count]]
        pairs = zip(numbers[::2], numbers[1::2])  # noqa: B905 - Python 3.6 has no strict
        return [[start, start + size] for start, size in pairs if size]


def foreign():
    """The `Trouble` with a stream that is none of ours."""
    return Trouble("load_failed", "This archive does not hold a virtual machine as this collection saves one.")
