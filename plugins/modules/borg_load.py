#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: borg_load
author: The cyborglib authors
short_description: Send a stream from a Borg archive into a command or a file
description:
  - The one file of an archive that M(cyborg.backup.borg_stream) made goes into the stdin of a command, which runs with
    C(bash -o pipefail) on the host, or into a new file there. It is a failure if either side fails.
  - The command and its secrets reach the host through pipes.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  command:
    description:
      - The command that takes the stream in.
    type: str
    default: ""
  path:
    description:
      - The file it goes to instead, as a whole path. It takes its name when it is whole.
    type: str
    default: ""
  secrets:
    description:
      - Texts that the command can read once each, from the path that it finds in the variable of that name.
    type: dict
    default: {}
  environment:
    description:
      - Variables of the command, nothing secret.
    type: dict
    default: {}
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.load
  - cyborg.backup.borg.archive
  - cyborg.backup.borg.part
attributes:
  check_mode:
    description: Says how many bytes would go where.
    support: full
"""

EXAMPLES = r"""
- name: Bring an export back
  cyborg.backup.borg_load:
    repository: /srv/backup/web1
    passphrase: "{{ vaulted_passphrase }}"
    archive: web1-2031-12-31
    command: wiki-import
"""

RETURN = r"""
destination:
  description: The file.
  returned: success
  type: str
bytes:
  description: How long the stream is.
  returned: success
  type: int
"""
