"""How long a backup of a fleet takes: this library beside a bare loop of ssh and beside borgmatic.

    python benchmarks/fleet.py [--hosts 8 24] [--rounds 5] [--only bare cyborglib]

Real ssh hosts, the policy `config` (/etc), a second backup of what has not changed. Takes minutes; needs root.
"""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.contenders import BORGMATIC_VERSION, Bare, Borgmatic, Contender, Library, borgmatic_folder
from benchmarks.rounds import say, table, work_rounds
from benchmarks.yard import Yard, surroundings

CONTENDERS = {"bare": Bare, "cyborglib": Library, "borgmatic": Borgmatic}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, nargs="+", default=[8, 24], metavar="N")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS), metavar="NAME")
    asked = parser.parse_args()
    chosen = list(dict.fromkeys(["bare", *asked.only]))
    print("\n".join(surroundings()))
    for count in asked.hosts:
        measure(count, asked.rounds, chosen)


def measure(count: int, rounds: int, chosen: list[str]) -> None:
    """Measure one size of fleet and print its table."""
    with ExitStack() as stack:
        yard = stack.enter_context(Yard(count, borgmatic_folder() if "borgmatic" in chosen else None))
        contenders: list[Contender] = [CONTENDERS[name](yard) for name in chosen]
        for contender in contenders:
            stack.callback(contender.close)
            say(f"{count} hosts: preparing {contender.name}")
            contender.prepare()
        borg = yard.nas.run(["borg", "--version"]).stdout.strip()
        results = work_rounds(yard, contenders, rounds)
    load = f"load after {os.getloadavg()[0]:.1f}"
    print(f"\n{count} hosts, {rounds} rounds, {borg}, borgmatic {BORGMATIC_VERSION}, {load}\n")
    print("\n".join(table(results, "bare")), flush=True)


if __name__ == "__main__":
    main()
