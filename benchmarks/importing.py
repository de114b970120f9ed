"""How long `import cyborglib` takes, beside `import sqlalchemy` and a bare Python.

    python benchmarks/importing.py [--rounds 11]

Each import in a process of its own, in turn; wall medians.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.yard import surroundings  # noqa: E402 - found by the path just set

#: What is measured; `Cyborg` is loaded when it is first asked for.
PROGRAMS = {
    "nothing": "pass",
    "import sqlalchemy": "import sqlalchemy",
    "import cyborglib": "import cyborglib",
    "import cyborglib; cyborglib.Cyborg": "import cyborglib; cyborglib.Cyborg",
}
#: What must not come along.
HEAVY = ("ansible", "ansible_runner", "flask", "alembic")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(rounds):
        for name, program in PROGRAMS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)
            seconds[name].append(time.perf_counter() - began)
    print("\n".join(surroundings()))
    print(f"\n| program | wall s, median of {rounds} | min to max |\n|---|---|---|")
    for name, found in seconds.items():
        print(f"| `{name}` | {median(found):.3f} | {min(found):.3f} to {max(found):.3f} |")
    check = f"import sys, cyborglib; cyborglib.Cyborg; print(*[name for name in {HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", check], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    print(f"\nof {', '.join(HEAVY)} it loads: {loaded.strip() or 'none'}")


if __name__ == "__main__":
    main()
