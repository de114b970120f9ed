#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: borg_init
author: The cyborglib authors
short_description: Make a Borg repository, or see that the one there is ours
description:
  - Initialises a repository. One that is there already must be opened by the passphrase, and have the id that
    is expected; nothing is changed in it.
  - Where the library runs this, a copy of the key goes to it over the control socket, to be sealed.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  encryption:
    description:
      - The mode of encryption, as in C(borg init).
    type: str
    choices: [repokey-blake2, repokey, keyfile-blake2, keyfile, authenticated-blake2, authenticated, none]
    default: repokey-blake2
  append_only:
    description:
      - Make a vault on the host itself append-only. On a repository's host that is said for each key instead.
    type: bool
    default: false
  storage_quota:
    description:
      - How many bytes it may hold; 0 for as many as there is room.
    type: int
    default: 0
  public_key:
    description:
      - The public half of O(ssh_key), for the message that asks for it to be let in.
    type: str
    default: ""
  existing:
    description:
      - It was made by others. It is opened, whatever address Borg knew it by, and never initialised. It may be
        encrypted in any mode that has a key.
    type: bool
    default: false
  others:
    description: Ids of which it must have none, with O(existing).
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - cyborg.backup.borg
attributes:
  check_mode:
    description: Says whether a repository would be made.
    support: full
"""

EXAMPLES = r"""
- name: Make the vault
  cyborg.backup.borg_init:
    repository: /srv/backup/web1
    passphrase: "{{ vaulted_passphrase }}"
  register: vault
"""

RETURN = r"""
borg_id:
  description: The repository's id.
  returned: success
  type: str
encryption:
  description: Its mode of encryption.
  returned: success
  type: str
created:
  description: Whether it was made now.
  returned: success
  type: bool
"""
