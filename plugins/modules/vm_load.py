#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: vm_load
author: The cyborglib authors
short_description: Bring back a virtual machine that vm_dump has saved
description:
  - Runs on the hypervisor. Writes the images into a new folder, and defines a new domain with them, which is not
    started. It has a UUID and network addresses (MAC) of its own.
  - An image or a domain that is there is never overwritten. If anything fails, all that is new is removed.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  folder:
    description:
      - The folder for the images; it must be new, or empty. If left out, it is a new one beside the images that were
        saved, or below C(/var/lib/libvirt/images).
    type: str
    default: ""
  define:
    description:
      - Whether to define the domain. If not, only its definition lies beside the images (C(domain.xml)).
    type: bool
    default: true
  into:
    description:
      - The new domain's name. If left out, it is the old one with C(-restored-) and the job's id or the time.
    type: str
    default: ""
  format:
    description:
      - The format of the images. If left out, that of each when it was saved; V(qcow2) for others than these two.
    type: str
    choices: ["", raw, qcow2]
    default: ""
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.load
  - cyborg.backup.borg.archive
  - cyborg.backup.borg.part
attributes:
  check_mode:
    description: Says what it would do.
    support: full
"""

EXAMPLES = r"""
- name: Bring a virtual machine back under another name
  cyborg.backup.vm_load:
    repository: /srv/backup/web1
    passphrase: "{{ vaulted_passphrase }}"
    archive: web1-2031-12-31T23:59:59
    into: web1-test
"""

RETURN = r"""
destination:
  description: The folder with the images.
  returned: success
  type: str
domain:
  description: The new domain's name; empty if it was not defined.
  returned: success
  type: str
"""
