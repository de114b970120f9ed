"""How much memory the controller needs for one run of many hosts.

    python benchmarks/memory.py [--hosts 50] [--megabytes 48]

The proportional set size (PSS) of this process and all below it (Ansible, its workers, ssh, its agent), sampled
while all hosts are at work on something that takes seconds. Real ssh hosts; needs root. The hosts' own processes,
which are on the same machine, are left out: they are in pid namespaces of their own.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cyborglib as cy
from benchmarks.contenders import Library
from benchmarks.rounds import say
from benchmarks.yard import Yard, surroundings, tree

EVERY = 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=50)
    parser.add_argument("--megabytes", type=int, default=48, help="of random data in each host's /etc")
    asked = parser.parse_args()
    print("\n".join(surroundings()))
    with Yard(asked.hosts) as yard:
        library = Library(yard)
        try:
            say(f"{asked.hosts} hosts: preparing")
            library.prepare()
            for host in yard.clients:
                host.run(["dd", "if=/dev/urandom", "of=/etc/large", "bs=1M", f"count={asked.megabytes}", "status=none"])
            library.begin(warm=True)
            before = pss()
            peak, seconds, at_once = watched(library)
        finally:
            library.close()
    print(f"\n{asked.hosts} hosts in one run, {seconds:.1f} s; {at_once} Borgs at work at the same time")
    total, idle = sum(peak.values()) / 1024, sum(before.values()) / 1024
    print(f"before the run: {idle:.0f} MB; at the peak: {total:.0f} MB, of which")
    for name, kilobytes in sorted(peak.items(), key=lambda pair: -pair[1]):
        print(f"  {name:30} {kilobytes / 1024:6.1f} MB")


def watched(library: Library) -> tuple[dict[str, int], float, int]:
    """The largest sample of a turn, its seconds, and how many jobs were at work at the same time."""
    peak: dict[str, int] = {}
    over = threading.Event()

    def sample() -> None:
        nonlocal peak
        while not over.wait(EVERY):
            now = pss()
            if sum(now.values()) > sum(peak.values()):
                peak = now

    at_work: set[int] = set()
    most = 0

    def count(event: cy.Event) -> None:
        nonlocal most
        if isinstance(event, cy.JobProgressed):
            at_work.add(event.job.id or 0)
        elif isinstance(event, cy.JobSucceeded | cy.JobFailed):
            at_work.discard(event.job.id or 0)
        most = max(most, len(at_work))

    library.cyborg.on(cy.Event)(count)
    thread = threading.Thread(target=sample)
    thread.start()
    began = time.monotonic()
    try:
        library.turn()
    finally:
        seconds = time.monotonic() - began
        over.set()
        thread.join()
    return peak, seconds, most


def pss() -> dict[str, int]:
    """Kilobytes by kind of process, of this process's tree without what is inside the lab's hosts."""
    own = os.readlink("/proc/self/ns/pid")
    found: dict[str, int] = defaultdict(int)
    for pid in tree():
        with suppress(OSError, StopIteration):  # It may just have ended.
            if os.readlink(f"/proc/{pid}/ns/pid") != own:
                continue
            if _kind(pid) == "unshare":  # What the lab keeps for each host.
                continue
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            size = next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
            found[_kind(pid)] += size
    return dict(found)


def _kind(pid: int) -> str:
    if pid == os.getpid():
        return "this process (library)"
    command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    if any(word.endswith(b"waiting_playbook.py") for word in command):
        return "Ansible and its workers"
    return Path(f"/proc/{pid}/comm").read_text().strip()


if __name__ == "__main__":
    main()
