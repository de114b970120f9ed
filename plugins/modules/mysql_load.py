#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: mysql_load
author: The cyborglib authors
short_description: Bring a database of MariaDB or MySQL back from a Borg archive
description:
  - Loads an archive that M(cyborg.backup.mysql_dump) made into a new database. If that fails, the new database is
    removed.
  - With O(overwrite) a database may be there. The archive is then loaded into another one first; only when that is
    whole do its tables take the place of the old ones, all in one statement. If anything fails after that, the old ones
    are put back.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  into:
    description:
      - The database's name. Empty for C(<its name>_restored_<job>), or with O(overwrite) for its own name.
    type: str
    default: ""
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.load
  - cyborg.backup.borg.archive
  - cyborg.backup.borg.part
  - cyborg.backup.mysql
attributes:
  check_mode:
    description: Says how many bytes would be loaded into which database.
    support: full
"""

EXAMPLES = r"""
- name: Bring the shop of that day back, beside the one of today
  cyborg.backup.mysql_load:
    repository: /srv/backup/web1
    passphrase: "{{ vaulted_passphrase }}"
    archive: web1-2031-12-31+shop
    into: shop_2031
"""

RETURN = r"""
database:
  description: The database that was made or replaced.
  returned: success
  type: str
replaced:
  description: Whether there was one of that name.
  returned: success
  type: bool
bytes:
  description: How long the dump is.
  returned: success
  type: int
"""
