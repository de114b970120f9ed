#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: postgresql_dump
author: The cyborglib authors
short_description: Back up databases of PostgreSQL, each into a Borg archive of its own
description:
  - Asks the server what there is, and runs C(pg_dump) for each database and C(pg_dumpall --globals-only) for roles and
    tablespaces. Each of them becomes an archive; one that fails does not keep the others from being made.
  - A dump is compared with what the server had at the same moment, and read to its end by C(pg_restore). There is no
    archive of one that is not whole.
  - The password reaches the host through a pipe. It is on no command line, in no environment and in no file that has a
    name.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  databases:
    description:
      - The databases, as one name or a list of names. A text is exactly one name. Left out, all of them.
    type: raw
  database:
    description:
      - The same, for one.
    type: str
    default: ""
  leave_out:
    description:
      - Names that are not taken of all databases.
    type: list
    elements: str
    default: []
  globals:
    description:
      - Whether roles and tablespaces are saved as well. Left out, that is so where all databases are.
    type: bool
  allow_empty:
    description:
      - A database that was named, or the whole server, may hold nothing.
    type: bool
    default: false
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.stream
  - cyborg.backup.borg.hooks
  - cyborg.backup.postgresql
attributes:
  check_mode:
    description: Asks the server, and says which archives it would make.
    support: full
"""

EXAMPLES = r"""
- name: Back up the whole server as its own account
  cyborg.backup.postgresql_dump:
    repository: /srv/backup/db1
    passphrase: "{{ vaulted_passphrase }}"

- name: Back up two databases as a user of the server
  cyborg.backup.postgresql_dump:
    repository: /srv/backup/db1
    passphrase: "{{ vaulted_passphrase }}"
    databases: [orders, customers]
    host: 127.0.0.1
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
