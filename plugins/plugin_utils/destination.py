# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder that files are restored to, as it is given."""

from __future__ import annotations

import os

from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure


def full_path(given, *, local, overwrite):
    """The destination as a full path. Raises `Failure` for what is none, and for / unless that is to be overwritten.

    :param local: True on this machine, where ~ is our home
    """
    path = os.path.normpath(os.path.expanduser(given) if local else given)
    if not path.startswith("/") or (path == "/" and not overwrite):
        raise Failure("bad_arguments", "The destination %r has to be the full path of a folder." % given)
    return path


def exists(path):
    """The `Failure` for one that is not new."""
    return Failure(
        "destination_exists",
        "%s is there already, and not empty. Give another destination, or overwrite=True to restore over what is in it."
        % path,
    )
