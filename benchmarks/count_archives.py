"""Run inside the repository's host: reads [[path, passphrase], …], writes {path: number of archives}.

Uses Debian's Borg 1.2 as a library, which has no stable interface; it is pinned by the lab.
"""

import json
import os
import sys

from borg.helpers import Manifest
from borg.logger import setup_logging
from borg.repository import Repository

setup_logging()
found = {}
for path, passphrase in json.load(sys.stdin):
    owner = os.stat(path)
    os.environ["BORG_PASSPHRASE"] = passphrase
    os.environ["BORG_BASE_DIR"] = f"/tmp/count-{owner.st_uid}"
    # What is written beside a vault while it is read (locks) must be its owner's.
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        with Repository(path, exclusive=False, lock_wait=60) as repository:
            manifest, _key = Manifest.load(repository, (Manifest.Operation.READ,))
            found[path] = len(manifest.archives)
    finally:
        os.seteuid(0)
        os.setegid(0)
json.dump(found, sys.stdout)
