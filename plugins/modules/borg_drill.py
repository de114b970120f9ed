#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: borg_drill
author: The cyborglib authors
short_description: Prove that a Borg archive can be restored
description:
  - Restores some or all files of an archive into a folder of its own, reads them again and compares kinds, sizes and
    SHA-256 with what Borg itself says of them. The folder is removed, whatever happens.
  - A stream is read to its end twice, and compared; with C(command) it goes into that as well.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  stream:
    description:
      - The archive is a stream.
    type: bool
    default: false
  scratch:
    description:
      - The folder to restore files to. It is made, with the one above it, and removed again.
    type: str
    default: /var/tmp/cyborg-drills/drill-0.0
  sample_files:
    description:
      - How many files are restored; 0 for all that is in the archive.
    type: int
    default: 0
  sample_bytes:
    description:
      - How many bytes such a sample may have; 0 for as many as they have.
    type: int
    default: 0
  command:
    description:
      - A command for C(bash -o pipefail) on the host that takes the stream in, and fails if it is not what it should
        be.
    type: str
    default: ""
  environment:
    description:
      - Variables of the command, nothing secret.
    type: dict
    default: {}
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.limits
  - cyborg.backup.borg.archive
  - cyborg.backup.borg.part
attributes:
  check_mode:
    description: The same as without.
    support: full
"""

EXAMPLES = r"""
- name: See whether a hundred files come back
  cyborg.backup.borg_drill:
    repository: /srv/backup/web1
    passphrase: "{{ vaulted_passphrase }}"
    archive: web1-2031-12-31
    sample_files: 100
"""

RETURN = r"""
how:
  description: What was proved. C(sample), C(all), C(read) or C(verified).
  returned: success
  type: str
files:
  description: How many files came back.
  returned: success
  type: int
bytes:
  description: How many bytes they have.
  returned: success
  type: int
seconds:
  description: How long Borg took to bring them back.
  returned: success
  type: float
"""
