"""The account of this machine as which root lets Borg read what clients wrote; and why one cannot be that."""

from __future__ import annotations

import os
import pwd
import shutil
import stat

#: How such an account is made, as root. It needs no shell: nobody logs in to it.
MAKE = "useradd --system --create-home --shell /usr/sbin/nologin"


def problem(name: str) -> str:
    """The sentence that says why this process cannot run Borg as that account, and what to do; "" if it can."""
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        return f"there is no account {name!r} on this machine; make it as root, by `{MAKE} {name}`"
    if account.pw_uid == 0 or account.pw_gid == 0:
        what = "is root itself" if account.pw_uid == 0 else "has the group of root"
        return (
            f"the account {name!r} {what}, which protects nothing; name one that owns nothing here, made by "
            f"`{MAKE} cyborg-list`, for example"
        )
    if os.geteuid() not in (0, account.pw_uid):
        return (
            f"this process runs as {_called(os.geteuid())}, and only root can run Borg as another account ({name!r}). "
            "Leave controller_account empty: Borg then runs as the account of the engine, which is not root either; "
            "or run the engine as root"
        )
    if os.geteuid() == 0 and not shutil.which("setpriv"):
        return "the program `setpriv`, by which root becomes another account, is not here; install util-linux"
    return _home(account)


def _home(account: pwd.struct_passwd) -> str:
    """What is wrong with the account's home, where Borg keeps what it knows of vaults."""
    name, home, owner = account.pw_name, account.pw_dir, f"-o {account.pw_uid} -g {account.pw_gid}"
    if home in ("", "/") or home.startswith(("/nonexistent", "/dev/")):
        home = f"/var/lib/{name}"
        return (
            f"the account {name!r} has no home folder, where Borg would keep what it knows of vaults; give it one as "
            f"root, by `usermod --home {home} {name} && install -d -m 0700 {owner} {home}`"
        )
    try:
        found = os.stat(home)
    except OSError as error:
        why = f"cannot be used ({error.strerror})"
    else:
        if stat.S_ISDIR(found.st_mode) and found.st_uid == account.pw_uid and not found.st_mode & 0o022:
            return ""
        why = "is not a folder of its own that nobody else can write to"
    return (
        f"{home}, the home of the account {name!r}, {why}; set it right as root, by "
        f"`install -d -m 0700 {owner} {home}`, or give the account another one, by `usermod --home`"
    )


def _called(uid: int) -> str:
    try:
        return repr(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return f"uid {uid}"
