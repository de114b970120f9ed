"""A first key that a host certificate vouches for, whose authority the user's known_hosts names for that host.

ssh shows the certificate to a command of ours and then gives up, before anybody logs in; it is judged here, and not by
what ssh says of it, as words of the other side may be among those.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from ..errors import ErrorCode, Invalid, JobError
from ..executor import Host
from ..sealing import certified_key
from .failures import Unknown, classify, who
from .first_contact import NO_LOGIN
from .known_hosts import Known
from .ssh import Pins, alias, destination, login_arguments, run, ssh_arguments, version

#: The first OpenSSH that can be told to run a command for what a host shows.
_NEEDED = (8, 5)
_TYPES = ",".join(
    f"{kind}-cert-v01@openssh.com"
    for kind in (
        "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "rsa-sha2-512",
        "rsa-sha2-256",
    )
)  # fmt: skip
_PLAIN_PATH = re.compile(r"[A-Za-z0-9@+=:,./_-]+")


def vouched(host: Host, known: Known, folder: Path, connect_timeout: int) -> str:
    """The key that an authority vouches for. Raises `Unknown`, if there is none that could be believed."""
    if version() < _NEEDED:
        raise _unknown(host, f"to check that, OpenSSH {_NEEDED[0]}.{_NEEDED[1]} or later is needed on this machine")
    shown = folder / f"certificate-{alias(host)}"
    if not _PLAIN_PATH.fullmatch(str(shown)):
        raise _unknown(host, f"that cannot be checked from the folder {folder}, whose name ssh would take apart")
    shown.unlink(missing_ok=True)
    nobody = folder / f"nobody-{alias(host)}"
    nobody.touch(mode=0o600)
    # It names no key, so ssh knows none, and ends.
    command = f"/bin/sh -c 'umask 077; [ \"$1\" != HOSTNAME ] || echo \"$2 $3\" > \"$0\"' {shown} %I %t %K"
    arguments = ssh_arguments(
        Pins(known_hosts=nobody, sockets=folder, version=version()),
        host,
        connect_timeout=connect_timeout,
        known_hosts=nobody,
    )
    # That there is no certificate is said at this level only.
    first = ["-o", f"KnownHostsCommand={command}", "-o", f"HostKeyAlgorithms={_TYPES}", "-o", "LogLevel=INFO"]
    argv = ["ssh", *first, *NO_LOGIN, *arguments, *login_arguments(host), "--", destination(host), "true"]
    done = run(argv, connect_timeout + 30)
    if not shown.exists():
        if "no matching host key type" in done.stderr:
            raise _unknown(host, "but it shows no certificate")
        raise Unknown(classify(done.stderr, host, unreachable=True))
    try:
        return certified_key(
            shown.read_text().strip(),
            names=known.names,
            authorities=known.authorities,
            revoked=known.revoked,
            at=datetime.now(UTC),
        )
    except Invalid as error:
        raise _unknown(host, f"but {error}") from error


def _unknown(host: Host, why: str) -> Unknown:
    return Unknown(
        JobError(
            ErrorCode.HOST_KEY_UNKNOWN,
            f"Your known_hosts names an authority that vouches for the ssh host key of {who(host)} "
            f"(@cert-authority); {why}. See to that, or give the key itself as host_key= (it is in "
            "/etc/ssh/ssh_host_ed25519_key.pub there).",
        )
    )
