"""Accounts of this machine that live as long as a test."""

from __future__ import annotations

import grp
import os
import pwd
import secrets
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cyborglib.ansible.accounts import MAKE


@contextmanager
def local_account() -> Iterator[pwd.struct_passwd]:
    """An account without rights, made as the library tells people to; removed with its home and what runs as it."""
    name = new_name()
    subprocess.run([*shlex.split(MAKE), name], check=True)
    try:
        yield pwd.getpwnam(name)
    finally:
        remove(name)


def new_name() -> str:
    """A name that no account has."""
    return f"cyborg-test-{secrets.token_hex(4)}"


def remove(name: str) -> None:
    """Remove an account of ours, and its home."""
    assert name.startswith("cyborg-test-")
    uid = pwd.getpwnam(name).pw_uid
    for pid in processes(uid):
        os.kill(pid, 9)
    # Not by --remove: what a test made of its home may be anybody's folder.
    subprocess.run(["userdel", name], check=True, capture_output=True)
    shutil.rmtree(f"/home/{name}", ignore_errors=True)
    shutil.rmtree(f"/dev/shm/cyborg-agent-{uid}", ignore_errors=True)
    with suppress(KeyError):  # Gone with the account, unless a test gave that another one.
        subprocess.run(["groupdel", grp.getgrnam(name).gr_name], check=True)


def processes(uid: int) -> list[int]:
    """The processes of an account of this machine; hosts that share its kernel have the same numbers for others."""
    return [pid for pid, status in statuses() if uid in uids_of(status) and "\nState:\tZ" not in status]


def statuses() -> Iterator[tuple[int, str]]:
    """The processes that are no host's of the lab, and what the kernel says of each."""
    for entry in filter(str.isdigit, os.listdir("/proc")):
        with suppress(FileNotFoundError, ProcessLookupError):
            status = Path(f"/proc/{entry}/status").read_text()
            # In a host of the lab a process has a second number.
            if len(_line(status, "NSpid")) == 1:
                yield int(entry), status


def uids_of(status: str) -> set[int]:
    """As whom a process runs: real, effective, saved and for files."""
    return {int(uid) for uid in _line(status, "Uid")}


def _line(status: str, name: str) -> list[str]:
    return next(line for line in status.splitlines() if line.startswith(name + ":")).split()[1:]
