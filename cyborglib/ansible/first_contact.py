"""The key that a host shows in a connection which carries nothing secret, for a host whose key nobody has pinned."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..errors import ErrorCode, JobError
from ..executor import Host
from ..sealing import fingerprint
from .failures import Unknown, called, classify, who
from .ssh import Pins, alias, destination, login_arguments, run, ssh_arguments, version

#: Nobody logs in: the connection ends when the host has shown its key.
NO_LOGIN = (
    "-o", "PreferredAuthentications=none", "-o", "PubkeyAuthentication=no", "-o", "GSSAPIAuthentication=no",
    "-o", "HostbasedAuthentication=no", "-o", "PasswordAuthentication=no", "-o", "KbdInteractiveAuthentication=no",
)  # fmt: skip
#: A host has a key of each of some types, and shows the one that is asked for.
_TYPES = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256,ecdsa-sha2-nistp384,ecdsa-sha2-nistp521",
    "rsa-sha2-512,rsa-sha2-256",
)


def accept(host: Host, folder: Path, connect_timeout: int) -> str:
    """The key that the host shows, at its word. Raises `Unknown`."""
    done, key = contact(host, folder, connect_timeout)
    # A login that is refused has shown the key all the same: where nobody logs in (a host that takes Borg alone),
    # that is as much as there is, and where somebody has to, the run itself says why it cannot.
    if not key:
        raise _showed_none(host, done)
    return key


def of_fingerprint(host: Host, folder: Path, connect_timeout: int) -> str:
    """The key of the host that has the fingerprint asked for. Raises `Unknown`: no other one is ever taken."""
    done, key = contact(host, folder, connect_timeout, NO_LOGIN)
    shown = []
    if not key:
        raise _showed_none(host, done)
    for types in (None, *_TYPES):
        if types is not None:
            _done, key = contact(host, folder, connect_timeout, (*NO_LOGIN, "-o", f"HostKeyAlgorithms={types}"))
        if key and fingerprint(key) == host.fingerprint:
            return key
        if key and fingerprint(key) not in shown:
            shown.append(fingerprint(key))
    raise Unknown(
        JobError(
            ErrorCode.HOST_KEY_CHANGED,
            f"{who(host)} shows an ssh host key of the fingerprint {' or '.join(shown)}, not {host.fingerprint}, which "
            "was given for it, so nothing was done there. Somebody may be in between. Compare both with what "
            "`ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` prints on the host itself; if the one given was wrong, "
            f"give the right one by cyborg.trust({called(host)}, 'SHA256:…').",
        )
    )


def contact(
    host: Host, folder: Path, connect_timeout: int, options: Sequence[str] = ()
) -> tuple[subprocess.CompletedProcess[str], str]:
    """Connect, and give what ssh said and the key that the host showed; "" if it showed none."""
    file = folder / f"first-{alias(host)}"
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    arguments = ssh_arguments(
        Pins(known_hosts=file, sockets=folder, version=version()),
        host,
        connect_timeout=connect_timeout,
        checking="accept-new",
        known_hosts=file,
    )
    argv = ["ssh", *options, *arguments, *login_arguments(host), "--", destination(host), "true"]
    done = run(argv, connect_timeout + 30)
    lines = [line.split() for line in file.read_text().splitlines()]
    found = [words[1:3] for words in lines if len(words) >= 3 and words[0] == alias(host)]
    return done, " ".join(found[0]) if len(found) == 1 else ""


def _showed_none(host: Host, done: subprocess.CompletedProcess[str]) -> Unknown:
    if done.returncode == 255:
        return Unknown(classify(done.stderr, host, unreachable=True))
    return Unknown(
        JobError(
            ErrorCode.HOST_KEY_UNKNOWN,
            f"{who(host)} let ssh in, but showed no key of its own that could be pinned; give it as host_key=.",
        )
    )
