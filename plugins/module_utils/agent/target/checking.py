# SPDX-License-Identifier: GPL-3.0-or-later
"""Refuses a request to start that cannot be meant, before anything is done."""

from .frame import Refused, to_bytes


def check(request):
    argv, sources, cwd = request.get("argv"), request.get("sources"), request.get("cwd")
    if not texts(argv) or not argv or not argv[0]:
        raise invalid("argv", "a list of texts without NUL, the program first")
    for field in ("env", "secrets", "files", "fifos"):
        value = request.get(field)
        if value is None:
            request[field] = {}
        elif not isinstance(value, dict) or not texts(value) or not texts(value.values(), nul=field != "env"):
            raise invalid(field, "an object of texts")
        if field in ("env", "secrets") and any(not name or "=" in name for name in request[field]):
            raise invalid(field, "an object whose names can be names of variables")
    if any("/" in name or name in ("", ".", "..") for name in [*request["files"], *request["fifos"]]):
        raise invalid("files", "an object whose names are those of files, without a folder")
    if set(request["files"]) & set(request["fifos"]):
        raise invalid("fifos", "an object with other names than files has")
    if not texts(request.get("locks") or []) or isinstance(request.get("locks"), dict):
        raise invalid("locks", "a list of folders")
    for field in ("timeout", "grace"):
        value = request.get(field)
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0):
            raise invalid(field, "a number of seconds")
    window = request.get("window")
    if window is not None and (isinstance(window, bool) or not isinstance(window, int) or not 0 < window < 2**31):
        raise invalid("window", "a number of bytes above 0, or null")
    limits = request.get("limits")
    if limits is not None and not (isinstance(limits, dict) and all(map(bound, limits, limits.values()))):
        raise invalid("limits", "an object of memory (bytes) and cpu (seconds), whole numbers above 0")
    if request.get("stdin") is not None and not texts([request["stdin"]], nul=True):
        raise invalid("stdin", "a text or null")
    for where in request.get("templates") or ():
        if not (where in request["env"] if isinstance(where, str) else 0 <= where < len(argv)):
            raise invalid("templates", "a list of names of variables in env, and of positions in argv")
    if cwd is not None and not texts([cwd.get("new") if isinstance(cwd, dict) else cwd]):
        raise invalid("cwd", "a path, null, or an object with the path of a new folder")
    if sources is not None and not (sources.get("roots") and texts(sources["roots"])):
        raise invalid("sources", "an object whose roots are a list of absolute paths")


def bound(name, value):
    return name in ("memory", "cpu") and isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**62


def texts(values, nul=False):
    """Whether they are texts that the kernel takes (with ``nul``: any text)."""
    if values is None or isinstance(values, str):
        return False
    for value in values:
        if not isinstance(value, str) or (not nul and "\0" in value):
            return False
        try:
            to_bytes(value)
        except UnicodeEncodeError:  # half of a pair that stands for no byte
            return False
    return True


def invalid(field, what):
    return Refused("invalid", "The request's %s must be %s." % (field, what))
