"""A host to back up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from attrs import field, frozen

from ..errors import Invalid
from ..secret import Secret, as_secret
from .fields import (
    EXECUTES,
    SEALED,
    as_ids,
    as_texts,
    as_utc,
    check_account,
    check_host,
    check_name,
    checked,
    observed,
    one_of,
    optional,
    truth,
    whole_number,
)
from .variables import Variables, as_variables

#: The host variables that anybody who may write a client may set, and what each means.
HOST_VARIABLES = {
    "interpreter": "the path of Python on the client, where `python3` is not the right one",
    "become_method": "sudo, su or doas",
    "become_user": "the account to become, root unless given",
}
_METHODS = ("sudo", "su", "doas")


def _host_variables(values: Mapping[str, Any] | None) -> Variables:
    variables = as_variables(values)
    for name, value in variables.items():
        if name not in HOST_VARIABLES:
            raise Invalid(
                f"the host variable {name!r} is not taken; known are {', '.join(HOST_VARIABLES)}. Any Ansible "
                "variable can be given as trusted_vars=, by code that is trusted to decide what runs here"
            )
        if not isinstance(value, str) or not value:
            raise Invalid(f"the host variable {name!r} must be a text")
        if name == "become_method" and value not in _METHODS:
            raise Invalid(f"become_method {value!r} is not known; choose one of {', '.join(_METHODS)}")
        if name == "become_user":
            check_account("become_user", value)
        if name == "interpreter" and not (value.startswith("/") and value.isprintable() and " " not in value):
            raise Invalid(f"interpreter {value!r} must be the full path of Python, like /usr/bin/python3")
    return variables


def _trusted(values: Any) -> tuple[tuple[str, str], ...]:
    """Pairs of texts, sorted: kept apart from `Variables`, which refuses `ansible_*` names."""
    return tuple(sorted((str(name), str(value)) for name, value in dict(values or {}).items()))


def check_key_line(_instance: Any, _attribute: Any, value: object) -> None:
    parts = value.split() if isinstance(value, str) else []
    if value and (len(parts) < 2 or "\n" in str(value)):
        raise Invalid(f"the host key {value!r} must be one line of type and key, like 'ssh-ed25519 AAAA…'")


@frozen
class Client:
    """A host to back up, called by its hostname.

    With connection="ssh" it is reached by the controller's own ssh, whose configuration (`~/.ssh/config`)
    fills what is None here; with "local" it is this machine. `become` None means: sudo where the login is
    not root. `bandwidth_limit` is in KiB/s, for what the client sends.

    `host_vars` takes only what cannot run anything on the controller (see `HOST_VARIABLES`);
    `trusted_vars` takes any Ansible variable, as it stands, so it is as powerful as code.
    """

    hostname: str = field(validator=checked(check_host, "the hostname"))
    connection: str = field(default="ssh", kw_only=True, validator=one_of("connection", ("ssh", "local")), metadata={EXECUTES: True})
    address: str = field(default="", kw_only=True, validator=optional(check_host, "address"), metadata={EXECUTES: True})
    port: int | None = field(default=None, kw_only=True, validator=whole_number("port", least=1, most=65535, none=True))
    user: str | None = field(default=None, kw_only=True, validator=optional(check_account, "user"))
    become: bool | None = field(default=None, kw_only=True, validator=truth("become", none=True))
    become_password: Secret | None = field(default=None, kw_only=True, converter=as_secret, metadata={SEALED: True})
    host_vars: Variables = field(default=None, kw_only=True, converter=_host_variables, metadata={EXECUTES: True})
    trusted_vars: tuple[tuple[str, str], ...] = field(
        default=(), kw_only=True, converter=_trusted, repr=False, metadata={EXECUTES: True}
    )
    tags: tuple[str, ...] = field(default=(), kw_only=True, converter=as_texts)
    bandwidth_limit: int | None = field(default=None, kw_only=True, validator=whole_number("bandwidth_limit", least=1, none=True))
    enabled: bool = field(default=True, kw_only=True, validator=truth("enabled"))

    id: int | None = observed()
    revision: int = observed(0)
    ready: bool = observed(False)
    ip: str = observed("")
    borg_version: str = observed("")
    facts: Variables = observed(None, converter=as_variables)
    #: The pinned ssh host key ("ssh-ed25519 AAAA…"); may be given to `add`.
    host_key: str = observed("", validator=check_key_line)
    #: The client's own ssh key, made at preparation ("ssh-ed25519 AAAA…").
    public_key: str = observed("")
    prepared_at: datetime | None = observed(converter=as_utc)
    #: The ids of the vaults that a key of this client opens.
    access: tuple[int, ...] = observed((), converter=as_ids)

    @tags.validator
    def _check_tags(self, _attribute: Any, value: tuple[str, ...]) -> None:
        for tag in value:
            check_name("the tag", tag)

    @property
    def name(self) -> str:
        """The hostname: a client has no other name."""
        return self.hostname
