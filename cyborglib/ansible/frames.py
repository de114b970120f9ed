"""Frames of the control socket: four bytes of length (big-endian), then that many bytes of JSON."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Any

LIMIT = 16 * 1024 * 1024
#: Before a peer has shown its token, it may say no more than this.
FIRST_LIMIT = 4096
_HEADER = struct.Struct(">I")


class BadFrame(ValueError):
    """What came is not a frame, or is too long."""


def pack(value: Any) -> bytes:
    """A value as a frame."""
    data = json.dumps(value).encode("ascii")
    if len(data) > LIMIT:
        raise BadFrame(f"a frame of {len(data)} bytes is too long")
    return _HEADER.pack(len(data)) + data


class Unpacker:
    """Takes bytes as they come and gives the whole frames in them."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.limit = FIRST_LIMIT

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The frames that are complete now. Raises `BadFrame`."""
        self._data += data
        while len(self._data) >= _HEADER.size:
            (length,) = _HEADER.unpack_from(self._data)
            if length > self.limit:
                raise BadFrame(f"a frame of {length} bytes is too long")
            end = _HEADER.size + length
            if len(self._data) < end:
                return
            try:
                value = json.loads(self._data[_HEADER.size : end])
            except (ValueError, RecursionError) as problem:
                raise BadFrame("a frame is not JSON") from problem
            del self._data[:end]
            if not isinstance(value, dict):
                raise BadFrame("a frame is not an object")
            yield value
