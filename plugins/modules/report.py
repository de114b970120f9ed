#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: report
author: The cyborglib authors
short_description: Tell the library that a host's job ended well
description:
  - The last task of a job of several tasks. Where no library started the run, it only returns what it was given.
  - Nothing is done on the host.
options:
  facts:
    description:
      - What the job found out.
    type: dict
    default: {}
  warnings:
    description:
      - What was odd, in words.
    type: list
    elements: str
    default: []
  of:
    description:
      - The result of an earlier task whose failure had to wait until other tasks had cleaned up. If it failed, the
        job ends with its error.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Tells the library nothing.
    support: full
"""

EXAMPLES = r"""
- name: Tell what was found out
  cyborg.backup.report:
    facts:
      version: "{{ looked.version }}"
"""

RETURN = r"""
facts:
  description: As given.
  returned: success
  type: dict
notes:
  description: The warnings, as given.
  returned: success
  type: list
  elements: str
"""
