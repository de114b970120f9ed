"""Where the time of a run goes: a run of real hosts cut into phases, cold and warm.

    python benchmarks/phases.py [--hosts 8] [--rounds 3]

Measures by wrapping functions of the library, so it has to be changed with them. Needs root.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.contenders import Library
from benchmarks.rounds import say
from benchmarks.yard import Cpu, Yard, surroundings
from cyborglib.ansible.playbook import AnsiblePlaybook
from cyborglib.ansible.work import Work
from cyborglib.cyborg import Cyborg
from cyborglib.engine.control import EngineControl
from cyborglib.engine.hands import Hands

#: What is seen, in order: the moment by which it was last seen is the end of a phase.
PHASES = (
    ("told", "launch, claim, inventory: until ansible-playbook is told what to do"),
    ("playbook_on_play_start", "Ansible loads (what is left of it) and reads playbook and inventory"),
    ("runner_on_start", "a process for each host is forked; the first ones are at work already"),
    ("ended", "Borg, and the exchanges with the hosts: until the last job has ended"),
    ("returned", "until `run` returns"),
)
STORE = ("_launch", "take", "started", "progress", "ended")


class Clock:
    """Keeps when things happened in one run, and how long those of one name took together."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.begin()

    def begin(self) -> None:
        self.origin = time.perf_counter()
        self.last: dict[str, float] = {}
        self.spent: dict[str, float] = defaultdict(float)

    def seen(self, name: str) -> None:
        self.last[name] = time.perf_counter() - self.origin

    def wrap(self, owner: type, name: str) -> None:
        """Measure every call of a method."""
        method: Callable[..., Any] = getattr(owner, name)

        def measured(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return method(*given, **named)
            finally:
                with self._lock:
                    self.spent[name] += time.perf_counter() - began
                    self.seen(name)

        setattr(owner, name, measured)


def watch(clock: Clock) -> None:
    """Put the clock into the library."""
    for owner, names in ((Cyborg, ("_launch",)), (Hands, ("take",)), (EngineControl, ("started", "progress", "ended"))):
        for name in names:
            clock.wrap(owner, name)
    play, event = AnsiblePlaybook.play, Work._event

    def told(self: AnsiblePlaybook, *given: Any) -> Any:
        clock.seen("told")
        return play(self, *given)

    def happened(self: Work, found: Any) -> None:
        clock.seen(str(found.get("event")))
        event(self, found)

    # Put over methods on purpose: the library has no place for a clock.
    AnsiblePlaybook.play = told  # type: ignore[method-assign]
    Work._event = happened  # type: ignore[method-assign]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    clock = Clock()
    watch(clock)
    print("\n".join(surroundings()))
    found: dict[str, list[tuple[dict[str, float], dict[str, float], Cpu]]] = {"cold": [], "warm": []}
    with Yard(asked.hosts) as yard:
        library = Library(yard)
        try:
            library.prepare()
            for number in range(asked.rounds):
                say(f"round {number + 1} of {asked.rounds}")
                for kind, turns in found.items():
                    library.begin(warm=kind == "warm")
                    # Time for what a run leaves to do after it has returned.
                    time.sleep(2)
                    before = yard.cpu()
                    clock.begin()
                    library.turn()
                    clock.seen("returned")
                    turns.append((dict(clock.last), dict(clock.spent), yard.cpu() - before))
        finally:
            library.close()
    for kind, turns in found.items():
        print(f"\n{kind}, {asked.hosts} hosts, medians of {asked.rounds}\n\n| until | s | phase |\n|---|---|---|")
        for name, meaning in PHASES:
            print(f"| {median(last[name] for last, _, _ in turns):.2f} | {_phase(turns, name):.2f} | {meaning} |")
        store = median(sum(spent[name] for name in STORE) for _, spent, _ in turns)
        cpu = [median(getattr(used, part) for _, _, used in turns) for part in ("controller", "clients", "nas")]
        print(f"\nin the store's reads and writes, of all threads: {store:.2f} s")
        print(f"CPU: here {cpu[0]:.2f} s, clients {cpu[1]:.2f} s, repository host {cpu[2]:.2f} s")


def _phase(turns: list[tuple[dict[str, float], dict[str, float], Cpu]], name: str) -> float:
    names = [known for known, _ in PHASES]
    position = names.index(name)
    return median(last[name] - (last[names[position - 1]] if position else 0.0) for last, _, _ in turns)


if __name__ == "__main__":
    main()
