#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: borg_extract
author: The cyborglib authors
short_description: Bring files back from a Borg archive
description:
  - Extracts into a new folder by default, with owners, modes, times, links, ACLs and extended attributes where
    the account is root.
  - Each path is itself and all below it, never a pattern. What came is compared with what was asked for. A path
    that matches nothing is a failure, and so is anything more.
  - Borg before 1.4.5 can be led out of the folder by an archive that somebody forged (CVE-2026-62268); do not
    restore archives of a host that was broken into with it.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  paths:
    description:
      - What to bring back, as whole paths, each with all below it. None for the whole archive.
    type: list
    elements: str
    default: []
  destination:
    description:
      - The folder to put it in, on the host. It is made, and must not exist.
    type: str
    default: ""
  overwrite:
    description:
      - The folder may exist, and files in it are overwritten.
    type: bool
    default: false
  dry_run:
    description:
      - Only say what would be brought back.
    type: bool
    default: false
  numeric_ids:
    description:
      - Owners by number, not by name.
    type: bool
    default: false
  owners:
    description:
      - A new file, on the host, for the list of whose each entry is in the archive. For M(cyborg.backup.carry).
    type: str
    default: ""
  plain:
    description:
      - Take set-id bits, file capabilities and device nodes from what was restored; for files of another host. The
        folder must be new or empty.
    type: bool
    default: false
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.archive
attributes:
  check_mode:
    description: Names what would come.
    support: full
"""

EXAMPLES = r"""
- name: Bring one file back
  cyborg.backup.borg_extract:
    repository: /srv/backup/web1
    passphrase: "{{ vaulted_passphrase }}"
    archive: web1-2031-12-31
    paths:
      - /etc/fstab
    destination: /var/tmp/restored
"""

RETURN = r"""
destination:
  description: The folder.
  returned: success
  type: str
paths:
  description: What was asked for.
  returned: success
  type: list
  elements: str
listed:
  description: How many entries would come; null without a dry run.
  returned: success
  type: int
"""
