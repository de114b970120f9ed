#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: client_borg
author: The cyborglib authors
short_description: Make sure that a host has a Borg that can be used
description:
  - Installs Borg, and the OpenSSH client, by the host's package manager (apt-get, dnf, zypper, pacman or apk) where
    they are missing; or puts a given binary into C(/usr/local/bin/borg).
  - Of many tasks that prepare one host at once, one installs, and the others find it done. A package manager at
    work for somebody else is waited for (five minutes).
  - A Borg that works is never removed. One before 1.2 is refused; faults of newer ones are told in RV(notes).
  - Installing goes on if the connection breaks, and can be canceled; a package manager that is at work is then left
    to end in good order.
options:
  update:
    description: Bring Borg up to date where the package manager installed it.
    type: bool
    default: false
  binary:
    description: The path, on the controller, of a Borg binary for this host.
    type: path
    default: ""
  binary_sha256:
    description: Its SHA-256. A binary with another one is refused, and nothing is changed.
    type: str
    default: ""
  ssh:
    description: Install the OpenSSH client as well, without which only vaults on the host itself can be used.
    type: bool
    default: true
attributes:
  check_mode:
    description: Says in RV(changes) what would be done.
    support: full
"""

EXAMPLES = r"""
- name: Make sure that Borg is there
  cyborg.backup.client_borg:

- name: Use a binary of the Borg project
  cyborg.backup.client_borg:
    binary: /srv/files/borg-linux-glibc231-x86_64
    binary_sha256: "{{ borg_sha256 }}"
"""

RETURN = r"""
borg:
  description: The path of Borg.
  returned: success
  type: str
borg_version:
  description: Its version.
  returned: success
  type: str
uid:
  description: The number of the account that Borg runs as.
  returned: success
  type: int
home:
  description: Its home folder.
  returned: success
  type: str
missing:
  description: Programs that are not there and could not be installed.
  returned: success
  type: list
  elements: str
changes:
  description: What was done, or would be.
  returned: success
  type: list
  elements: str
notes:
  description: Sentences on what is not as it should be, such as known faults of the version.
  returned: success
  type: list
  elements: str
"""
