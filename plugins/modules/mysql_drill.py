#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: mysql_drill
author: The cyborglib authors
short_description: Prove that a dump of MariaDB or MySQL loads
description:
  - Counts what an archive that M(cyborg.backup.mysql_dump) made says it holds, loads it into a new database, and
    counts what is there. The database is dropped, whatever happens.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  archive:
    description:
      - The archive's name.
      - It has to be given, here or as that variable.
    type: str
  archive_id:
    description:
      - Its id, if that is known; another archive of that name is refused.
    type: str
    default: ""
  part:
    description:
      - What the archive is of, where a backup makes several (the database's name).
    type: str
    default: ""
  user:
    description:
      - The account of the server, which may make databases. Empty for the one that the login has by itself.
    type: str
    default: ""
  password:
    description:
      - Its password.
    type: str
    default: ""
  host:
    description:
      - The server's host, as the host of the task calls it. Empty for that itself, by its socket.
    type: str
    default: ""
  port:
    description:
      - The server's port; 0 for the usual one.
    type: int
    default: 0
  socket:
    description:
      - The path of the server's socket, where that is not the usual one.
    type: str
    default: ""
extends_documentation_fragment:
  - cyborg.backup.borg
attributes:
  check_mode:
    description: The same as without.
    support: full
"""

EXAMPLES = r"""
- name: See whether last night's dump loads
  cyborg.backup.mysql_drill:
    repository: ssh://borg@nas.example.org/srv/borg/db1
    passphrase: "{{ vaulted_passphrase }}"
    archive: shop-2031-12-31
"""

RETURN = r"""
tables:
  description: How many tables were loaded and counted.
  returned: success
  type: int
rows:
  description: How many rows they have.
  returned: success
  type: int
seconds:
  description: How long the load took.
  returned: success
  type: float
"""
