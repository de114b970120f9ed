#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: borg_stream
author: The cyborglib authors
short_description: Make a Borg archive of what a command prints
description:
  - Runs a command with C(bash -o pipefail) on the host, and what it prints becomes the one file of an archive. There is
    no archive if the command fails anywhere in its pipes, prints nothing, or does not come to its end.
  - The command and its secrets reach the host through pipes. They are on no command line, in no file and not in the
    archive.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  command:
    description:
      - The command, as for a script of bash. What it says on stderr is in the job's output.
      - It has to be given, here or as that variable.
    type: str
    default: ""
  file:
    description:
      - What the stream is called in the archive.
    type: str
    default: stream
  secrets:
    description:
      - Texts that the command can read once each, from the path that it finds in the variable of that name (capital
        letters, digits and C(_)).
    type: dict
    default: {}
  environment:
    description:
      - Variables of the command, nothing secret.
    type: dict
    default: {}
  allow_empty:
    description:
      - The command may print nothing at all.
    type: bool
    default: false
  ends:
    description:
      - What stands in the last 400 bytes of a whole stream. A stream without it is a failure.
    type: str
    default: ""
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.stream
  - cyborg.backup.borg.hooks
attributes:
  check_mode:
    description: Says which archive it would make.
    support: full
"""

EXAMPLES = r"""
- name: Back up what a program exports
  cyborg.backup.borg_stream:
    repository: /srv/backup/web1
    passphrase: "{{ vaulted_passphrase }}"
    command: wiki-export --all | sort
    file: wiki.txt
"""

RETURN = r"""
archives:
  description: The archives that were made.
  returned: success
  type: list
  elements: dict
"""
