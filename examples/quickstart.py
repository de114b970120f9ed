"""Back up this machine with Borg, through Ansible, into a vault on its own disk; restore a file and compare it.

    make quickstart

As root it backs up /etc, and Borg is installed if it is missing; otherwise it backs up a folder that you may
read, and Borg must be there. Everything it makes is in one folder, ~/.local/share/cyborglib-quickstart unless a
folder is given; it works again when it is run again. A backup on the disk of its own data is only a start: the
last lines say what to do next.
"""

from __future__ import annotations

import getpass
import os
import shutil
import sys
from pathlib import Path

import cyborglib as cy

FOLDER = Path.home() / ".local" / "share" / "cyborglib-quickstart"
BORG = "sudo apt-get install borgbackup   (or your system's package of BorgBackup 1.2 or later)"


def main(folder: Path = FOLDER) -> int:
    root = os.geteuid() == 0
    if not root and shutil.which("borg") is None:
        print(f"Borg is not installed, and you are not root. Install it, then try again:\n  {BORG}", file=sys.stderr)
        return 1
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with cy.Cyborg(f"sqlite:///{folder / 'cyborg.db'}", state_dir=folder / "state") as cyborg:
        cyborg.on(cy.Event)(cy.console)
        policy = describe(cyborg, folder, root)
        print(f"Backing up {'/etc' if root else sample(folder)} of this machine into {folder / 'vault'}")
        [job] = cyborg.run(policy)
        if job.status is not cy.JobStatus.SUCCESSFUL:
            print(f"\nThe backup ended as {job.status}: {job.error or job.reason}", file=sys.stderr)
            return 1
        archive = cyborg.archives.get(job.archives[0])
        print(f"\nArchive {archive.name}\n  Borg id {archive.borg_id}")
        print(
            f"  {archive.files} files, {size(archive.original_bytes)}; compressed {size(archive.compressed_bytes)}, "
            f"new in the vault {size(archive.deduplicated_bytes)}"
        )
        if not restored(cyborg, archive, "/etc/profile" if root else str(sample(folder) / "sample.txt"), folder):
            return 1
        kit = cyborg.recovery_kit(folder / "recovery-kit.txt")
        print(next_steps(folder, kit))
    return 0


def describe(cyborg: cy.Cyborg, folder: Path, root: bool) -> cy.Policy:
    """The objects of the quickstart: made at the first run, found at the next."""
    try:
        return cyborg.policies.get("quickstart")
    except cy.NotFound:
        pass
    client = cyborg.clients.add(cy.Client("localhost", connection="local", become=False))
    vault = cyborg.repositories.add(cy.Repository("quickstart", str(folder / "vault" / "{client}")))
    options = {} if root else {"folders": [str(sample(folder))]}
    return cyborg.policies.add(
        cy.Policy(
            "quickstart", type="config" if root else "folders", repository=vault, clients=[client], extra_vars=options
        )
    )


def sample(folder: Path) -> Path:
    """A folder that anybody may read."""
    found = folder / "sample"
    found.mkdir(exist_ok=True)
    (found / "sample.txt").write_text(f"A file of {getpass.getuser()}, to be backed up.\n")
    return found


def restored(cyborg: cy.Cyborg, archive: cy.Archive, path: str, folder: Path) -> bool:
    """Bring one file back into a new folder and compare it with the one on disk."""
    job = cyborg.restore(archive, [path], destination=folder / f"restored-{archive.id}-{os.getpid()}")
    [job] = cyborg.finish([job])
    if job.status is not cy.JobStatus.SUCCESSFUL:
        print(f"\nThe restore ended as {job.status}: {job.error}", file=sys.stderr)
        return False
    back = Path(str(job.options["destination"])) / path.lstrip("/")
    if back.read_bytes() != Path(path).read_bytes():
        print(f"\n{back} differs from {path}", file=sys.stderr)
        return False
    print(f"\nRestored {back}: the same as {path}, byte for byte")
    return True


def size(count: int) -> str:
    return f"{count / 1e6:.2f} MB"


def next_steps(folder: Path, kit: Path) -> str:
    return f"""
What to do next:
  1. Copy {kit} to another place: who has it can restore without this machine.
  2. Try a second run: `make quickstart` again is quick, as only what changed is new in the vault.
  3. Back up other hosts, over ssh, into a vault on another machine: README.md, "A fleet".
  4. Put a schedule on it and let `cyborg.serve()` run as a service: README.md, "On schedule".
  5. Remove what this made: rm -r {folder}"""


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:2])))
