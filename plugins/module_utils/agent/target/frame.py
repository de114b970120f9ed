# SPDX-License-Identifier: GPL-3.0-or-later
"""One exchange: takes the request, calls its operation, writes the framed answer."""

import sys

# "python3 -" looks for modules in the current folder first: not in that of a user who waits for root.
sys.path[:] = [place for place in sys.path if place]

import os  # noqa: E402

try:
    from _json import encode_basestring_ascii as quote
except ImportError:  # an interpreter without CPython's accelerators
    from json.encoder import encode_basestring_ascii as quote


class Refused(Exception):
    """What was asked will not be done: the answer is ``refused`` with this code and sentence."""

    def __init__(self, code, message, **more):
        super().__init__(message)
        self.error = dict(more, code=code, message=message)


class Gone(Exception):
    """The job was acknowledged while it was looked at."""


class Fenced(Exception):
    """A newer engine has spoken to this job. The argument is its token."""


def to_bytes(text):
    return text.encode("utf-8", "surrogateescape")


def to_text(data):
    return data.decode("utf-8", "surrogateescape")


def source():
    """What this program was started from, for an interpreter of our own: the text of boot, its own, its digest."""
    return globals()["B"], globals()["S"], globals()["D"]


class Raw(str):
    """Text that is JSON already."""


def dumps(value):
    """JSON in ASCII, as the json module writes it; importing that would cost more than all the rest of an exchange."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, str):
        return quote(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "{%s}" % ", ".join([quote(key) + ": " + dumps(item) for key, item in value.items()])
    if isinstance(value, (list, tuple)):
        return "[%s]" % ", ".join([dumps(item) for item in value])
    return repr(value)


def failure(error):
    """A description of an unforeseen error without its values: they could be a secret."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = "%s:%d" % (place.tb_frame.f_code.co_name, place.tb_lineno) if place else "?"
    if isinstance(error, OSError) and error.errno:
        return "%s (%s, in %s)" % (os.strerror(error.errno), type(error).__name__, where)
    return "%s in %s" % (type(error).__name__, where)


def write_all(fd, data):
    while data:
        data = data[os.write(fd, data):]


def main(request):
    """Answers one request. Never raises: what goes wrong is an answer as well."""
    os.umask(0o077)
    try:
        reply = globals()["op_" + request["op"]](request)
    except Refused as error:
        reply = {"state": "refused", "error": error.error}
    except Gone:
        reply = {"state": "unknown"}
    except Fenced as error:
        reply = {"state": "fenced", "fence": error.args[0]}
    except Exception as error:
        message = "The agent failed on the target: %s." % failure(error)
        reply = {"state": "refused", "error": {"code": "agent_failed", "message": message}}
    body = dumps(reply).encode("ascii")
    write_all(1, b"\n@@cyborg@@%d:%s\n" % (len(body), body))
    if request.get("keep") is False and "result" in reply:
        globals()["let_go"](request)
