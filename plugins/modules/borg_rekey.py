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
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.limits
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
