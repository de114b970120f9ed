"""What ssh, sudo and Ansible say, as codes with sentences."""

from __future__ import annotations

import pytest

from cyborglib.ansible.failures import classify
from cyborglib.errors import ErrorCode
from cyborglib.executor import Host

HOST = Host(name="job-1", address="192.0.2.1", title="web1", key_of="client-3")
SSH = "Failed to connect to the host via ssh: "
DATA = 'Data could not be sent to remote host "192.0.2.1". Make sure this host can be reached over ssh: '


@pytest.mark.parametrize(
    ("text", "unreachable", "code"),
    [
        (SSH + "@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@", True, ErrorCode.HOST_KEY_CHANGED),
        (DATA + "Host key verification failed.", True, ErrorCode.HOST_KEY_CHANGED),
        (SSH + "No ED25519 host key is known for cyborg-client-3 and you have requested strict checking.", True,
         ErrorCode.HOST_KEY_CHANGED),
        (SSH + "ann@192.0.2.1: Permission denied (publickey,password).", True, ErrorCode.AUTH_FAILED),
        (SSH + "Received disconnect from 192.0.2.1 port 22:2: Too many authentication failures", True,
         ErrorCode.AUTH_FAILED),
        (SSH + "ssh: connect to host 192.0.2.1 port 22: Connection refused", True, ErrorCode.UNREACHABLE),
        (SSH + "ssh: Could not resolve hostname web1: Name or service not known", True, ErrorCode.UNREACHABLE),
        (SSH + "ssh: connect to host 192.0.2.1 port 22: Connection timed out", True, ErrorCode.UNREACHABLE),
        (SSH + "kex_exchange_identification: Connection closed by remote host", True, ErrorCode.UNREACHABLE),
        ("", True, ErrorCode.UNREACHABLE),
        ("Missing sudo password", False, ErrorCode.BECOME_FAILED),
        ("Incorrect sudo password", False, ErrorCode.BECOME_FAILED),
        ("Incorrect su password", False, ErrorCode.BECOME_FAILED),
        ("sudo: a password is required", False, ErrorCode.BECOME_FAILED),
        ("/bin/sh: 1: sudo: not found", False, ErrorCode.BECOME_FAILED),
        ("ann is not in the sudoers file.  This incident will be reported.", False, ErrorCode.BECOME_FAILED),
        ("Timeout (12s) waiting for privilege escalation prompt: ", True, ErrorCode.BECOME_FAILED),
        ("Premature end of stream waiting for become success.\\n>>> Standard Error\\nsudo: x", False,
         ErrorCode.BECOME_FAILED),
        ("A worker was found in a dead state", False, ErrorCode.INTERNAL),
        ("", False, ErrorCode.INTERNAL),
    ],
)  # fmt: skip
def test_codes(text: str, unreachable: bool, code: ErrorCode) -> None:
    error = classify(text, HOST, unreachable=unreachable)
    assert error.code is code
    assert error.message


def test_a_changed_key_says_what_to_do() -> None:
    message = classify("Host key verification failed", HOST, unreachable=True).message
    assert "web1" in message
    assert "cyborg.trust(cyborg.clients.get(3))" in message
    other = Host(name="r", address="nas", key_of="repository-1")
    assert (
        "cyborg.trust(cyborg.repositories.get(1))"
        in classify("Host key verification failed", other, unreachable=True).message
    )


def test_hostile_text_is_harmless() -> None:
    message = classify("\x1b[2J" + "x" * 10_000, HOST, unreachable=False).message
    assert "\x1b" not in message
    assert len(message) < 1000
