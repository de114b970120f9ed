#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: repository_host
author: The cyborglib authors
short_description: A vault on the host where it lies, and who may use it
description:
  - To be delegated to the repository's host, as root. Makes the account that serves the vault, installs Borg, makes the
    vault's folder, installs C(/usr/local/lib/cyborg/serve), and writes the keys into the account's authorized_keys.
  - Each key may run that program only, which lets one Borg at a time serve this one vault. It refuses clients while
    the vault is closed.
  - authorized_keys belongs to root afterwards. It is changed under a lock, replaced at once, and read back; lines of
    anybody else stay as they are.
  - An account, a folder or a key that is there already, and belongs to somebody else, is refused, not taken over.
options:
  state:
    description:
      - V(present) makes the vault usable with O(keys). V(granted) adds keys for a while, V(revoked) takes those called
        O(names) away. V(absent) takes all keys of the vault away and leaves its folder alone.
      - V(closed) refuses clients from now on, V(open) lets them in again; RV(busy) says if somebody is at work.
    type: str
    choices: [absent, closed, granted, open, present, revoked]
    default: present
  vault:
    description: The vault's number, by which people know it.
    type: int
    required: true
  account:
    description: The account that serves the vault. It is made, without a password, if it does not exist.
    type: str
    required: true
  path:
    description: The vault's folder, absolute; C(/./) and C(/~/) at its beginning stand for the account's home.
    type: str
    required: true
  quota:
    description: How many bytes clients may store in the vault; 0 for as many as there is room.
    type: int
    default: 0
  quota_share:
    description:
      - Without O(quota), per cent of what is free now that clients may store in the vault on top of what is in it;
        0 for as many as there is room.
    type: int
    default: 0
  reserve:
    description:
      - Bytes of the file system that clients leave free, so that there is room for prune and compact; a twentieth of it
        at most. The program that serves the vault looks how much is free each time that a client comes.
    type: int
    default: 0
  append_only:
    description: Nothing that clients delete is gone until the controller compacts the vault.
    type: bool
    default: true
  existing:
    description:
      - The vault was there before. It must be a Borg repository of O(account), which is not made either. Nothing that
        lies in it is changed. With V(present).
    type: bool
    default: false
  takeover:
    description: With O(existing), also one that another library has served here so far, whose keys are taken away.
    type: bool
    default: false
  lock_wait:
    description: How many seconds a Borg waits for another one that is at work on the vault.
    type: int
    default: 600
  keys:
    description: Public keys that may use the vault. One of the same vault and name is replaced.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What the key is called, like C(client-3) or C(controller).
        type: str
        required: true
      mode:
        description: V(client) is limited by O(append_only) and O(quota), and is refused while the vault is closed.
        type: str
        choices: [client, controller]
        default: client
      key:
        description: Type and key, as they stand in a public key file.
        type: str
        required: true
      seconds:
        description: After this time the key is over; needed for V(granted).
        type: int
  names:
    description: The names of the keys that V(revoked) takes away.
    type: list
    elements: str
    default: []
  seconds:
    description: After this time V(closed) is over by itself; 0 for a vault that stays closed until it is opened.
    type: int
    default: 0
  by:
    description: Who closes it. V(open) with a name opens only what was closed by that name last.
    type: str
    default: ""
  update:
    description: Bring Borg up to date where the package manager installed it.
    type: bool
    default: false
  binary:
    description: The path, on the controller, of a Borg binary for this host.
    type: path
    default: ""
  binary_sha256:
    description: Its SHA-256.
    type: str
    default: ""
attributes:
  check_mode:
    description: Says in RV(changes) what would be done.
    support: full
"""

EXAMPLES = r"""
- name: Let a client use its vault
  cyborg.backup.repository_host:
    vault: 7
    account: borg
    path: /srv/borg/web1
    keys:
      - name: client-3
        key: "{{ key.public_key }}"
  delegate_to: nas
"""

RETURN = r"""
path:
  description: The vault's folder on its host.
  returned: success
  type: str
tag:
  description: What the vault is called in C(/var/lib/cyborg); made of its path.
  returned: success
  type: str
space:
  description: How much room there is where the vault lies, as M(cyborg.backup.free_space) gives it.
  returned: success
  type: dict
known:
  description: With O(existing), whether another library had served it.
  returned: success
  type: bool
busy:
  description: For closing and opening, whether somebody was at work on the vault.
  returned: success
  type: bool
borg_version:
  description: The version of Borg there.
  returned: when O(state=present)
  type: str
borg:
  description: The path of Borg there.
  returned: when O(state=present)
  type: str
changes:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
notes:
  description: Sentences on what is not as it should be.
  returned: success
  type: list
  elements: str
"""
