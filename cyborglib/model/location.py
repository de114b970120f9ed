"""Where a Borg repository lies: a text taken apart, checked, and put together again from its parts."""

from __future__ import annotations

import re

from attrs import evolve, frozen

from ..errors import Invalid
from .fields import check_account, check_host, check_plain, shown

_HOST = r"(?P<host>\[[0-9A-Fa-f:.]*\]|[^\[\]:/@]+)"
_URL = re.compile(rf"ssh://(?:(?P<user>[^@/]*)@)?{_HOST}(?::(?P<port>[^/]*))?(?P<path>/.*)")
_SCP = re.compile(rf"(?:(?P<user>[^@/:]*)@)?{_HOST}:(?P<path>.+)")
_PORT = re.compile(r"[0-9]{1,5}")
CLIENT = "{client}"
_WHAT = "the repository path"


@frozen
class Location:
    """A folder on the client itself (no host), or a folder behind ssh. Made by `parse`, which checks it.

    Behind ssh a path that begins with `/./` is relative to where the login lands, and one that begins with
    `/~/` or `/~name/` to an account's home, as Borg has it. All else in it is in its plainest form, so that
    two texts for the same folder are the same location.
    """

    path: str
    host: str = ""
    user: str = ""
    port: int | None = None

    @classmethod
    def parse(cls, text: object) -> Location:
        """Take a repository's path apart: `/folder`, `user@host:path` or `ssh://user@host:port/path`.

        Raises `Invalid` for anything that could be read as an option, a pattern or a placeholder.
        """
        plain = check_plain(_WHAT, text)
        if plain.startswith("/"):
            return cls(path=_checked_path(plain, plain, remote=False))
        if found := _URL.fullmatch(plain):
            path = found["path"]
        elif "://" not in plain and (found := _SCP.fullmatch(plain)):
            path = found["path"]
            if not path.startswith("/"):
                path = f"/{path}" if path.startswith("~") else f"/./{path}"
        else:
            raise Invalid(
                f"{_WHAT} {shown(plain)} cannot be read; give a folder on the client (/srv/backup), user@host:path, "
                "or ssh://user@host:port/path"
            )
        user, host, port = found["user"], found["host"], found.groupdict().get("port")
        if user is not None and ":" in user:
            raise Invalid(f"{_WHAT} names a password before its host, which ssh does not take: use a key instead")
        if user is not None:
            check_account(f"the account in {_WHAT} {shown(plain)},", user)
        if port is not None and not (_PORT.fullmatch(port) and 0 < int(port) < 65536):
            raise Invalid(f"{_WHAT} {shown(plain)} has the port {shown(port)}; a port is a number from 1 to 65535")
        bare = host.strip("[]")
        check_host(f"the host in {_WHAT} {shown(plain)},", bare)
        if (":" in bare) != host.startswith("["):
            raise Invalid(f"{_WHAT} {shown(plain)} cannot be used: brackets belong around IPv6 addresses, only there")
        return cls(
            path=_checked_path(path, plain, remote=True), host=bare, user=user or "", port=int(port) if port else None
        )

    @property
    def local(self) -> bool:
        """True for a folder on the client itself."""
        return not self.host

    @property
    def per_client(self) -> bool:
        """True if each client has a repository of its own here."""
        return self.local or CLIENT in self.path

    @property
    def absolute(self) -> bool:
        """True unless the path is relative to a home."""
        return self.local or not self.path.startswith(("/./", "/~"))

    def expand(self, client: str) -> Location:
        """The location for one client, named as in the path. The colons of an IPv6 address become dashes."""
        return evolve(self, path=self.path.replace(CLIENT, client.replace(":", "-")))

    def __str__(self) -> str:
        """What Borg is given: the path, or an ssh:// address."""
        if self.local:
            return self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"ssh://{user}{host}{port}{self.path}"


def _checked_path(path: str, text: str, *, remote: bool) -> str:
    rest = path.replace(CLIENT, "client")
    start = "/"
    if remote and rest.startswith("/./"):
        start = "/./"
    elif remote and rest.startswith("/~"):
        start = path[: path.find("/", 1) + 1] or path
    parts = [part for part in path[len(start) :].split("/") if part not in ("", ".")]
    home = start.strip("/.~")
    reason = ""
    if "{" in rest or "}" in rest:
        reason = "braces other than {client} mean something to Borg"
    elif "::" in rest or rest.endswith(":"):
        reason = "'::' separates a repository from an archive"
    elif any(letter in rest for letter in "'\"\\`$"):
        reason = "quotes, backslashes and '$' are not taken"
    elif ".." in parts:
        reason = "'..' could lead out of its folder"
    elif not parts:
        reason = "it names the root folder or a home itself; add a folder"
    elif any(part.startswith("-") for part in parts):
        reason = "no part of it may begin with a dash"
    elif any(part != part.strip() for part in parts):
        reason = "no part of it may begin or end with a blank"
    if reason:
        raise Invalid(f"{_WHAT} {shown(text)} cannot be used: {reason}")
    if home:
        check_account(f"the account whose home {_WHAT} {shown(text)} names,", home)
    return start + "/".join(parts)
