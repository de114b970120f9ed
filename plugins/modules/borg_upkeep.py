#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: borg_upkeep
author: The cyborglib authors
short_description: Deletes archives of a Borg repository, or compacts it, once it was compared with what must be there
description:
  - Deletes archives by their exact names, after each name's id was compared with the one that was recorded when it was
    made. Archives that are not named stay, whatever they are called. C(borg prune) is never called.
  - First it sees that nobody took anything away from the repository; if somebody did, nothing is done.
  - What was deleted is gone for good only after a compact.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  archives:
    description: Names and ids of the archives to delete. Those that are not there any more are passed over;
      an empty id stands for any.
    type: dict
    default: {}
  known:
    description: Names and ids of the archives that must be there. One that is not, or has another id, is a failure.
    type: dict
    default: {}
  decided:
    description: Names and ids of archives that may be there or not.
    type: dict
    default: {}
  leftovers:
    description: How names of archives begin whose checkpoints are deleted as well, left by backups that were killed.
    type: str
    default: ""
  looked:
    description: What M(cyborg.backup.repository_upkeep) told of the repository; empty where its host takes no commands.
    type: dict
    default: {}
  since:
    description: The same from when the repository was last changed with the right to delete (V(freeable_bytes),
      V(stored_bytes), V(transaction), V(log_bytes)); empty if nobody knows.
    type: dict
    default: {}
  windows:
    description: When backups wrote the repository, each a list of two, from and to, in seconds since 1970 by the
      controller's clock.
    type: list
    elements: raw
    default: []
  check:
    description: Let Borg check that all archives are whole (C(borg check --archives-only)).
    type: bool
    default: false
  verify:
    description: Let Borg read, decrypt and verify all data too (C(--verify-data)).
    type: bool
    default: false
  compact:
    description: Compact the repository.
    type: bool
    default: false
  key_sha256:
    description: The SHA-256 of the exported key of the vault. A vault whose key is another one now is a failure.
    type: str
    default: ""
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.limits
attributes:
  check_mode:
    description: Compares, and says in RV(deleted) what would go.
    support: full
"""

EXAMPLES = r"""
- name: Delete one archive
  cyborg.backup.borg_upkeep:
    repository: /srv/backup/web1
    passphrase: "{{ vaulted_passphrase }}"
    archives:
      monday: 8c2f0d5a6b7e4c1f9a3d8c2f0d5a6b7e4c1f9a3d8c2f0d5a6b7e4c1f9a3d8c2f
"""

RETURN = r"""
deleted:
  description: Names of the archives that were deleted.
  returned: success
  type: list
  elements: str
"""
