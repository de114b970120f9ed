#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: mysql_dump
author: The cyborglib authors
short_description: Make Borg archives of databases of MariaDB or MySQL
description:
  - Each database becomes an archive of its own, made by C(mariadb-dump) (or C(mysqldump)) in one transaction. A
    database that fails has no archive and does not keep the others from being made; the task has failed all the same.
  - Before that the server is asked what it holds, and whether the account may read all of it. What the dump holds is
    compared with the answer.
  - The password reaches the host through a pipe. It is on no command line, in no environment and in no file.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  databases:
    description:
      - One name, or a list of names. A text is one name, whatever is in it. Empty for all but information_schema,
        performance_schema and sys.
    type: raw
  database:
    description:
      - One database, as another way to name it.
    type: str
    default: ""
  leave_out:
    description:
      - Databases that are not backed up where all others are.
    type: list
    elements: str
    default: []
  routines:
    description:
      - Save stored procedures and functions.
    type: bool
    default: true
  events:
    description:
      - Save events.
    type: bool
    default: true
  triggers:
    description:
      - Save triggers.
    type: bool
    default: true
  allow_empty:
    description:
      - A database, or the server, may be empty.
    type: bool
    default: false
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.stream
  - cyborg.backup.borg.hooks
  - cyborg.backup.mysql
attributes:
  check_mode:
    description: Asks the server, and says which archives it would make.
    support: full
"""

EXAMPLES = r"""
- name: Back up two databases
  cyborg.backup.mysql_dump:
    repository: /srv/backup/web1
    passphrase: "{{ vaulted_passphrase }}"
    databases:
      - shop
      - wiki
    user: backup
    password: "{{ vaulted_password }}"
"""

RETURN = r"""
archives:
  description: The archives that were made.
  returned: success
  type: list
  elements: dict
"""
