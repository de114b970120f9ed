"""Had anything begun on the host, or could it have? A start that may have arrived is asked for, never sent twice."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.cyborg.backup.plugins.plugin_utils.ssh_words import moment_of

from tests.conftest import HostFactory
from tests.lab import Host, Lab

BEFORE = [
    "ssh: connect to host web1 port 22: Connection refused",
    "ssh: connect to host web1 port 22: No route to host",
    "ssh: connect to host web1 port 22: Connection timed out",
    "ssh: Could not resolve hostname web1: Name or service not known",
    "kex_exchange_identification: read: Connection reset by peer\r\nConnection reset by 10.0.0.1 port 22",
    "kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 10.0.0.1 port 22",
    "Connection timed out during banner exchange",
    "Connection closed by 10.0.0.1 port 22",
    "Connection reset by authenticating user root 10.0.0.1 port 22 [preauth]",
    "root@web1: Permission denied (publickey).",
    "Received disconnect from 10.0.0.1 port 22:2: Too many authentication failures",
    "No ED25519 host key is known for cyborg-1 and you have requested strict checking.",
    "Host key verification failed.",
    "Unable to negotiate with 10.0.0.1 port 22: no matching key exchange method found.",
    "Timeout (12s) waiting for privilege escalation prompt: ",
]
AFTER = [
    "client_loop: send disconnect: Broken pipe",
    "Connection to web1 closed by remote host.",
    "Read from remote host web1: Connection reset by peer\r\nConnection to web1 closed.",
    "Timeout, server web1 not responding.",
    "Shared connection to web1 closed.",
    "mux_client_request_session: read from master failed: Broken pipe",
]


def failure(text: str) -> AnsibleConnectionFailure:
    said = f'Data could not be sent to remote host "web1". Make sure this host can be reached over ssh: {text}'
    return AnsibleConnectionFailure(said)


@pytest.mark.parametrize(
    ("text", "moment"), [*((text, "before") for text in BEFORE), *((text, "after") for text in AFTER), ("", "unknown")]
)
def test_words(text: str, moment: str) -> None:
    assert moment_of(failure(text)) == moment


def test_a_program_that_was_not_taken_never_ran() -> None:
    problem = AnsibleConnectionFailure("Data could not be sent to remote host 'web1'.")
    problem.__cause__ = BrokenPipeError()
    assert moment_of(problem) == "before"


@pytest.mark.hosts
def test_what_this_machines_ssh_says(lab: Lab, host_factory: HostFactory, tmp_path: Path) -> None:
    host = host_factory("web1")
    text = said(lab, host, "kill -9 $PPID; sleep 30")
    assert moment_of(failure(text)) == "after", text
    text = said(lab, host, "true", "-l", "nobody")
    assert moment_of(failure(text)) == "before", text
    host.stop()
    assert moment_of(failure(said(lab, host, "true"))) == "before"


def said(lab: Lab, host: Host, command: str, *options: str) -> str:
    """What ssh says where it ends with 255."""
    argv = ["ssh", "-F", str(lab.ssh_config_file), *options, host.name, command]
    done = subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 255, done
    return done.stderr
