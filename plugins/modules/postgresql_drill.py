#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: postgresql_drill
author: The cyborglib authors
short_description: Prove that a dump of PostgreSQL loads
description:
  - Counts what an archive that M(cyborg.backup.postgresql_dump) made says it holds, loads it into a new database, and
    counts what is there. The database is dropped, whatever happens.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.archive
  - cyborg.backup.borg.part
  - cyborg.backup.postgresql
attributes:
  check_mode:
    description: The same as without.
    support: full
"""

EXAMPLES = r"""
- name: See whether last night's dump loads
  cyborg.backup.postgresql_drill:
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
