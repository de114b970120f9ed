#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: postgresql_load
author: The cyborglib authors
short_description: Bring a database of PostgreSQL back from a Borg archive
description:
  - The archive of a database that M(cyborg.backup.postgresql_dump) made goes into a new database, with encoding,
    collation, owner, rights and settings of the one it was made of. The database takes its name when it is whole.
  - In the place of a database that is there it goes only with O(overwrite), by one change of names. Whoever is
    connected to the old one is disconnected, and the old one is dropped when the new one has its place.
  - Of the archive of roles those are made that are missing; a role that is there is left alone.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  into:
    description:
      - What the database is to be called. Left out, C(<name>_restored_<number of the job>), or with O(overwrite) its
        own name.
    type: str
    default: ""
  roles:
    description:
      - Before a database is loaded, make those roles of the same backup that are missing. The backup must hold them.
    type: bool
    default: false
  owners:
    description:
      - Give everything to the roles it belonged to, with their rights. It is a failure if one of them is missing.
        Without this, all belongs to whoever restores it, in the server's own tablespace.
    type: bool
    default: true
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.load
  - cyborg.backup.postgresql
  - cyborg.backup.borg.archive
  - cyborg.backup.borg.part
attributes:
  check_mode:
    description: Says how many bytes would go where.
    support: full
"""

EXAMPLES = r"""
- name: Bring a database back beside the one that is there
  cyborg.backup.postgresql_load:
    repository: /srv/backup/db1
    passphrase: "{{ vaulted_passphrase }}"
    archive: db1-2031-12-31+orders
    into: orders_of_december
"""

RETURN = r"""
database:
  description: What it is called.
  returned: success, for a database
  type: str
replaced:
  description: Whether one of that name was there.
  returned: success, for a database
  type: bool
bytes:
  description: How long the dump is.
  returned: success, for a database
  type: int
roles:
  description: The roles that were made.
  returned: success, for an archive of roles
  type: list
  elements: str
"""
