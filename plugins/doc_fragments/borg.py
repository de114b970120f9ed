# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation of the options that several actions speaking Borg take."""


class ModuleDocFragment:
    #: Of all of them: `VAULT` in plugin_utils/borg_action.py.
    DOCUMENTATION = r"""
options:
  repository:
    description:
      - Where the vault is. A folder on the host (C(/srv/backup)), C(ssh://user@host:port/path) or
        C(user@host:path).
      - It has to be given, here or as that variable.
    type: str
  repository_id:
    description:
      - The vault's id, if it is known. Another vault at that place is refused.
    type: str
    default: ""
  passphrase:
    description:
      - The repository's passphrase. Where the library runs this, it comes over the control socket instead.
    type: str
    default: ""
  ssh_key:
    description:
      - The path, on the host, of the private key for the repository's host. Empty for the account's own ssh
        set-up.
    type: str
    default: ""
  known_hosts:
    description:
      - Lines as in C(known_hosts); the only keys by which the repository's host may answer. Empty for the
        account's own files.
    type: str
    default: ""
  lock_wait:
    description:
      - How many seconds Borg waits for another one at work on the vault.
    type: int
    default: 600
  connect_timeout:
    description:
      - How many seconds ssh waits for the repository's host.
    type: int
    default: 10
  base_dir:
    description:
      - The folder for Borg's cache and security data. Empty for the account's own.
    type: str
    default: ""
  program:
    description:
      - Which Borg.
    type: str
    default: borg
  final:
    description:
      - Whether this is the whole job of a host where the library runs it; its end is then the job's end.
        Without the library it changes nothing.
    type: bool
    default: false
"""

    #: `cyborg.backup.borg.limits`, of those that open a vault on the controller: what Borg may take there.
    LIMITS = r"""
options:
  memory_limit:
    description:
      - How many bytes of address space Borg may have; 0 for no limit. A vault is what its clients wrote, and may have
        been made to fill the memory of whoever lists it. Borg that reaches it is a failure, never an empty list.
    type: int
    default: 0
  cpu_limit:
    description:
      - How many seconds of the processor's time Borg may take; 0 for no limit.
    type: int
    default: 0
"""

    #: `cyborg.backup.borg.stream`, of those that make archives, of files or of what commands print.
    STREAM = r"""
options:
  archive:
    description:
      - The archive's name. Empty for one made of host and time.
    type: str
    default: ""
  timestamp:
    description:
      - The archive's time in UTC, like C(2031-12-31T23:59:59). Empty for the host's own.
    type: str
    default: ""
  compression:
    description:
      - As in C(borg create).
    type: str
    default: ""
  upload_ratelimit:
    description:
      - KiB a second to the repository's host; 0 for no limit.
    type: int
    default: 0
"""

    #: `cyborg.backup.borg.hooks`, of those that make a backup: `HOOKS` in plugin_utils/hooks.py.
    HOOKS = r"""
options:
  prehook:
    description:
      - A command for C(bash -o pipefail) on the host before the backup. If it fails, nothing is backed up.
    type: str
    default: ""
  posthook:
    description:
      - The same after the backup, however that ended. If it fails, or is not done within an hour, that is a
        warning.
    type: str
    default: ""
"""

    #: `cyborg.backup.borg.archive`, of those that read one archive.
    ARCHIVE = r"""
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
"""

    #: `cyborg.backup.borg.part`, of those that read what a backup may have made several of.
    PART = r"""
options:
  part:
    description:
      - What the archive is of, where a backup makes several (the database's name).
    type: str
    default: ""
"""

    #: `cyborg.backup.borg.load`, of those that bring a stream back. With the two above it is `LOAD` in
    #: plugin_utils/load_action.py.
    LOAD = r"""
options:
  overwrite:
    description:
      - What is there under that name may be replaced.
    type: bool
    default: false
  dry_run:
    description:
      - Only say what would be done.
    type: bool
    default: false
"""
