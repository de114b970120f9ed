#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: borg_find
author: The cyborglib authors
short_description: What a backup that was lost left in its repository
description:
  - Looks for an archive by its name, and for those of its parts, and counts what each holds.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  archive:
    description:
      - The name of the archive, without that of a part.
    type: str
    required: true
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.limits
attributes:
  check_mode:
    description: The same as without.
    support: full
"""

EXAMPLES = r"""
- name: Was it made
  cyborg.backup.borg_find:
    repository: /srv/backup/web1
    passphrase: "{{ vaulted_passphrase }}"
    archive: web1-2031-12-31T23:59:59
  register: left
"""

RETURN = r"""
found:
  description:
    - The archives that are there and whole, each with name, id, number of files, bytes, and the paths it was to hold
      that are not in it.
  returned: success
  type: list
  elements: dict
"""
