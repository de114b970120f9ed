"""What the user's own known_hosts says of a host, looked up as the user's ssh would."""

from __future__ import annotations

import os
from collections.abc import Iterable

from attrs import frozen

from ..errors import ErrorCode, JobError
from ..executor import Host
from ..sealing import fingerprint
from .failures import Unknown, who
from .ssh import destination, login_arguments, run
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
_AUTHORITY, _REVOKED = "@cert-authority", "@revoked"


@frozen
class Known:
    """What stands there of one host; keys are texts of type and base64."""

    #: What the host is called there, and what a certificate has to call it.
    names: tuple[str, ...]
    #: Its own keys, the best first.
    keys: tuple[str, ...]
    #: Those that sign host certificates for it, and those that are never taken, whosever they are.
    authorities: tuple[str, ...]
    revoked: tuple[str, ...]

    def key(self, host: Host) -> str:
        """The key to pin, "" if none is there: the best, or that of the fingerprint asked for. Raises `Unknown`."""
        wanted = host.fingerprint
        for key in self.keys:
            if wanted and fingerprint(key) != wanted:
                continue
            if key in self.revoked:
                raise Unknown(
                    JobError(
                        ErrorCode.HOST_KEY_CHANGED,
                        f"The ssh host key of {who(host)} is marked as revoked in known_hosts. Find out why; then give "
                        "its new key as host_key=.",
                    )
                )
            return key
        return ""


def look(host: Host) -> Known:
    """Read it. Raises `Unknown` where the user's ssh configuration cannot be read."""
    files: list[str] = []
    names: list[str] = []
    places: list[str] = []
    for called in dict.fromkeys(filter(None, (destination(host), host.title))):
        settings = _settings(called, host)
        name = settings.get("hostkeyalias") or settings.get("hostname", called)
        port = settings.get("port", "22")
        names.append(name)
        places.append(name if port == "22" else f"[{name}]:{port}")
        for option in ("userknownhostsfile", "globalknownhostsfile"):
            files += settings.get(option, "").split()
    lines = _lines(dict.fromkeys(places), dict.fromkeys(files))
    # An authority is looked for without the port as well, as ssh does.
    more = _lines(dict.fromkeys(name for name in names if name not in places), dict.fromkeys(files))
    marked = [words for words in (*lines, *more) if words[0].startswith("@") and len(words) > 3]
    found = {words[1]: words[2] for words in lines if not words[0].startswith("@") and len(words) > 2}
    return Known(
        names=tuple(dict.fromkeys(names)),
        keys=tuple(f"{kind} {found[kind]}" for kind in _PREFERRED if kind in found),
        authorities=tuple(dict.fromkeys(f"{words[2]} {words[3]}" for words in marked if words[0] == _AUTHORITY)),
        revoked=tuple(dict.fromkeys(f"{words[2]} {words[3]}" for words in marked if words[0] == _REVOKED)),
    )


def _settings(called: str, host: Host) -> dict[str, str]:
    """What the user's ssh configuration says of a host."""
    done = run(["ssh", "-G", *login_arguments(host), "--", called])
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
            for line in run(["ssh-keygen", "-F", name, "-f", path]).stdout.splitlines():
                words = line.split()
                if words and not line.startswith("#"):
                    found.append(words)
    return found
