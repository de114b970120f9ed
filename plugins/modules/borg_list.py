#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: borg_list
author: The cyborglib authors
short_description: Names and ids of the archives in a Borg repository
description:
  - Lists a repository, and compares its id and its key with what is expected.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  key:
    description:
      - Whether to tell RV(key_sha256).
    type: bool
    default: false
  key_sha256:
    description:
      - The SHA-256 of the exported key of the vault. A vault whose key is another one now is a failure.
    type: str
    default: ""
  contents:
    description:
      - Archives whose contents the library wants, where it runs this. Each has C(archive), its number there, and
        C(name) and C(id) as Borg has them. Those that are there by this name and id are handed over.
      - One that cannot be read fails the job, but takes nothing back of what was found in the vault.
      - Without the library nothing is done with them.
    type: list
    elements: dict
    default: []
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.limits
attributes:
  check_mode:
    description: The same as without.
    support: full
"""

EXAMPLES = r"""
- name: Which archives are there
  cyborg.backup.borg_list:
    repository: /srv/backup/web1
    passphrase: "{{ vaulted_passphrase }}"
  register: vault
"""

RETURN = r"""
archives:
  description: Name, id and time (UTC) of each archive whose name can be shown; a warning tells of others.
  returned: success
  type: list
  elements: dict
borg_id:
  description: The repository's id.
  returned: success
  type: str
encryption:
  description: Its mode of encryption.
  returned: success
  type: str
key_sha256:
  description: SHA-256 of the exported key, without blanks and line ends.
  returned: with O(key) or O(key_sha256)
  type: str
"""
