# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, and what is told of it."""

import json
import os
import signal
import sys

#: Those by which we are told to end; the last one is our guardian's.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)


class Trouble(Exception):
    """A sentence for people, with a code for the library."""

    def __init__(self, code, sentence):
        super().__init__(sentence)
        self.code, self.sentence = code, sentence


class Ended(BaseException):
    """A signal said that we are to end: not an error of what was being done."""


def tell(line):
    """A line for people, on standard error."""
    data = line.encode("utf-8", "surrogateescape") + b"\n"
    while data:
        data = data[os.write(2, data) :]


def answer(value):
    """The one line of standard output that is an answer."""
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _ended(number, frame):
    raise Ended


def hear_signals():
    """From now on a signal to end raises `Ended`, wherever we are."""
    for number in SIGNALS:
        signal.signal(number, _ended)


def ignore_signals():
    """From now on we end by ourselves: what is being cleaned up is cleaned up."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def worked(work, request):
    """Do it, and give the exit code: 0, or 1 after the sentence was told with its code before it."""
    hear_signals()
    os.umask(0o077)
    try:
        work(request)
    except Trouble as trouble:
        tell("cyborg [%s]: %s" % (trouble.code, trouble.sentence))
        return 1
    except BrokenPipeError:
        tell("cyborg [canceled]: Whoever read the stream has gone.")
        return 1
    except Ended:
        tell("cyborg [canceled]: Ended by a signal.")
        return 1
    return 0
