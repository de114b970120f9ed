"""Where a Borg repository lies: a text taken apart, checked, and put together again from its parts."""

from __future__ import annotations

import re
from urllib.parse import quote

from attrs import evolve, frozen

from ..errors import Invalid
from .fields import check_account, check_host, check_plain

_URL = re.compile(r"ssh://(?:(?P<user>[^@/]*)@)?(?P<host>\[[^\]]*\]|[^:/]*)(?::(?P<port>[^/]*))?(?P<path>/.*)")
_SCP = re.compile(r"(?:(?P<user>[^@/:]*)@)?(?P<host>[^:/@]+):(?P<path>.+)")
CLIENT = "{client}"


@frozen
class Location:
    """A folder on the client itself (no host), or a folder behind ssh.

    A path that begins with `/./` or `/~/` is relative to the account's home, as Borg has it.
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
        what = "the repository path"
        plain = check_plain(what, text)
        if plain.startswith("/"):
            return cls(path=_checked_path(plain, plain))
        if found := _URL.fullmatch(plain):
            path = found["path"]
        elif "://" not in plain and (found := _SCP.fullmatch(plain)):
            path = found["path"] if found["path"].startswith("/") else "/./" + found["path"]
        else:
            raise Invalid(
                f"{what} {plain!r} cannot be read; give a folder on the client (/srv/backup), user@host:path, "
                "or ssh://user@host:port/path"
            )
        parts = found.groupdict()
        port = parts.get("port")
        if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise Invalid(f"{what} {plain!r} has the port {port!r}; a port is a number from 1 to 65535")
        if parts["user"] is not None:
            check_account(f"the account in {what} {plain!r},", parts["user"])
        return cls(
            path=_checked_path(path, plain),
            host=check_host(f"the host in {what} {plain!r},", parts["host"].strip("[]")),
            user=parts["user"] or "",
            port=int(port) if port else None,
        )

    @property
    def local(self) -> bool:
        """True for a folder on the client itself."""
        return not self.host

    @property
    def per_client(self) -> bool:
        """True if each client has a repository of its own here."""
        return self.local or CLIENT in self.path

    def expand(self, client: str) -> Location:
        """The location for one client, named as in the path."""
        return evolve(self, path=self.path.replace(CLIENT, client))

    def __str__(self) -> str:
        """What Borg is given: the path, or an ssh:// address."""
        if self.local:
            return self.path
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"ssh://{user}{host}{port}{self.path}"


def _checked_path(path: str, text: str) -> str:
    rest = path.replace(CLIENT, "client")
    reason = ""
    if "{" in rest or "}" in rest:
        reason = "braces other than {client} mean something to Borg"
    elif "::" in rest:
        reason = "'::' separates a repository from an archive"
    elif any(letter in rest for letter in "'\"\\`$"):
        reason = "quotes, backslashes and '$' are not taken"
    elif ".." in rest.split("/"):
        reason = "'..' could lead out of its folder"
    elif quote(rest, safe="/~") == "/" or not rest.strip("/"):
        reason = "it names the root folder itself"
    elif any(part.startswith("-") for part in rest.split("/")):
        reason = "no part of it may begin with a dash"
    if reason:
        raise Invalid(f"the repository path {text!r} cannot be used: {reason}")
    return path.rstrip("/")
