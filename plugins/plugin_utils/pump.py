# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves bytes from a FIFO on one host to a FIFO on another: two processes, and a pipe of the kernel's between them.

Neither knows a password: the FIFOs belong to the accounts that log in.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile

from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

_TAKE = 'exec cat < "$1"'
#: Where there is no FIFO any more, no file must be made in its place.
_GIVE = 'test -p "$1" && exec cat > "$1"'
#: Seconds in which both ends have to be gone once there is nothing more to move.
PATIENCE = 10


def taking(connection, fifo):
    """The argv that gives what comes out of a FIFO on the connection's host. Raises `Failure`."""
    return _argv(connection, _TAKE, fifo)


def giving(connection, fifo):
    """The argv that puts its standard input into a FIFO there. Raises `Failure`."""
    return _argv(connection, _GIVE, fifo)


def _argv(connection, script, fifo):
    here = ["sh", "-c", script, "sh", fifo]
    if connection.transport == "local":
        return here
    if connection.transport != "ssh":
        raise Failure(
            "unsupported",
            "Files are carried over ssh, or on this machine; a host that is reached by %r can be no end of it."
            % connection.transport,
        )
    if connection.get_option("password"):
        raise Failure(
            "unsupported",
            "Files are carried by an ssh that asks nobody: let the login be opened by a key, not by a password.",
        )
    # Options, pins and the shared connection are those of every other task on that host.
    built = connection._build_command(
        connection.get_option("ssh_executable"), "ssh", connection.get_option("host"), shlex.join(here)
    )
    return [part.decode("utf-8", "surrogateescape") if isinstance(part, bytes) else str(part) for part in built]


class Pump:
    """From the process `take` to the process `give` (argv lists), from `start` to `end`."""

    def __init__(self, take, give):
        self._argv = (take, give)
        self._running: list[subprocess.Popen] = []
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`

    def start(self):
        take, give = self._argv
        reader = subprocess.Popen(take, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors)
        self._running.append(reader)
        with reader.stdout:
            self._running.append(
                subprocess.Popen(give, stdin=reader.stdout, stdout=subprocess.DEVNULL, stderr=self._errors)
            )

    def end(self):
        """Nothing of it is left afterwards. Gives the last line that the two said on their errors, or ""."""
        for process in self._running:
            try:
                process.wait(PATIENCE if process is self._running[0] else 1)
            except subprocess.TimeoutExpired:
                process.terminate()
                process.wait()
        self._running.clear()
        if self._errors.closed:
            return ""
        with self._errors:
            self._errors.seek(0)
            said = self._errors.read(65536).decode("utf-8", "replace").split("\n")
        return next((line.strip()[:300] for line in reversed(said) if line.strip()), "")
