"""How ssh is called. Whatever the user's configuration says, what is here holds; the rest of it stays in force.

The user's configuration still decides over jump hosts, accounts, ports and keys. ssh takes the first value it
is given for an option, so these stand before everything else.
"""

from __future__ import annotations

import functools
import hashlib
import os
import re
import subprocess
from pathlib import Path

from attrs import frozen

from ..executor import Host

#: Seconds that a connection stays open after its last use, so that the next job or run finds it warm.
PERSIST = 120
#: OpenSSH learned KnownHostsCommand with this version; an older one refuses the word.
_KNOWS_COMMAND = (8, 5)


@frozen(kw_only=True)
class Pins:
    """What a connection is checked against, and how it is shared."""

    #: A file in the format of known_hosts that holds our pins and nothing else.
    known_hosts: Path
    #: The folder, ours alone, in which masters of shared connections have their sockets.
    sockets: Path
    version: tuple[int, int]


def ssh_arguments(
    pins: Pins, host: Host, *, connect_timeout: int, checking: str = "yes", known_hosts: Path | None = None
) -> list[str]:
    """The options of every ssh call of ours.

    `checking` other than "yes" is for a first contact, which has a file of its own and is never shared.
    """
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": checking,
        "UserKnownHostsFile": str(known_hosts or pins.known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": alias(host),
        "HashKnownHosts": "no",
        "CheckHostIP": "no",
        "UpdateHostKeys": "no",
        "VerifyHostKeyDNS": "no",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ClearAllForwardings": "yes",
        "Tunnel": "no",
        "PermitLocalCommand": "no",
        "RemoteCommand": "none",
        "RequestTTY": "no",
        # Takes nothing away from what a configuration read later names: what keeps secrets out of there is that
        # the environment ssh gets holds none.
        "SendEnv": "-*",
        "ConnectTimeout": str(connect_timeout),
        "ServerAliveInterval": "15",
        "ServerAliveCountMax": "3",
        "LogLevel": "ERROR",
    }
    if pins.version >= _KNOWS_COMMAND:
        options["KnownHostsCommand"] = "none"
    if known_hosts is None:
        options["ControlMaster"] = "auto"
        options["ControlPersist"] = str(PERSIST)
        options["ControlPath"] = str(pins.sockets / socket_name(host))
    else:
        options["ControlMaster"] = "no"
        options["ControlPath"] = "none"
    return [part for name, value in options.items() for part in ("-o", f"{name}={value}")]


def alias(host: Host) -> str:
    """The name that our pins are kept under: never one that a host or a user chose."""
    return f"cyborg-{host.key_of or host.name}"


def destination(host: Host) -> str:
    """What ssh is told to connect to."""
    return host.address or host.title or host.name


def socket_name(host: Host) -> str:
    """The name of a shared connection's socket. Another key, account or address never gets the same one."""
    parts = (destination(host), str(host.port), str(host.user), host.key_of, host.host_key)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def known_hosts_line(host: Host) -> str:
    """A host's pin as a line of known_hosts."""
    return f"{alias(host)} {' '.join(host.host_key.split()[:2])}\n"


@functools.cache
def version() -> tuple[int, int]:
    """The version of the ssh client here, (0, 0) if it does not say."""
    said = subprocess.run(["ssh", "-V"], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    found = re.search(r"OpenSSH[^0-9]*(\d+)\.(\d+)", said.stderr + said.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def login_arguments(host: Host) -> list[str]:
    """Port and account, where the library was told; else the user's configuration decides."""
    return [
        *(["-o", f"Port={host.port}"] if host.port else []),
        *(["-o", f"User={host.user}"] if host.user else []),
    ]


def run(argv: list[str], timeout: int = 30) -> subprocess.CompletedProcess[str]:
    """Run ssh or one of its tools, with nothing in the environment but what it needs; late is like unreachable."""
    environment = {name: os.environ[name] for name in ("HOME", "PATH", "SSH_AUTH_SOCK", "USER") if name in os.environ}
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=timeout,
            check=False, env={**environment, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 255, "", f"no answer within {timeout} seconds")
