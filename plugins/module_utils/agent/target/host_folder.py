# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a vault lies on its host: whose folder that is, and never beyond what is somebody else's."""

import os
import stat

from .frame import Refused
from .host_files import account_name, open_way, shown


def vault_path(path, account, entry):
    """The vault's folder on this host, absolute. As in Borg's addresses, /./ and /~/ begin in the account's home."""
    parts = path.split("/")
    if not path.startswith("/") or ".." in parts or any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        raise Refused("invalid", "%r cannot be the folder of a vault." % path)
    if parts[1] in (".", "~"):
        home = entry.pw_dir if entry is not None else "/var/lib/" + account
        path = home + "/" + "/".join(parts[2:])
    path = "/" + os.path.normpath(path).lstrip("/")
    if path == "/":
        raise Refused("invalid", "The root folder itself cannot be a vault.")
    # The way to the vault may lead through the administrator's links; the vault itself may not be one.
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


def ensure_folder(path, entry, account, check, changes, warnings):
    """The vault's parent folder is the account's; or it is root's, and the vault's own folder is made in it."""
    parent, name = os.path.split(path)
    uid = entry.pw_uid if entry is not None else -1
    if check:
        check_folder(parent, name, uid, account, path, changes)
        return
    if not os.path.isdir(parent):
        changes.append("make the folder %s" % shown(parent))
    folder = open_way(parent, True, owner=(uid, entry.pw_gid), mode=0o700, trusted=(uid,))
    status = os.fstat(folder)
    own_vault(folder, name, uid, account, path)
    if status.st_uid != uid and not os.path.lexists(path):
        made = open_way(path, True, owner=(uid, entry.pw_gid), mode=0o700, trusted=(uid,))
        os.close(made)
        changes.append("make the folder %s" % shown(path))
    elif status.st_uid == uid and status.st_mode & 0o077:
        warnings.append(
            "%s can be read by other accounts (mode %04o); chmod 0700 it."
            % (shown(parent), stat.S_IMODE(status.st_mode))
        )


def own_vault(folder, name, uid, account, path):
    """Refuses what lies in the vault's place and is not the account's."""
    for part in (name, name + "/config"):
        try:
            status = os.stat(part, dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return
        if part == name and not stat.S_ISDIR(status.st_mode):
            raise Refused("invalid", "%s is a link or no folder; choose another path." % shown(path))
        if status.st_uid != uid:
            message = (
                "%s belongs to %s and not to %s; choose another path, or, if it is a vault that is to be used: "
                "chown -R %s it."
            )
            raise Refused("invalid", message % (shown(path), account_name(status.st_uid), account, account))


def check_folder(parent, name, uid, account, path, changes):
    try:
        folder = open_way(parent, False, trusted=(uid,))
    except Refused as error:
        if error.error["code"] != "missing":
            raise
        changes.append("make the folder %s" % shown(parent))
        return
    own_vault(folder, name, uid, account, path)
    if os.fstat(folder).st_uid != uid and not os.path.lexists(path):
        changes.append("make the folder %s" % shown(path))
