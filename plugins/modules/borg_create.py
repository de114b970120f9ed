#!/usr/bin/python
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of an action; what works is in plugins/action."""

DOCUMENTATION = r"""
module: borg_create
author: The cyborglib authors
short_description: Make a Borg archive, and prove that it holds what was asked for
description:
  - Starts C(borg create) on the host, detached from the connection, and follows it to its end. A connection
    that breaks meanwhile is made again.
  - Every root is looked at before Borg starts and after it has ended. It is a failure if one is missing,
    unreadable, empty, or not in the archive, if nothing was saved, or if Borg's answer cannot be read.
  - Every option that is left out is taken from the variable C(borg_<option>), if there is one.
options:
  files_cache_suffix:
    description:
      - Keeps the files caches of several policies on one host apart.
    type: str
    default: ""
  roots:
    description:
      - What to back up, as whole paths.
      - It has to be given, here or as that variable.
    type: list
    elements: str
  roots_optional:
    description:
      - Take those of the roots that exist. One of them must.
    type: bool
    default: false
  mounts:
    description:
      - Take every real local file system below the roots as a root of its own.
    type: bool
    default: false
  follow:
    description:
      - Where a root is a symbolic link, take what it leads to.
    type: bool
    default: true
  excludes:
    description:
      - What to leave out. A text is a whole path; a mapping has C(style) (path, shell, fnmatch or regex) and
        C(pattern).
    type: list
    elements: raw
    default: []
  one_file_system:
    description:
      - Do not go into what is mounted below a root.
    type: bool
    default: false
  exclude_caches:
    description:
      - Leave out folders that hold a C(CACHEDIR.TAG).
    type: bool
    default: false
  exclude_nodump:
    description:
      - Leave out files with the attribute nodump.
    type: bool
    default: false
  max_unreadable:
    description:
      - How many files may be unreadable. Up to that many are a warning, more a failure.
    type: int
    default: 0
  allow_empty:
    description:
      - Roots may be empty, and an archive without a file is a success.
    type: bool
    default: false
  allow_moved:
    description:
      - Roots may be on other file systems than the last time, as after a move to a new disk.
    type: bool
    default: false
  expected_roots:
    description:
      - For each root the file system it was on the last time. A root that is on another one now is a failure,
        as a disk may not be mounted.
    type: dict
    default: {}
extends_documentation_fragment:
  - cyborg.backup.borg
  - cyborg.backup.borg.stream
  - cyborg.backup.borg.hooks
attributes:
  check_mode:
    description: Looks at the roots, and lets Borg read them without writing.
    support: full
"""

EXAMPLES = r"""
- name: Back up the web server's files
  cyborg.backup.borg_create:
    repository: ssh://borg@nas.example.org/srv/borg/web1
    passphrase: "{{ vaulted_passphrase }}"
    archive: web1-2031-12-31
    roots:
      - /srv/www
    excludes:
      - /srv/www/cache
      - style: shell
        pattern: "**/*.tmp"
"""

RETURN = r"""
archive:
  description: What was made.
  returned: success
  type: dict
  contains:
    name:
      description: The archive's name.
      type: str
    borg_id:
      description: Its id.
      type: str
    roots:
      description: Pairs of a root and the identity of the file system that it was on.
      type: list
      elements: list
    stats:
      description: How many files and bytes, and how many seconds.
      type: dict
warnings:
  description: What was odd, in words.
  returned: success
  type: list
  elements: str
"""
