# SPDX-License-Identifier: GPL-3.0-or-later
"""Understands the lines that Borg writes with --log-json: which are progress, which are counted, which are kept."""

from .frame import dumps, to_bytes, to_text

STATUS = b'{"type": "file_status", "status": "'
#: How many examples, errors, last lines and kinds are kept, and how long each may be.
EXAMPLES, ERRORS, TAIL, KINDS = 20, 20, 30, 50
LONG = 4096


class Reading:
    """What the lines said so far. ``line`` takes one and tells whether it belongs into the log."""

    def __init__(self, roots=()):
        self.progress, self.seen = None, 0
        self.status, self.examples = {}, []
        self.warnings, self.kinds, self.unreadable, self.changed = 0, {}, 0, 0
        self.errors, self.tail = [], []
        #: Whether an error was that there is no memory. At the end of a long traceback it is not among what is kept.
        self.no_memory = False
        # Borg shows what is not UTF-8 as question marks; the end of a status line is the root's path.
        self.roots = {
            b'"path": %s}' % dumps(root.encode("utf-8", "replace").decode()).encode("ascii"): root
            for root in roots
        }
        self.roots_seen = []

    def line(self, data):
        if data.startswith(STATUS):
            self.file_status(data)
            return False
        message = parse(data)
        kind = message.get("type")
        if kind in ("archive_progress", "progress_percent", "progress_message"):
            self.take_progress(kind, message)
            return False
        if kind == "log_message":
            self.log_message(message)
        elif not message and b"MemoryError" in data:
            self.no_memory = True
        self.tail.append(to_text(data[:LONG]))
        del self.tail[:-TAIL]
        return True

    def take_progress(self, kind, message):
        # Last words ("finished") carry no figures. Figures of a create are not pushed out by messages about caches.
        figures = kind == "archive_progress" and "nfiles" in message
        other = kind != "archive_progress" and "message" in message
        if figures or (other and (self.progress or {}).get("type") != "archive_progress"):
            self.progress, self.seen = message, self.seen + 1

    def file_status(self, data):
        status = to_text(data[len(STATUS):data.find(b'"', len(STATUS))])
        self.status[status] = self.status.get(status, 0) + 1
        path = data.find(b'"path": ')
        root = self.roots.get(data[path:]) if self.roots else None
        if root is not None and status not in "xE" and root not in self.roots_seen:
            self.roots_seen.append(root)
        if status in "CE" and len(self.examples) < EXAMPLES:
            self.examples.append({"status": status, "path": str(parse(data).get("path"))[:LONG]})

    def log_message(self, message):
        level, text = message.get("levelname"), str(message.get("message"))
        if level == "WARNING":
            self.warnings += 1
            kind = self.kind(message, text)
            if kind in self.kinds or len(self.kinds) < KINDS:
                self.kinds[kind] = self.kinds.get(kind, 0) + 1
        elif level in ("ERROR", "CRITICAL"):
            self.no_memory = self.no_memory or "MemoryError" in text or "Cannot allocate memory" in text
            self.errors.append({"message": text[:LONG], "msgid": message.get("msgid"), "level": level})
            del self.errors[:-ERRORS]

    def kind(self, message, text):
        error = text.partition("[Errno ")[2].partition("] ")[2]
        if error:
            self.unreadable += 1
            return error.partition(":")[0].strip()[:200]
        if text.endswith("file changed while we backed it up"):
            self.changed += 1
            return "changed"
        return str(message.get("msgid") or "other")[:200]

    def summary(self):
        """The parts of the result that come from the lines."""
        return {
            "warnings": {"total": self.warnings, "kinds": self.kinds},
            "errors": self.errors,
            "tail": self.tail,
            "files": {
                # Without --list there are only the warnings to count by. With it they are not asked: not every
                # error number that Borg tells of belongs to a file that was to be saved.
                "changed": self.status.get("C", 0) if self.status else self.changed,
                "unreadable": self.status.get("E", 0) if self.status else self.unreadable,
                "examples": self.examples,
                "status": self.status,
            },
            "roots_seen": self.roots_seen,
        }


def parse(data):
    """The object a line holds; an empty one if it is just text."""
    if not data.startswith(b"{"):
        return {}
    text = to_text(data).rstrip()
    try:
        value, end = scan(text, 0)
    except (ValueError, StopIteration):
        return {}
    return value if end == len(text) else {}


class JSON:
    """How JSON is read: as the json module does, whose import costs a third of what the process beside a Borg does."""

    strict, object_hook, object_pairs_hook = True, None, None
    parse_float, parse_int, parse_constant = float, int, float


try:
    from _json import make_scanner

    scan = make_scanner(JSON)
except (ImportError, AttributeError, TypeError):  # an interpreter without CPython's accelerators, or with other ones
    from json import JSONDecoder

    scan = JSONDecoder().raw_decode


class Splitter:
    """Cuts a stream into lines. One beyond ``limit`` bytes is cut there, with a mark, so that memory stays bounded."""

    def __init__(self, limit=2 * 1024 * 1024):
        self.limit, self.pieces, self.size, self.lost = limit, [], 0, 0

    def feed(self, data):
        """The lines (without their ends) that are complete with this data."""
        *whole, rest = data.split(b"\n")
        lines = []
        for line in whole:
            self.keep(line)
            lines.append(self.rest())
        self.keep(rest)
        return lines

    def keep(self, data):
        room = self.limit - self.size
        if data[:room]:
            self.pieces.append(data[:room])
            self.size += len(data[:room])
        self.lost += max(0, len(data) - room)

    def rest(self):
        """What has come of a line so far."""
        line = b"".join(self.pieces)
        if self.lost:
            line += to_bytes(" [%d bytes cut]" % self.lost)
        self.pieces, self.size, self.lost = [], 0, 0
        return line
