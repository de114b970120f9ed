# SPDX-License-Identifier: GPL-3.0-or-later
"""How an action of this collection fails: with a code that the library knows and a sentence for people."""

from __future__ import annotations


class Failure(Exception):
    """The task cannot be done. ``code`` is one of the library's error codes (``source_missing``, …), the
    message is a sentence that says what to do next, ``details`` go into the task's result as they are."""

    def __init__(self, code, message, **details):
        super().__init__(message)
        self.code = code
        self.message = " ".join(str(message).split())
        self.details = details
        #: What the job amounted to nevertheless (archives, stats, warnings), as the library is told it.
        self.outcome = {}

    def result(self):
        """The task's result."""
        return dict(
            self.details,
            failed=True,
            msg=self.message,
            cyborg_error={"code": self.code, "message": self.message},
        )


class Canceled(Failure):
    """Somebody asked for the job to be canceled, and nothing of it runs any more."""

    def __init__(self, message="The job was canceled."):
        super().__init__("canceled", message)
