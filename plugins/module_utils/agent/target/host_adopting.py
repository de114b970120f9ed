# SPDX-License-Identifier: GPL-3.0-or-later
"""A Borg repository that was on its host before us: nothing is made, and nothing that lies in it is changed."""

import os
import stat

from .frame import Refused
from .host_account import fit, keys_file, sshd_says
from .host_authorized import LIMIT, keys_of
from .host_files import open_way, read_whole, shown
from .host_folder import ensure_folder, own_vault


def adopt(work, entry, lines, about):
    """Refuses what is no repository of the account, or what another library serves already.

    :param about: what the host knows of the vault: {} if nothing
    """
    if entry is None:
        message = "There is no account %s on this host, so no repository can be its own; name the one that owns %s."
        raise Refused("vault_missing", message % (work.account, shown(work.path)))
    fit(entry)
    look_at_it(work, entry)
    keys = {line.body for line in lines}
    work.known = bool(about) and (about.get("vault") != work.vault or bool(served(work, entry) - keys))
    if not work.known:
        return
    if not work.request.get("takeover"):
        message = (
            "%s is served on this host already, as vault %s of another cyborglib. If that one is gone, with its "
            "database, say takeover=True: its keys are let in no longer then."
        )
        raise Refused("vault_exists", message % (shown(work.path), about.get("vault")))
    work.edit([], lambda tag, name: tag == work.tag)


def look_at_it(work, entry):
    """Is it there, and the account's?"""
    parent, name = os.path.split(work.path)
    config = None
    try:
        folder = open_way(parent, False, trusted=(entry.pw_uid,))
        own_vault(folder, name, entry.pw_uid, work.account, work.path)
        config = os.stat(name + "/config", dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        pass  # said below
    except Refused as error:
        if error.error["code"] != "missing":
            raise
    if config is None or not stat.S_ISREG(config.st_mode):
        message = "There is no Borg repository in %s on this host; look at the path."
        raise Refused("vault_missing", message % shown(work.path))
    # As it would be before a vault is made there: warns where others can read it, makes nothing.
    ensure_folder(work.path, entry, work.account, False, work.changes, work.warnings)


def served(work, entry):
    """The keys that let somebody into the vault through our program."""
    _home, path = keys_file(entry, sshd_says(work.account))
    folder, name = os.path.split(path)
    try:
        return keys_of(read_whole(open_way(folder, False, trusted=(entry.pw_uid,)), name, LIMIT) or b"", work.tag)
    except Refused as error:
        if error.error["code"] != "missing":
            raise
        return set()
