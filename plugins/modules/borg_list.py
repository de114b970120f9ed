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
  memory_limit:
    description:
      - How many bytes of address space Borg may have; 0 for no limit. A vault is what its clients wrote, and may have
        been made to fill the memory of whoever lists it. Borg that reaches it is a failure, never an empty list.
    type: int
    default: 0
  cpu_limit:
    description:
      - How many seconds of the processor's time Borg may take; 0 for no limit.
    type: int
    default: 0
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
  description: Each archive's name, id and time (UTC).
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
