# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill's own part on its host: which files of an archive are restored, and whether they are what Borg says.

Both read what `borg list` wrote into a file: fields with tabs between them, the last ones whether it is a link and the
path, NUL at the end of each entry, and one more NUL where the list came to its end. The second name of a file with
several (a hard link) is one without bytes that has a source."""

import hashlib
import heapq
import os
import stat

from .frame import Refused, to_bytes, to_text
from .removing import DEEP, more_files

#: Bytes of all paths together, which go onto Borg's command line; how many differences are named, and files told.
WORDS, NAMED, TOLD = 500000, 10, 40
CHUNK = 1 << 20


def op_drill_choose(request):
    """A sample of the files in a listing (type, size, path): ``files`` of them at most, ``bytes`` at most. Which, is
    told by a digest of ``seed`` and each path: any file may be among them, and the same again for the same seed.

    Names that Borg could not show (it puts a ``?``) cannot be asked for: they are left out, and counted.
    """
    files, room, seed = int(request["files"]), int(request["bytes"]), to_bytes(request["seed"])
    heap, total, odd, large = [], 0, 0, 0
    for kind, size, source, path in entries(request["listing"], 3):
        if kind != b"-" or source:
            continue
        total += 1
        if b"?" in path:
            odd += 1
        elif int(size) > room:
            large += 1
        else:
            rank = -int.from_bytes(hashlib.sha256(seed + b"\0" + path).digest()[:8], "big")
            if len(heap) < files:
                heapq.heappush(heap, (rank, int(size), path))
            elif rank > heap[0][0]:
                heapq.heapreplace(heap, (rank, int(size), path))
    chosen, words = [], WORDS
    for _rank, size, path in sorted(heap, reverse=True):
        if size <= room and len(path) < words:
            room, words = room - size, words - len(path) - 4
            chosen.append([to_text(path), size])
    return {"state": "done", "chosen": chosen, "files": total, "odd": odd, "large": large}


def op_drill_compare(request):
    """Reads what was restored below ``folder`` and compares it with a listing (type, size, SHA-256, path) of Borg's."""
    import sys

    sys.setrecursionlimit(max(sys.getrecursionlimit(), DEEP))
    more_files()
    root = os.path.realpath(to_bytes(request["folder"]))
    files = size = count = 0
    wrong, sampled = [], []
    for kind, length, digest, source, path in entries(request["listing"], 4):
        count += 1
        problem = None
        if kind == b"-" and not source:
            problem, read = compare(root, path, int(length), digest.decode("ascii"))
            files, size = files + 1, size + read
            if len(sampled) < TOLD and b"?" not in path:
                sampled.append([to_text(path), int(length)])
        elif kind in (b"-", b"d", b"l") and b"?" not in path:
            problem = there(root, path, kind)
        if problem:
            wrong.append("%s: %s" % (to_text(path), problem))
    return {
        "state": "done", "files": files, "bytes": size, "entries": count, "differ": len(wrong), "wrong": wrong[:NAMED],
        "sampled": sampled,
    }


def entries(path, fields):
    """The entries of a listing, a piece at a time. One that was cut short is refused."""
    rest = b""
    with open(to_bytes(path), "rb") as file:
        while True:
            data = file.read(CHUNK)
            if not data:
                break
            parts = (rest + data).split(b"\0")
            rest = parts.pop()
            for part in parts:
                if not part:
                    if rest or file.read(1):
                        raise Refused("unparsable", "Borg's listing of the archive holds an entry without a name.")
                    return
                found = part.split(b"\t", fields)
                if len(found) != fields + 1:
                    raise Refused("unparsable", "Borg's listing of the archive cannot be read: %r" % part[:200])
                yield found
    raise Refused("unparsable", "Borg's listing of the archive was cut short.")


def there(root, path, kind):
    try:
        status = os.lstat(os.path.join(root, path))
    except OSError as error:
        return os.strerror(error.errno)
    right = {b"-": stat.S_ISREG, b"d": stat.S_ISDIR, b"l": stat.S_ISLNK}[kind]
    return None if right(status.st_mode) else "it is of another kind"


def compare(root, path, length, digest):
    """(what is wrong or None, bytes read) of one restored file."""
    if b"?" in path and not os.path.lexists(os.path.join(root, path)):
        return None, 0  # Borg could not show its name; its data was read all the same.
    whole = os.path.join(root, path)
    folder = os.path.realpath(os.path.dirname(whole))
    if folder != root and not folder.startswith(root + b"/"):
        return "it lies outside of what was restored", 0
    try:
        file = opened(whole)
    except OSError as error:
        return os.strerror(error.errno), 0
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        return "it is no file", 0
    read, found = 0, hashlib.sha256()
    with open(file, "rb") as source:
        while True:
            data = source.read(CHUNK)
            if not data:
                break
            read += len(data)
            found.update(data)
    if read != length:
        return "it has %d bytes, and had %d" % (read, length), read
    if found.hexdigest() != digest:
        return "its SHA-256 is %s, and was %s" % (found.hexdigest(), digest), read
    return None, read


def opened(path):
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, flags)
    except PermissionError:
        os.chmod(path, 0o600)  # it is ours, and may have been nobody's to read
        return os.open(path, flags)
