#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: repository_upkeep
author: The cyborglib authors
short_description: What was done to a vault by its clients' keys, and freeing its space
description:
  - To be delegated to the repository's host, as root, while the vault is closed to its clients
    (M(cyborg.backup.repository_host)). The kernel's lock on the vault is held meanwhile. Borg runs as the account that
    owns the vault, without a passphrase.
options:
  state:
    description:
      - V(looked) tells how many bytes a compact could free (C(borg debug dump-hints)) and which transactions were made
        by append-only keys. V(compacted) compacts first.
    type: str
    choices: [compacted, looked]
    default: looked
  account:
    description: The account that serves the vault.
    type: str
    required: true
  path:
    description: The vault's folder, absolute.
    type: str
    required: true
  since:
    description: Tell transactions behind so many bytes of the list of them only (C(log_bytes) of an earlier look).
    type: int
    default: 0
  transaction:
    description: For V(compacted), the last transaction that there must be; with another one nothing is done.
    type: int
  lock_wait:
    description: How many seconds to wait for another Borg that is at work on the vault.
    type: int
    default: 60
  timeout:
    description: How many seconds a compact may take.
    type: int
    default: 86400
attributes:
  check_mode:
    description: Nothing is done or asked.
    support: full
"""

EXAMPLES = r"""
- name: See what was changed in the vault
  cyborg.backup.repository_upkeep:
    account: borg
    path: /srv/borg/web1
  delegate_to: nas
  register: looked
"""

RETURN = r"""
vault:
  description:
    - C(freeable_bytes), C(stored_bytes), C(transaction) (the last one), C(log_bytes) (the length of the list of
      those that append-only keys made), C(entries) (number and time of each of them since).
    - C(ahead) is by how many seconds the clock there is ahead of the controller's.
  returned: success
  type: dict
"""
