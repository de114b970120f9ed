#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: client_key
author: The cyborglib authors
short_description: An ssh key of the client's own
description:
  - Makes a key pair on the host with ssh-keygen, unless it is there; the private half never leaves the host.
  - Root's keys are in C(/etc/cyborg/keys), anybody else's in C(~/.config/cyborg/keys). The folder must belong to
    that account alone.
  - The answer is type and key of the public half, and nothing else that is in its file. A file with anything more
    than one plain key fails the task for good.
options:
  name:
    description: The name of the pair's files, like C(client) or C(vault-7).
    type: str
    required: true
  state:
    description: V(absent) removes the pair.
    type: str
    choices: [absent, present]
    default: present
attributes:
  check_mode:
    description: Makes no key; RV(public_key) is then empty if there is none.
    support: full
"""

EXAMPLES = r"""
- name: Make the client's key
  cyborg.backup.client_key:
    name: client
  register: key
"""

RETURN = r"""
public_key:
  description: Type and key of the public half.
  returned: success
  type: str
key:
  description: The path of the private half on the host.
  returned: success
  type: str
keys:
  description: The folder it lies in.
  returned: success
  type: str
"""
