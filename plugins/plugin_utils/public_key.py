# SPDX-License-Identifier: GPL-3.0-or-later
"""A public key that a host returned. It goes into authorized_keys, so nothing of it is believed but type and key."""

from __future__ import annotations

import base64
import binascii
import re
import struct

from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

#: A file with more than one short line is none that ssh-keygen made.
LIMIT = 2048

_LINE = re.compile(
    r"(?P<kind>ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|sk-ssh-ed25519@openssh\.com"
    r"|sk-ecdsa-sha2-nistp256@openssh\.com) (?P<body>[A-Za-z0-9+/]{40,800}={0,2})(?: [\x20-\x7e]{0,256})?\n?"
)


def reduced(content, whose):
    """ "type base64" of the one line that a public key file holds; its comment is dropped.

    :param content: the file's text
    :param whose: the host, for the message
    :raises Failure: ``hostile_answer`` for anything else: a second line, options before the key, control characters,
        a body that is not a key of the type it claims
    """
    found = _LINE.fullmatch(content) if isinstance(content, str) and len(content) <= LIMIT else None
    if found is None or not _is_key(found["kind"], found["body"]):
        raise Failure(
            "hostile_answer",
            "What %s returned as its public key is not one plain key, as ssh-keygen writes it; nothing of it was used. "
            "If that host is not in strange hands, remove the key pair there, and a new one is made." % whose,
        )
    return "%s %s" % (found["kind"], found["body"])


def _is_key(kind, body):
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return False
    fields = _fields(data)
    if not fields or fields[0] != kind.encode("ascii"):
        return False
    if kind == "ssh-ed25519":
        return len(fields) == 2 and len(fields[1]) == 32
    return 3 <= len(fields) <= 4 and all(0 < len(field) <= 200 for field in fields)


def _fields(data):
    """The length-prefixed fields of a key; [] if it is not made of them exactly."""
    fields = []
    while data:
        if len(data) < 4:
            return []
        (length,) = struct.unpack(">I", data[:4])
        if length > len(data) - 4:
            return []
        fields.append(data[4 : 4 + length])
        data = data[4 + length :]
    return fields
