"""The first ssh host key of a host that none is pinned for: from the user's known_hosts, or from a first contact."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from attrs import frozen

from ..errors import ErrorCode, JobError
from ..executor import Host
from .failures import classify
from .ssh import Pins, alias, destination, login_arguments, ssh_arguments, version
from .texts import harmless

#: Which of several known keys is pinned: the one that ssh itself would prefer.
_PREFERRED = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
)


@frozen
class Found:
    """A host's first key; `accepted` if it was taken from the network."""

    host_key: str
    accepted: bool


class Unknown(Exception):
    """No key could be had; `error` is what the job fails with."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error


def find(host: Host, folder: Path, connect_timeout: int) -> Found:
    """The host's first key. Raises `Unknown`.

    It is looked up in the user's own known_hosts, as the user's ssh would. Only if it is not there, and the
    host may be taken at its word, a connection of its own is made that carries nothing secret.
    """
    known = _known(host)
    if known:
        return Found(known, accepted=False)
    if not host.accept_new:
        raise Unknown(
            JobError(
                ErrorCode.HOST_KEY_UNKNOWN,
                f"The ssh host key of {_who(host)} is not known. Log in once with ssh and compare its fingerprint, "
                "give it as host_key='ssh-ed25519 AAAA…', or allow it with settings.first_contact='accept'.",
            )
        )
    return Found(_accept(host, folder, connect_timeout), accepted=True)


def _who(host: Host) -> str:
    return host.title or destination(host)


def _known(host: Host) -> str:
    files: list[str] = []
    names: list[str] = []
    for called in dict.fromkeys(filter(None, (destination(host), host.title))):
        settings = _settings(called, host)
        name = settings.get("hostkeyalias") or settings.get("hostname", called)
        port = settings.get("port", "22")
        names.append(name if port == "22" else f"[{name}]:{port}")
        for option in ("userknownhostsfile", "globalknownhostsfile"):
            files += settings.get(option, "").split()
    return _chosen(host, _lines(dict.fromkeys(names), dict.fromkeys(files)))


def _settings(called: str, host: Host) -> dict[str, str]:
    """What the user's ssh configuration says of a host."""
    done = _run(["ssh", "-G", *login_arguments(host), "--", called])
    if done.returncode:
        raise Unknown(
            JobError(
                ErrorCode.BAD_ARGUMENTS,
                f"ssh cannot read its configuration for {called}: {harmless(done.stderr.strip(), 500)}",
            )
        )
    return dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)


def _lines(names: Iterable[str], files: Iterable[str]) -> list[list[str]]:
    """The known_hosts lines that name the host, hashed ones too, as lists of words."""
    found = []
    names = list(names)
    for file in files:
        path = os.path.expanduser(file)
        if not os.path.isfile(path):
            continue
        for name in names:
            # ssh-keygen ends with 1 where nothing was found.
            for line in _run(["ssh-keygen", "-F", name, "-f", path]).stdout.splitlines():
                words = line.split()
                if words and not line.startswith("#"):
                    found.append(words)
    return found


def _chosen(host: Host, lines: list[list[str]]) -> str:
    revoked = {words[3] for words in lines if words[0] == "@revoked" and len(words) > 3}
    keys = {words[1]: words[2] for words in lines if not words[0].startswith("@") and len(words) > 2}
    for kind in _PREFERRED:
        key = keys.get(kind)
        if key in revoked and key:
            raise Unknown(
                JobError(
                    ErrorCode.HOST_KEY_CHANGED,
                    f"The ssh host key of {_who(host)} is marked as revoked in known_hosts. Find out why; then give "
                    "its new key as host_key=.",
                )
            )
        if key:
            return f"{kind} {key}"
    if any(words[0] == "@cert-authority" for words in lines):
        raise Unknown(
            JobError(
                ErrorCode.HOST_KEY_UNKNOWN,
                f"The ssh host key of {_who(host)} is vouched for by a certificate authority, which this library does "
                "not follow. Give the key itself as host_key= (it is in /etc/ssh/ssh_host_ed25519_key.pub there).",
            )
        )
    return ""


def _accept(host: Host, folder: Path, connect_timeout: int) -> str:
    file = folder / f"first-{alias(host)}"
    file.touch(mode=0o600)
    arguments = ssh_arguments(
        Pins(known_hosts=file, sockets=folder, version=version()),
        host,
        connect_timeout=connect_timeout,
        checking="accept-new",
        known_hosts=file,
    )
    done = _run(["ssh", *arguments, *login_arguments(host), "--", destination(host), "true"], connect_timeout + 30)
    lines = [line.split() for line in file.read_text().splitlines()]
    found = [words[1:3] for words in lines if len(words) >= 3 and words[0] == alias(host)]
    # A login that is refused has shown the key all the same: where nobody logs in (a host that takes Borg alone),
    # that is as much as there is, and where somebody has to, the run itself says why it cannot.
    if len(found) != 1:
        if done.returncode == 255:
            raise Unknown(classify(done.stderr, host, unreachable=True))
        raise Unknown(
            JobError(
                ErrorCode.HOST_KEY_UNKNOWN,
                f"{_who(host)} let ssh in, but showed no key of its own that could be pinned; give it as host_key=.",
            )
        )
    return " ".join(found[0])


def _run(argv: list[str], timeout: int = 30) -> subprocess.CompletedProcess[str]:
    environment = {name: os.environ[name] for name in ("HOME", "PATH", "SSH_AUTH_SOCK", "USER") if name in os.environ}
    try:
        return subprocess.run(
            argv, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, timeout=timeout,
            check=False, env={**environment, "LC_ALL": "C.UTF-8"},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(argv, 255, "", f"no answer within {timeout} seconds")
