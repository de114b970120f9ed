# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from a task to the library that started the run: a unix socket, where secrets come from.

Without the library (plain ``ansible-playbook``) there is no socket, and `connect` gives None.

Frames go both ways: four bytes of length (big-endian), then that many bytes of JSON (ASCII), at most 16 MiB.
The first one of a connection is ``{"do": "hello", "token": …, "job": 42, "attempt": 1}``; every later one is for
that job. The answer to each is ``{"ok": true, …}`` or ``{"ok": false, "error": code, "message": sentence}``.
After ``{"do": "watch"}`` the connection is only listened to: ``{"canceled": true}`` comes when the job is.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import threading
from contextlib import suppress

ENVIRONMENT = "CYBORG_CONTROL"
LIMIT = 16 * 1024 * 1024
#: Pieces of a listing that the library may still have to take in.
AHEAD = 6


class ControlError(Exception):
    """The library refused what was asked, or is gone (code ``gone``)."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


def send(connection, value):
    """Write one frame."""
    data = json.dumps(value).encode("ascii")
    if len(data) > LIMIT:
        raise ControlError("too_long", "a message of %d bytes is too long for the control socket" % len(data))
    connection.sendall(struct.pack(">I", len(data)) + data)


def receive(connection):
    """Read one frame; None at the end of the connection."""
    header = _exactly(connection, 4)
    if header is None:
        return None
    (length,) = struct.unpack(">I", header)
    if length > LIMIT:
        raise ControlError("too_long", "an answer of %d bytes is too long for the control socket" % length)
    body = _exactly(connection, length)
    return None if body is None else json.loads(body)


def _exactly(connection, count):
    pieces = []
    while count:
        piece = connection.recv(min(count, 1 << 20))
        if not piece:
            return None
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


class Control:
    """One job's connection. Raises `ControlError` for whatever the library refuses; may be used by one thread."""

    def __init__(self, path, job, attempt):
        self._path, self._job, self._attempt = path, job, attempt
        self._connection = None
        #: How many pieces of a listing were sent whose answers were not read.
        self._owed = 0
        #: True if the job had been canceled when the connection was made.
        self.canceled = False

    @classmethod
    def connect(cls, job, attempt):
        """The connection of a job, or None where no library started this run.

        :param job: its id; None means that there is none
        """
        path = os.environ.get(ENVIRONMENT)
        if not path or job is None:
            return None
        control = cls(path, int(job), int(attempt or 1))
        control._connection, answer = control._open()
        control.canceled = bool(answer.get("canceled"))
        return control

    def _open(self):
        with open(os.path.join(os.path.dirname(self._path), "token"), encoding="ascii") as file:
            token = file.read().strip()
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(self._path)
            hello = {"do": "hello", "token": token, "job": self._job, "attempt": self._attempt}
            return connection, _ask(connection, hello)
        except BaseException:
            connection.close()
            raise

    def canceled_meanwhile(self):
        """True if the job has been canceled by now."""
        connection, hello = self._open()
        connection.close()
        return bool(hello.get("canceled"))

    def started(self):
        """The job's work on its host has begun."""
        self._call({"do": "started"})

    def progress(self, values):
        """How far it is: a mapping of files, original_bytes, compressed_bytes, deduplicated_bytes, seconds, path."""
        self._call({"do": "progress", "progress": values})

    def output(self, lines):
        """Lines for people."""
        if lines:
            self._call({"do": "output", "lines": list(lines)})

    def secret(self, name):
        """A secret that the job may ask for; each but the become passwords only once an attempt."""
        return self._call({"do": "secret", "name": name})["secret"]

    def keep(self, name, secret):
        """A secret that the job brings home, to be sealed."""
        self._call({"do": "keep", "name": name, "secret": secret})

    def deciding(self):
        """The job is about to do what cannot be undone. True once the library has that on record; else it must not."""
        return bool(self._call({"do": "deciding"}).get("committed"))

    def ended(self, outcome, forget=()):
        """How the job ended: a mapping of error (code, message), warnings, archives, stats, facts.

        :param forget: [name, fence] of each command whose result the agent may forget once the end is committed
        :returns: (True once it is committed, True if the library will tell the agent with the host's next job)
        """
        answer = self._call({"do": "ended", "outcome": outcome, "forget": list(forget)})
        return bool(answer["committed"]), bool(answer.get("later"))

    def contents_begin(self, archive, borg_id):
        """A listing of what is in an archive is to come. False if the library does not want it (any more).

        :param archive: its number in the library
        :param borg_id: its id in Borg
        """
        return bool(self._call({"do": "contents", "archive": archive, "begin": borg_id})["wanted"])

    def contents(self, archive, text):
        """The next piece of the listing. Its answer is read later: some may be on their way meanwhile."""
        self._settle(AHEAD)
        try:
            send(self._connection, {"do": "contents", "archive": archive, "piece": text})
        except OSError as problem:
            raise _gone(problem) from problem
        self._owed += 1

    def contents_end(self, archive):
        """That was all, and Borg came to a good end: {"entries", "left_out"}."""
        return self._call({"do": "contents", "archive": archive, "end": True})

    def contents_abandon(self, archive):
        """That was not all, and nothing of it is to stay. Does nothing if the library is gone, or refuses."""
        with suppress(ControlError):
            self._call({"do": "contents", "archive": archive, "abandon": True})

    def watch(self, canceled, gone):
        """Call ``canceled()`` in a thread of its own when the job is canceled, ``gone()`` when the library is gone.

        The answer is a `Watch`.
        """
        connection, _hello = self._open()
        _ask(connection, {"do": "watch"})
        return Watch(connection, canceled, gone)

    def close(self):
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _call(self, message):
        self._settle()
        return _ask(self._connection, message)

    def _settle(self, most=0):
        """Read answers until no more are owed; of a refusal all, as nothing else is to hear of it."""
        refused = None
        while self._owed > (0 if refused else most):
            self._owed -= 1
            try:
                _answered(self._connection)
            except ControlError as problem:
                if problem.code == "gone":
                    self._owed = 0
                    raise
                refused = refused or problem
        if refused:
            raise refused


class Watch:
    """A thread that waits for the job to be canceled, until `stop`."""

    def __init__(self, connection, canceled, gone):
        self._connection, self._canceled, self._gone = connection, canceled, gone
        self._stopped = False
        self._thread = threading.Thread(target=self._wait, name="cyborg-watch", daemon=True)
        self._thread.start()

    def _wait(self):
        try:
            answer = receive(self._connection)
        except (OSError, ValueError, ControlError):
            answer = None
        if answer and answer.get("canceled"):
            self._canceled()
        elif not self._stopped:
            self._gone()

    def stop(self):
        """End the thread."""
        self._stopped = True
        with suppress(OSError):  # The other end may have hung up already.
            self._connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._connection.close()


def _ask(connection, message):
    try:
        send(connection, message)
    except OSError as problem:
        raise _gone(problem) from problem
    return _answered(connection)


def _gone(problem):
    return ControlError("gone", "the library that started this run is gone: %s" % problem)


def _answered(connection):
    try:
        answer = receive(connection)
    except OSError as problem:
        raise _gone(problem) from problem
    if answer is None:
        raise ControlError("gone", "the library that started this run has hung up")
    if not answer.get("ok"):
        raise ControlError(answer.get("error", "refused"), answer.get("message", "the library refused"))
    return answer
