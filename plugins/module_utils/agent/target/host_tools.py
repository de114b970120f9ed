# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that the pieces which prepare hosts share: found, run, and heard."""

import os
import signal
import subprocess

#: Where programs are looked for: the administrator's own first, as everywhere; never what a login happens to set.
PLACES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


def find_program(name):
    """The full path of a program, or ""."""
    for place in PLACES:
        path = place + "/" + name
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    return ""


def plain_environment(extra=None):
    """PATH, HOME and a neutral locale, and nothing else of the login."""
    import pwd

    try:
        home = pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        home = "/"
    return dict({"PATH": ":".join(PLACES), "HOME": home, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}, **(extra or {}))


def said(argv, seconds=30, stdin=None, env=None, fds=()):
    """(exit code, what it said on stdout, on stderr). The code is None if it could not be started, or took too long.

    :param fds: open files that the program inherits
    """
    limit = 65536
    source = subprocess.DEVNULL if stdin is None else subprocess.PIPE
    try:
        running = subprocess.Popen(
            argv,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=plain_environment(env),
            cwd="/",
            start_new_session=True,
            pass_fds=fds,
        )
    except OSError as error:
        return None, "", os.strerror(error.errno)
    try:
        out, err = running.communicate(stdin, timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate()
        return None, "", "gave no answer in %d seconds" % seconds
    return running.returncode, out[:limit].decode("utf-8", "replace"), err[:limit].decode("utf-8", "replace")


def last_line(text, size=300):
    """The last line that says something, shortened and made printable: what a program says of its failure."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "".join(letter if letter.isprintable() else "?" for letter in lines[-1][:size]) if lines else ""
