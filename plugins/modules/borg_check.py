#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: borg_check
author: The cyborglib authors
short_description: Whether a Borg repository is whole
description:
  - Runs C(borg check), and goes by what it says of what it found. It never repairs.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  scope:
    description:
      - What is gone through. The files of the C(repository), which needs no passphrase; what its C(archives) are made
        of; or the C(data) too, which reads and decrypts all of it.
    type: str
    choices: [repository, archives, data]
    default: repository
  max_duration:
    description:
      - After how many seconds the check of a repository ends; the next one goes on from there. 0 for all of it.
    type: int
    default: 0
  folder:
    description:
      - The vault's folder, on a repository's host that was prepared by M(cyborg.backup.repository_host). Borg then runs
        there as the account that the vault belongs to, and nobody is served meanwhile.
    type: str
    default: ""
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.limits
attributes:
  check_mode:
    description: The same as without.
    support: full
"""

EXAMPLES = r"""
- name: Go through the files of a repository for an hour
  cyborg.backup.borg_check:
    repository: /srv/backup/web1
    max_duration: 3600
  register: vault
"""

RETURN = r"""
scope:
  description: What was gone through, and found whole.
  returned: success
  type: str
whole:
  description: False if the check of a repository goes on the next time.
  returned: success
  type: bool
"""
