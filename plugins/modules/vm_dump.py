#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: vm_dump
author: The cyborglib authors
short_description: Make a Borg archive of a virtual machine of libvirt
description:
  - Runs on the hypervisor. The archive holds one stream, a tar with the domain's definition, a C(manifest.json), and a
    sparse raw image of each writable disk, all as they were at one moment. Zeroes are neither read nor stored.
  - A domain that runs goes on running. Its guest agent, if one answers, is asked to freeze the file systems for that
    moment.
  - A domain that is shut off cannot be started while its images are read.
  - However it ends, no backup job, checkpoint, snapshot or scratch file is left.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  name:
    description:
      - The domain's name.
    type: str
    required: true
  leave_out:
    description:
      - Disks that are not to be saved, by their targets, like C(vdb). Drives for CDs and floppies, and disks that are
        read-only or transient, are left out in any case. Others that cannot be saved are a failure.
    type: list
    elements: str
    default: []
  quiesce:
    description:
      - Whether the guest agent freezes the guest's file systems for the moment of the backup. V(auto) if it answers;
        with V(required) a backup without that fails; V(never).
    type: str
    choices: [auto, required, never]
    default: auto
  scratch:
    description:
      - The folder for what the guest overwrites while it is saved. It belongs to root.
    type: str
    default: /var/lib/libvirt/cyborg
  keep_free:
    description:
      - MiB that stay free there. With less the backup is given up, as a guest whose scratch file cannot grow is stopped
        by QEMU. Twice as much must be free at the beginning.
    type: int
    default: 1024
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.stream
  - cyborg.backup.borg.hooks
attributes:
  check_mode:
    description: Looks at the domain, and says which archive it would make.
    support: full
"""

EXAMPLES = r"""
- name: Back up a virtual machine
  cyborg.backup.vm_dump:
    repository: /srv/backup/web1
    passphrase: "{{ vaulted_passphrase }}"
    name: web1
"""

RETURN = r"""
archives:
  description: The archive that was made.
  returned: success
  type: list
  elements: dict
"""
