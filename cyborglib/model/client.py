"""A host to back up."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from attrs import Attribute, field, frozen

from ..errors import Invalid
from ..secret import Secret
from .fields import (
    EXECUTES,
    SEALED,
    as_id,
    as_ids,
    as_texts,
    as_utc,
    check_account,
    check_host,
    check_name,
    check_plain,
    checked,
    maybe_empty,
    observed,
    one_of,
    optional,
    secret_line,
    shown,
    truth,
    whole_number,
    wrapped_secret,
)
from .hostvars import as_host_variables
from .variables import Variables, as_variables

#: Ansible's variables that nobody may set, as they keep connections to the right host, checked and private.
OURS = frozenset(
    {
        "ansible_connection",
        "ansible_control_path",
        "ansible_control_path_dir",
        "ansible_host",
        "ansible_host_key_checking",
        "ansible_ssh_args",
        "ansible_ssh_common_args",
        "ansible_ssh_extra_args",
        "ansible_ssh_host_key_checking",
    }
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_KEY_LINE = re.compile(
    r"(ssh-(ed25519|rsa)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com)"
    r" [A-Za-z0-9+/]{1,4000}={0,3}"
)
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


def _host_vars(values: Mapping[str, Any] | None) -> Variables:
    return as_host_variables(
        "host_vars",
        values,
        ". Any Ansible variable can be given as trusted_vars=, by code that is trusted to decide what runs here",
    )


def _trusted(values: Mapping[str, str] | Iterable[tuple[str, str]] | None) -> tuple[tuple[str, str], ...]:
    """Pairs of texts, sorted: kept apart from `Variables`, which refuses `ansible_*` names."""
    try:
        pairs = dict(values or {}).items()
    except (TypeError, ValueError):
        raise Invalid("trusted_vars must be a mapping of Ansible's names to texts") from None
    found = []
    for name, value in pairs:
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise Invalid(f"trusted_vars: {shown(name)} is not the name of a variable, like ansible_python_interpreter")
        if name in OURS:
            raise Invalid(
                f"trusted_vars: {name} would change how the connection is checked; use the client's own fields "
                "(address, connection …), and ~/.ssh/config for the rest"
            )
        if not isinstance(value, str | int) or "\x00" in str(value):
            raise Invalid(f"trusted_vars: {name} must be a text, a whole number, True or False")
        found.append((name, str(value)))
    return tuple(sorted(found))


def _tags(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(as_texts(values, "tags")))


def as_key_line(value: str) -> str:
    """A line of a public key as type and base64: the comment that follows in files is dropped.

    Of a line that `ssh-keygen -l` prints (bits, fingerprint, comment, type) it is the fingerprint.
    """
    line = value.strip(" \t\r\n") if isinstance(value, str) else None
    if line is None or not line.isprintable():
        return value
    words = line.split()
    if len(words) > 1 and words[0].isdigit() and _FINGERPRINT.fullmatch(words[1]):
        return words[1]
    return " ".join(words[:2])


def split_host_key(value: str) -> tuple[str, str]:
    """What a `host_key` is: the key itself, or the fingerprint that it must have when it is first seen; "" for none."""
    return ("", value) if _FINGERPRINT.fullmatch(value) else (value, "")


def check_key_line(_instance: Any, _attribute: Attribute[Any] | None, value: object) -> None:
    """A validator for an ssh host key as type and base64, a fingerprint, or "".

    That it really is a key is for whoever pins it.
    """
    if value != "" and not (isinstance(value, str) and (_KEY_LINE.fullmatch(value) or _FINGERPRINT.fullmatch(value))):
        raise Invalid(
            f"host_key {shown(value)} must be one line of type and key, like 'ssh-ed25519 AAAA…', as "
            "`cat /etc/ssh/ssh_host_ed25519_key.pub` shows it on the host, or a fingerprint, 'SHA256:…', as "
            "`ssh-keygen -lf` of that file does"
        )


def _hypervisor(value: Client | int | None) -> int | None:
    found: int | None = as_id(value, "hypervisor", Client)
    return found


def _check_vm_name(_instance: Any, _attribute: Attribute[Any], value: object) -> None:
    check_plain("vm_name", value)
    if isinstance(value, str) and len(value.encode("utf-8", "replace")) > 255:
        raise Invalid(f"vm_name {shown(value)} is longer than 255 bytes")


@frozen
class Client:
    """A host to back up, called by its hostname.

    With connection="ssh" it is reached by the controller's own ssh, whose configuration (`~/.ssh/config`)
    fills what is None here; with "local" it is this machine. `become` None means: sudo where the login is
    not root. `bandwidth_limit` is in KiB/s, for what the client sends.

    A virtual machine names the client it runs on, its `hypervisor`, and what it is called there, `vm_name` (its
    hostname if that is left out): policies of the type `vm` back it up from there, and do nothing on itself.

    `host_vars` takes only what cannot run anything on the controller (see `HOST_VARIABLES`);
    `trusted_vars` takes any other Ansible variable, as it stands, so it is as powerful as code; but for those
    that keep the connection checked.
    """

    hostname: str = field(validator=checked(check_host, "the hostname"))
    connection: str = field(
        default="ssh", kw_only=True, validator=one_of("connection", ("ssh", "local")), metadata={EXECUTES: True}
    )
    address: str = field(
        default="", kw_only=True, validator=maybe_empty(check_host, "address"), metadata={EXECUTES: True}
    )
    port: int | None = field(default=None, kw_only=True, validator=whole_number("port", least=1, most=65535, none=True))
    user: str | None = field(default=None, kw_only=True, validator=optional(check_account, "user"))
    become: bool | None = field(default=None, kw_only=True, validator=truth("become", none=True))
    become_password: Secret | None = field(
        default=None, kw_only=True, converter=wrapped_secret, validator=secret_line, metadata={SEALED: True}
    )
    host_vars: Variables = field(default=None, kw_only=True, converter=_host_vars, metadata={EXECUTES: True})
    trusted_vars: tuple[tuple[str, str], ...] = field(
        default=(), kw_only=True, converter=_trusted, repr=False, metadata={EXECUTES: True, SEALED: True}
    )
    tags: tuple[str, ...] = field(default=(), kw_only=True, converter=_tags)
    bandwidth_limit: int | None = field(
        default=None, kw_only=True, validator=whole_number("bandwidth_limit", least=1, most=2**31, none=True)
    )
    hypervisor: int | None = field(default=None, kw_only=True, converter=_hypervisor, metadata={EXECUTES: True})
    vm_name: str = field(default="", kw_only=True, validator=_check_vm_name, metadata={EXECUTES: True})
    enabled: bool = field(default=True, kw_only=True, validator=truth("enabled"))

    id: int | None = observed()
    revision: int = observed(0)
    ready: bool = observed(False)
    ip: str = observed("")
    borg_version: str = observed("")
    facts: Variables = observed(None, converter=as_variables)
    #: The pinned ssh host key ("ssh-ed25519 AAAA…"), or the fingerprint that it must have when it is first seen
    #: ("SHA256:…"); may be given to `add`.
    host_key: str = observed("", converter=as_key_line, validator=check_key_line)
    #: The client's own ssh key, made at preparation ("ssh-ed25519 AAAA…").
    public_key: str = observed("")
    prepared_at: datetime | None = observed(converter=as_utc)
    #: The ids of the vaults that a key of this client opens.
    access: tuple[int, ...] = observed((), converter=as_ids)
    #: The providers of virtual machines that it was prepared for, as a hypervisor.
    providers: tuple[str, ...] = observed((), converter=_tags)

    @tags.validator
    def _check_tags(self, _attribute: Any, value: tuple[str, ...]) -> None:
        for tag in value:
            check_name("the tag", tag)

    @property
    def machine(self) -> str:
        """What the client is called on its hypervisor."""
        return self.vm_name or self.hostname

    @property
    def name(self) -> str:
        """The hostname: a client has no other name."""
        return self.hostname
