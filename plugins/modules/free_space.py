#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: free_space
author: The cyborglib authors
short_description: Find out how much room there is where a folder lies
description:
  - Asks the host how much of the file system of a folder is free. Needs no Borg, and changes nothing.
options:
  path:
    description:
      - The folder, absolute. One that is not there yet is looked for from the folder that it will be in.
    type: str
    required: true
attributes:
  check_mode:
    description: Changes nothing in any case.
    support: full
"""

EXAMPLES = r"""
- name: Look how much room there is
  cyborg.backup.free_space:
    path: /srv/borg
  register: looked
"""

RETURN = r"""
filesystem:
  description: What tells the file system from others of the same host.
  returned: success
  type: str
free:
  description: Bytes that accounts without special rights may still take; 0 where no other file can be made.
  returned: success
  type: int
total:
  description: The size of the file system in bytes.
  returned: success
  type: int
"""
