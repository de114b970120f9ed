"""Rounds in which each contender has its turn, and what came of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from statistics import median

from attrs import define, field

from .contenders import Contender
from .yard import Cpu, Yard


@define
class Series:
    """One contender's turns of one kind ("cold" or "warm")."""

    seconds: list[float] = field(factory=list)
    cpu: list[Cpu] = field(factory=list)


Results = dict[tuple[str, str], Series]


def work_rounds(yard: Yard, contenders: Sequence[Contender], rounds: int) -> Results:
    """Let each contender back up the fleet cold and then warm in every round, each round beginning with another.

    After each turn the archives in its vaults are counted: a turn that did not leave one more in each raises
    RuntimeError, so that no figure comes from a run that failed.
    """
    results: Results = {}
    counted = {contender.name: yard.count_archives(contender.vaults()) for contender in contenders}
    for number in range(rounds):
        say(f"round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}")
        first = number % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            for kind in ("cold", "warm"):
                contender.begin(kind == "warm")
                before = yard.cpu()
                seconds = contender.turn()
                used = yard.cpu() - before
                contender.end()
                expected = {vault: count + 1 for vault, count in counted[contender.name].items()}
                found = yard.count_archives(contender.vaults())
                if found != expected or len(found) != len(yard.clients):
                    raise RuntimeError(f"{contender.name} ({kind}): archives {found}, expected {expected}")
                counted[contender.name] = found
                series = results.setdefault((contender.name, kind), Series())
                series.seconds.append(seconds)
                series.cpu.append(used)
                say(
                    f"  {contender.name:9} {kind}  {seconds:6.2f} s   cpu: here {used.controller:.2f}, "
                    f"clients {used.clients:.2f}, nas {used.nas:.2f}"
                )
    return results


def table(results: Results, base: str) -> list[str]:
    """Markdown: a line for each contender and kind, with ratios to `base` of the same kind."""
    lines = [
        "| ssh | contender | wall s, median | min to max | wall ratio | CPU s: here + clients + nas | CPU ratio |",
        "|---|---|---|---|---|---|---|",
    ]
    for kind in ("cold", "warm"):
        against = results[base, kind]
        for (name, found), series in results.items():
            if found != kind:
                continue
            cpu = [median(getattr(used, part) for used in series.cpu) for part in ("controller", "clients", "nas")]
            # Of each round by itself, as the machine may have been busier in one of them.
            ratio = median(a / b for a, b in zip(series.seconds, against.seconds, strict=True))
            cpu_ratio = median(a.all / b.all for a, b in zip(series.cpu, against.cpu, strict=True))
            spread = f"{min(series.seconds):.2f} to {max(series.seconds):.2f}"
            parts = " + ".join(f"{part:.2f}" for part in cpu)
            cells = (kind, name, f"{median(series.seconds):.2f}", spread, f"{ratio:.2f}", parts, f"{cpu_ratio:.2f}")
            lines.append(f"| {' | '.join(cells)} |")
    return lines


def say(line: str) -> None:
    """Show on stderr how far it is; the table goes to stdout."""
    print(line, file=sys.stderr, flush=True)
