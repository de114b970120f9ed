#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: vm_drill
author: The cyborglib authors
short_description: Prove that a saved virtual machine boots
description:
  - Writes the images of an archive that M(cyborg.backup.vm_dump) made into a new folder, and boots the machine from
    them without a network and without anything else that reaches out of it, until it says something. Then machine and
    images are removed.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  folder:
    description:
      - Where to make the folder for the images.
    type: str
    default: /var/lib/libvirt/images
  console:
    description:
      - What the machine says on its serial console when it is up, a regular expression. Empty for what boot loaders,
        kernels and logins say, or a guest agent that answers.
    type: str
    default: ""
  seconds:
    description:
      - How many seconds it has for that.
    type: int
    default: 300
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.archive
  - cyborg.backup.borg.part
attributes:
  check_mode:
    description: The same as without.
    support: full
"""

EXAMPLES = r"""
- name: See whether the machine boots from what was saved
  cyborg.backup.vm_drill:
    repository: ssh://borg@nas.example.org/srv/borg/kvm1
    passphrase: "{{ vaulted_passphrase }}"
    archive: web1-2031-12-31
"""

RETURN = r"""
seconds:
  description: How long it took until the machine was up.
  returned: success
  type: float
"""
