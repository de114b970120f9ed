# SPDX-License-Identifier: GPL-3.0-or-later
"""Controller side of the agent: the text of the program, and its answer.

A *piece* is a file in target/. Pieces import each other by ``from .other import name`` like any package, so
that tools understand them; here those lines are taken out and the files are joined in order of need, because
the target gets one text without files. Only what an operation needs is sent.
"""

import functools
import hashlib
import json
import os
import re

_TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "target")
_IMPORT = re.compile(r"^from \.(\w+) import (?:\([^)]*\)|[^\n(]*)\n", re.MULTILINE)
_FRAME = re.compile(r"(?:^|[\r\n])@@cyborg@@([0-9]{1,10}):")

#: operation -> the pieces to begin with; what they import comes along.
PIECES = {
    "start": ["start"],
    "follow": ["follow"],
    "ask": ["ask"],
    "out": ["out"],
    "cancel": ["cancel"],
    "forget": ["forget"],
    "sweep": ["sweep"],
}


class AgentError(Exception):
    """The exchange gave no whole answer. ``tail``: the end of what came instead (at most 2000 characters)."""

    def __init__(self, message, tail=""):
        super().__init__(message)
        self.tail = tail


def program(pieces, request):
    """The program to feed to ``python3 -I -S -`` on the target.

    :param pieces: names of files in target/, without .py
    :param request: the request as README.md describes it; must be JSON-plain
    :returns: bytes, pure ASCII
    """
    return _composed(_joined(tuple(pieces)), request)


def _composed(source, request):
    # A Python literal, because reading JSON would cost the target half of the exchange. The detour makes plain
    # values of whatever Ansible has wrapped: only those have a literal that is certain to be data.
    literal = ascii(json.loads(json.dumps(request, allow_nan=False)))
    return b"%smain(%s)\n" % (_head(source), literal.encode("ascii"))


@functools.lru_cache(maxsize=64)
def _head(source):
    """What stands before the call. The sources are literals, so that the agent can hand them on to an interpreter of
    its own."""
    with open(os.path.join(_TARGET, "boot.py"), encoding="ascii") as file:
        boot = file.read()
    digest = hashlib.sha256(source.encode("ascii")).hexdigest()[:32]
    return ("B=%r\nS=%r\nD=%r\nexec(B)\nexec(boot(S,D))\n" % (boot, source, digest)).encode("ascii")


@functools.lru_cache(maxsize=None)
def source_of(name):
    """The text of a file in target/ that is a program of its own, to be run by an interpreter on the target."""
    with open(os.path.join(_TARGET, name + ".py"), encoding="ascii") as file:
        return file.read()


def whole(name):
    """The text of such a program, with the pieces that it needs before it."""
    return _texts((name,))


def exchange(request):
    """The program for one request: :func:`program` with the pieces its operation needs."""
    pieces = PIECES[request["op"]]
    return program([*pieces, "forget"] if request.get("keep") is False else pieces, request)


def answer(stdout):
    """The agent's answer in the output of one exchange.

    Noise before and after it (motd, a lecture of sudo) is passed over.

    :param stdout: text of the exchange's standard output
    :returns: dict
    :raises AgentError: no answer, or a shorter one than announced
    """
    problem = "the agent gave no answer"
    for found in reversed(list(_FRAME.finditer(stdout))):
        length = int(found.group(1))
        body = stdout[found.end() : found.end() + length]
        if len(body) < length:
            problem = "the agent's answer was cut: %d of %d characters came" % (len(body), length)
            continue
        try:
            value = json.loads(body)
        except ValueError:
            problem = "the agent's answer cannot be read"
            continue
        if isinstance(value, dict):
            return value
    raise AgentError(problem, stdout[-2000:])


class Lines:
    """Joins the lines of successive ``follow`` answers: one that was longer than a piece came in parts."""

    def __init__(self):
        self._part = b""

    def feed(self, reply):
        """The complete lines (list of str) that this answer brings."""
        lines = list(reply.get("lines", ()))
        if reply.get("dropped"):
            self._part = b""
        if self._part and lines:
            lines[0] = _text(self._part + _bytes(lines[0]))
            self._part = b""
        if reply.get("part"):
            # In bytes, because a part may end within a character.
            self._part += _bytes(reply["part"])
        return lines


def _bytes(text):
    return text.encode("utf-8", "surrogateescape")


def _text(data):
    return data.decode("utf-8", "surrogateescape")


@functools.lru_cache(maxsize=None)
def _joined(pieces):
    return _texts(("frame", *pieces))


def _texts(pieces):
    order, texts = [], {}

    def need(name):
        if name in texts:
            return
        texts[name] = source_of(name)
        for other in _IMPORT.findall(texts[name]):
            need(other)
        order.append(name)

    for piece in pieces:
        need(piece)
    return "".join(_IMPORT.sub("", texts[name]) for name in order)
