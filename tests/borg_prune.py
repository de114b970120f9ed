"""Run by the Python that Borg is installed for: makes empty archives at given times, then answers for each line of
its standard input what `borg prune --dry-run --list` says. One process, as most of a Borg call is its start."""

import json
import logging
import os
import sys
import tempfile
import time
from datetime import UTC, datetime

os.environ["BORG_BASE_DIR"] = tempfile.mkdtemp(dir=sys.argv[1])
os.environ["BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK"] = "yes"

from borg.archive import Archive
from borg.archiver import Archiver
from borg.cache import Cache
from borg.helpers import Manifest
from borg.repository import Repository

REPOSITORY = os.path.join(os.environ["BORG_BASE_DIR"], "repository")


def run(*argv):
    borg = Archiver()
    return borg.run(borg.parse_args(list(argv)))


class Kept(logging.Handler):
    """The lines of `--list`."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


assert run("init", "-e", "none", REPOSITORY) == 0
with Repository(REPOSITORY, exclusive=True) as repository:
    manifest, key = Manifest.load(repository, (Manifest.Operation.WRITE,))
    with Cache(repository, key, manifest) as cache:
        for name, moment in json.loads(sys.stdin.readline()):
            made = Archive(repository, key, manifest, name, cache=cache, create=True)
            made.save(timestamp=datetime.fromtimestamp(moment, UTC).replace(tzinfo=None))
print("ready", flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    os.environ["TZ"] = asked["zone"]
    time.tzset()
    kept = Kept()
    logging.getLogger("borg.output.list").addHandler(kept)
    rc = run("prune", "--dry-run", "--list", "--glob-archives", asked["glob"], *asked["options"], REPOSITORY)
    logging.getLogger("borg.output.list").removeHandler(kept)
    print(json.dumps({"rc": rc, "lines": kept.lines}), flush=True)
