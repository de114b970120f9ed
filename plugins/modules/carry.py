#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: carry
author: The cyborglib authors
short_description: Carry restored files from one host to another
description:
  - Takes a folder to which Borg has restored files on one host to a new folder on another one, or on this machine. With
    owners, modes, times, links, hard links, holes, ACLs, extended attributes and flags, where the accounts are root.
  - The files go through this machine, by the ssh connections that the play has to both hosts, from one FIFO to another;
    they are not kept here. No password goes that way, as the FIFOs belong to the accounts that log in.
  - What lies at the destination in the end is compared with what was sent. Whatever goes wrong, both hosts are as
    before, once O(state=closed) was reached on both.
  - Its steps belong together; the playbook C(restore_carried) shows how.
options:
  state:
    description:
      - V(ready) removes what an earlier try left, and looks whether the destination is free. At both ends.
      - V(offered) lets the sending end wait until somebody takes.
      - V(taken) takes all files in. At the receiving end.
      - V(settled) compares what was sent with what came. At the sending end.
      - V(closed) ends and removes what is left. At both ends.
    type: str
    required: true
    choices: [closed, offered, ready, settled, taken]
  name:
    description:
      - What is called after this try. As V(ready) gave it; both ends have the same.
    type: str
    default: ""
  since:
    description:
      - When it began, in seconds since 1970. As V(ready) gave it.
    type: float
    default: 0
  destination:
    description:
      - The folder that the files go to, as a full path. For V(ready) at the receiving end, and V(taken).
    type: str
    default: ""
  overwrite:
    description:
      - The folder may exist, and files in it are overwritten.
    type: bool
    default: false
  folder:
    description:
      - What is to be sent; for V(offered). Beside it lies a file of the same name with C(.owners) behind it, as
        M(cyborg.backup.borg_extract) writes it with its option C(owners).
    type: str
    default: ""
  numeric_ids:
    description:
      - Owners by number, not by name; for V(offered).
    type: bool
    default: false
  own:
    description:
      - The archive is of the sending host, so that its accounts say what the ids in ACLs mean; for V(offered).
    type: bool
    default: false
  take:
    description:
      - The command that fetches the files. As V(offered) gave it; for V(taken).
    type: list
    elements: str
    default: []
  tally:
    description:
      - What came. As V(taken) gave it; for V(settled).
    type: dict
    default: {}
  keep:
    description:
      - Whether what came stays; for V(closed).
    type: bool
    default: false
attributes:
  check_mode:
    description: Only looks whether the destination is free.
    support: full
"""

EXAMPLES = r"""
- name: See that the destination is free
  cyborg.backup.carry:
    state: ready
    destination: /var/tmp/restored
  delegate_to: web2.example.org
  register: carry_there
"""

RETURN = r"""
name:
  description: What is called after this try.
  returned: with O(state=ready)
  type: str
folder:
  description: Where files are to be restored to in order to be sent.
  returned: with O(state=ready)
  type: str
owners:
  description: The file for the list of their owners.
  returned: with O(state=ready)
  type: str
take:
  description: The command that fetches the files.
  returned: with O(state=offered)
  type: list
  elements: str
tally:
  description: How many entries of each kind there are, bytes of the files, and a digest.
  returned: with O(state=taken)
  type: dict
notes:
  description: What did not stay at the destination, or could not be removed.
  returned: with O(state=taken) or O(state=closed)
  type: list
  elements: str
"""
