"""What ssh, sudo and Ansible say when a task fails, as one of our codes with a sentence that says what to do."""

from __future__ import annotations

import re
from collections.abc import Callable

from ..errors import ErrorCode, JobError
from ..executor import Host
from .texts import harmless


class Unknown(Exception):
    """No host key could be had; `error` is what the job fails with."""

    def __init__(self, error: JobError) -> None:
        super().__init__(error.message)
        self.error = error


def who(host: Host) -> str:
    """A host as people call it."""
    return host.title or host.address or host.name


def _changed(host: Host, text: str) -> str:
    return (
        f"{who(host)} answers with another ssh host key than the one that is pinned. Somebody may be in between; if "
        "the host was reinstalled, compare its key and then forget the old one with "
        f"cyborg.trust({called(host)})."
    )


def called(host: Host) -> str:
    """Its client or repository, as one who types Python calls it."""
    kind, _, number = host.key_of.partition("-")
    shelf = {"client": "clients", "repository": "repositories"}.get(kind)
    return f"cyborg.{shelf}.get({number})" if shelf and number.isdigit() else "the client or repository"


def _login(host: Host, text: str) -> str:
    return (
        f"ssh could not log in to {who(host)}: {text}. Try `ssh {who(host)} true` as the account that runs this "
        "library; a key has to be offered without a question (by an agent, or IdentityFile in ~/.ssh/config)."
    )


def _reach(host: Host, text: str) -> str:
    return f"{who(host)} could not be reached: {text}."


def _become(host: Host, text: str) -> str:
    return (
        f"Root's rights could not be had on {who(host)}: {text}. Give become_password, allow sudo without one for "
        "that account, log in as root, or say become=False."
    )


_KNOWN: tuple[tuple[str, ErrorCode, Callable[[Host, str], str]], ...] = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", ErrorCode.HOST_KEY_CHANGED, _changed),
    ("Host key verification failed", ErrorCode.HOST_KEY_CHANGED, _changed),
    ("host key is known for", ErrorCode.HOST_KEY_CHANGED, _changed),
    ("Permission denied (", ErrorCode.AUTH_FAILED, _login),
    ("Too many authentication failures", ErrorCode.AUTH_FAILED, _login),
    ("No supported authentication methods", ErrorCode.AUTH_FAILED, _login),
    ("Missing sudo password", ErrorCode.BECOME_FAILED, _become),
    ("Incorrect sudo password", ErrorCode.BECOME_FAILED, _become),
    ("a password is required", ErrorCode.BECOME_FAILED, _become),
    ("a terminal is required", ErrorCode.BECOME_FAILED, _become),
    ("is not in the sudoers file", ErrorCode.BECOME_FAILED, _become),
    ("sudo: not found", ErrorCode.BECOME_FAILED, _become),
    ("sudo: command not found", ErrorCode.BECOME_FAILED, _become),
    ("waiting for privilege escalation", ErrorCode.BECOME_FAILED, _become),
    ("waiting for become success", ErrorCode.BECOME_FAILED, _become),
    ("become password", ErrorCode.BECOME_FAILED, _become),
)
#: Wrapping that Ansible puts around what ssh said.
_WRAPPED = re.compile(r"^.*?(?:over ssh|via ssh): ", re.DOTALL)
_BECOME_WORDS = re.compile(r"(?:Missing|Incorrect) (?:\S+) password")


def classify(text: str, host: Host, *, unreachable: bool) -> JobError:
    """The error for a failed task's message; an unknown one is `unreachable` or `internal`."""
    said = harmless(" ".join(_WRAPPED.sub("", text).split()), 600).rstrip(". ")
    for sign, code, sentence in _KNOWN:
        if sign in text:
            return JobError(code, sentence(host, said))
    if _BECOME_WORDS.search(text):
        return JobError(ErrorCode.BECOME_FAILED, _become(host, said))
    if unreachable:
        return JobError(ErrorCode.UNREACHABLE, _reach(host, said))
    return JobError(ErrorCode.INTERNAL, said or "A task failed without saying why.")
