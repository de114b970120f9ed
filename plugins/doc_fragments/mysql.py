# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that all actions speaking to MariaDB or MySQL take."""


class ModuleDocFragment:
    #: Of all of them: `LOGIN` in plugin_utils/mysql_login.py.
    DOCUMENTATION = r"""
options:
  user:
    description:
      - The account of the server. Empty for the one that the login has by itself.
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
"""
