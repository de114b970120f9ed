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
  repository:
    description:
      - Where the vault is. A folder on the host (C(/srv/backup)), C(ssh://user@host:port/path) or
        C(user@host:path).
      - It has to be given, here or as that variable.
    type: str
  repository_id:
    description:
      - The vault's id, if it is known. Another vault at that place is refused.
    type: str
    default: ""
  passphrase:
    description:
      - The repository's passphrase. Where the library runs this, it comes over the control socket instead.
    type: str
    default: ""
  ssh_key:
    description:
      - The path, on the host, of the private key for the repository's host. Empty for the account's own ssh
        set-up.
    type: str
    default: ""
  known_hosts:
    description:
      - Lines as in C(known_hosts); the only keys by which the repository's host may answer. Empty for the
        account's own files.
    type: str
    default: ""
  lock_wait:
    description:
      - How many seconds Borg waits for another one at work on the vault.
    type: int
    default: 600
  connect_timeout:
    description:
      - How many seconds ssh waits for the repository's host.
    type: int
    default: 10
  base_dir:
    description:
      - The folder for Borg's cache and security data. Empty for the account's own.
    type: str
    default: ""
  program:
    description:
      - Which Borg.
    type: str
    default: borg
  final:
    description:
      - Whether this is the whole job of a host where the library runs it; its end is then the job's end.
        Without the library it changes nothing.
    type: bool
    default: false
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
