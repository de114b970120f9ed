# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that all actions speaking to PostgreSQL take."""


class ModuleDocFragment:
    #: Of all of them: `SERVER` in plugin_utils/postgresql.py.
    DOCUMENTATION = r"""
options:
  user:
    description:
      - Who logs in. Empty for the operating system's account.
    type: str
    default: ""
  password:
    description:
      - The user's password.
    type: str
    default: ""
  host:
    description:
      - The server's name or address, as seen from the host; or the folder of its socket. Empty for the socket at its
        usual place.
    type: str
    default: ""
  port:
    description:
      - The server's port, also of its socket; 0 for the usual one (5432).
    type: int
    default: 0
  account:
    description:
      - The operating system's account that the programs run as where neither user nor password is given, so that the
        server lets it in by its name (peer).
    type: str
    default: postgres
"""
