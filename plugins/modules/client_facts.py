#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: client_facts
author: The cyborglib authors
short_description: What a host is that is to be backed up
description:
  - Asks the host once, with the rights of the account that logs in, and changes nothing there.
  - Needs Python 3.6 or later on the host, and nothing else.
  - Whatever the host answers is taken only if it is of the right kind and not too long.
attributes:
  check_mode:
    description: Runs as it always does.
    support: full
"""

EXAMPLES = r"""
- name: Look at the host
  cyborg.backup.client_facts:
  register: client
"""

RETURN = r"""
facts:
  description: The facts.
  returned: success
  type: dict
  contains:
    uid:
      description: The number of the account that logs in.
      type: int
    user:
      description: Its name.
      type: str
    home:
      description: Its home folder.
      type: str
    python:
      description: RV(facts.python.path) and RV(facts.python.version) of the Python that the agent runs in.
      type: dict
    os:
      description: What os-release(5) says, as C(id), C(version), C(name) and C(like).
      type: dict
    kernel:
      description: The kernel's version.
      type: str
    machine:
      description: The kind of machine, like C(x86_64).
      type: str
    hostname:
      description: What the host calls itself.
      type: str
    ip:
      description: The address at which it was reached over ssh; else that from which it sends.
      type: str
    addresses:
      description: All its addresses but the loopback's own.
      type: list
      elements: str
    manager:
      description: Its package manager (apt-get, dnf, zypper, pacman, apk), or an empty text.
      type: str
    borg:
      description: The path of Borg, or an empty text.
      type: str
    borg_version:
      description: Its version; an empty text if it does not run.
      type: str
    borg_problem:
      description: Why it does not run.
      type: str
    systemd:
      description: Whether systemd runs the host.
      type: bool
    memory_folders:
      description: Those of /run and /dev/shm that lie in memory.
      type: list
      elements: str
    tar:
      description: The path of tar, or an empty text; so for C(bash), C(ssh), C(ssh_keygen) and C(sudo).
      type: str
    sudo_logs_input:
      description: Whether sudo logs what it is fed; null if it does not say.
      type: bool
notes:
  description: Sentences on what is not as it should be.
  returned: success
  type: list
  elements: str
"""
