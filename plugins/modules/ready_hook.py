#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: ready_hook
author: The cyborglib authors
short_description: Tell a library that something was prepared by hand
description:
  - Sends a token that can be used once, by POST, to the address that the library gave with it. It says "ready" and
    nothing else; no facts are taken from it.
  - Runs where ansible-playbook runs. The token is on no command line, in no environment and in no output.
  - Where the other side does not answer, the task goes well all the same, and shows the command that does it later.
options:
  state:
    description: V(checked) only looks whether the address can be used, so that a mistake shows before the work.
    type: str
    choices: [checked, sent]
    default: sent
  url:
    description: Where to; https, or http on this machine.
    type: str
    required: true
  token_file:
    description:
      - A file of yours alone (0600) that holds the token, best as the whole header line (Authorization and Bearer),
        which curl can read itself.
    type: path
    default: ""
  token:
    description: The token, where there is no file and it is asked for.
    type: str
    default: ""
  hostname:
    description: The name of what is ready, for the other side's log.
    type: str
    default: ""
attributes:
  check_mode:
    description: Sends nothing.
    support: full
"""

EXAMPLES = r"""
- name: Tell the library
  cyborg.backup.ready_hook:
    url: https://backup.example.org/hooks/ready
    token_file: ~/invitation
"""

RETURN = r"""
told:
  description: False where the other side could not be told.
  returned: when it could not be told
  type: bool
command:
  description: The command that tells it later.
  returned: when it could not be told
  type: str
"""
