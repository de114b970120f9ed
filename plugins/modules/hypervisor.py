#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: hypervisor
author: The cyborglib authors
short_description: Make sure that virtual machines of libvirt can be backed up on a host
description:
  - Looks whether libvirt answers and has backup jobs, installs the programs that are missing around it (C(virsh),
    C(qemu-img), C(qemu-nbd)), and makes the folder for scratch files. libvirt itself is not installed or started.
  - Run a second time it changes nothing.
options:
  scratch:
    description:
      - The folder for what guests overwrite while they are saved. It becomes root's, mode 0711.
    type: path
    default: /var/lib/libvirt/cyborg
attributes:
  check_mode:
    description: Says in RV(changes) what would be done.
    support: full
"""

EXAMPLES = r"""
- name: Make sure that virtual machines can be backed up here
  cyborg.backup.hypervisor:
"""

RETURN = r"""
facts:
  description: What the hypervisor has.
  returned: success
  type: dict
  contains:
    libvirt_version:
      description: The version of libvirt's daemon.
      type: str
    qemu_version:
      description: The version of QEMU.
      type: str
    backup:
      description: Whether there are backup jobs; null if libvirt does not say.
      type: bool
    domains:
      description: The names of its domains.
      type: list
      elements: str
    missing:
      description: Programs that are missing.
      type: list
      elements: str
    scratch_free:
      description: Bytes that are free in the folder for scratch files.
      type: int
changes:
  description: Sentences on what was done, or would be.
  returned: success
  type: list
  elements: str
notes:
  description: Sentences to think about.
  returned: success
  type: list
  elements: str
"""
