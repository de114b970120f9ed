# SPDX-License-Identifier: GPL-3.0-or-later
"""What ssh's words say of a connection that was lost: had anything begun on the host, or could it have?"""

from __future__ import annotations

import re

#: OpenSSH's words (also of older releases) for what ends a connection before anything runs on the host, and Ansible's
#: for a user who may not become root there.
_BEFORE = re.compile(
    r"kex_exchange_identification|ssh_exchange_identification|banner exchange|ssh_dispatch_run_fatal"
    r"|connect to host|Could not resolve|Permission denied|authentication failures|authentication methods"
    r"|Host key verification failed|HOST IDENTIFICATION HAS CHANGED|host key is known for|Unable to negotiate"
    r"|no matching|Bad configuration option|Bad owner or permissions|terminating, \d+ bad configuration"
    # Of a connection that was in use ssh says "closed by remote host", or what it was doing.
    r"|Connection (?:closed|reset) by .* port \d+"
    r"|privilege escalation|become |[Pp]assword",
)
_AFTER = re.compile(
    r"client_loop|Read from remote host|closed by remote host|Timeout, server|[Cc]onnection to \S+ closed|mux_client"
    r"|Connection reset|Broken pipe",
)


def not_taken(problem):
    """True where the other end closed before it had taken the whole program."""
    return isinstance(problem.__cause__, BrokenPipeError)


def moment_of(problem):
    """Whether ssh's words say that a connection was lost "before" or "after" the host had let us in, or "unknown"."""
    text = str(problem)
    if not_taken(problem) or _BEFORE.search(text):
        return "before"
    return "after" if _AFTER.search(text) else "unknown"
