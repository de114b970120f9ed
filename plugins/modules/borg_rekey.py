#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: borg_rekey
author: The cyborglib authors
short_description: Give a Borg repository another passphrase
description:
  - Changes the passphrase, and sees that the new one opens the repository.
  - Both passphrases go to Borg through a pipe. They are in no argument, environment or file.
  - A repository that has the new passphrase already is left as it is, so that a run which was broken off can be done
    again.
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
  next_passphrase:
    description:
      - The new passphrase. Where the library runs this, it comes over the control socket instead.
    type: str
    default: ""
  key_sha256:
    description:
      - The SHA-256 of the exported key of the vault, without blanks and line ends. A vault with another key is not
        changed; that the new passphrase opens it already is no failure.
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
    description: Says that the passphrase would be changed; looks at nothing.
    support: partial
"""

EXAMPLES = r"""
- name: Let nobody open it who knows the old passphrase
  cyborg.backup.borg_rekey:
    repository: /srv/backup/web1
    passphrase: "{{ vaulted_passphrase }}"
    next_passphrase: "{{ vaulted_new_passphrase }}"
"""

RETURN = r"""
{}
"""
