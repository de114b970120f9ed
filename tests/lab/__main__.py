"""The lab by hand:

python -m tests.lab build          build the layers that are missing (what the tests would do on their way)
python -m tests.lab up [N] [BORG]  start N hosts (3) with Borg None (default), 1.2 or 1.4, and leave them up
python -m tests.lab down           end them; also removes what killed sessions have left
python -m tests.lab bare COMMAND   run a shell command in a fresh clone on a bare Debian (see bare.py)
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from tests.lab.bare import bare
from tests.lab.lab import STATE, Lab, sweep
from tests.lab.layers import SERVERS, lower
from tests.lab.machine import LabError, require, try_lock

LOCK, KEEPER = STATE / "keeper.lock", STATE / "keeper"


def build() -> None:
    lower("1.2")  # with what all others are made from
    wanted: list[tuple[str, str | None]] = [("1.4", None), *(("1.2", servers) for servers in SERVERS)]
    with ThreadPoolExecutor(len(wanted)) as pool:
        list(pool.map(lambda each: lower(*each), wanted))


def up(count: str = "3", borg: str = "") -> None:
    """Start a process that keeps hosts, and return when they answer."""
    require()
    if not count.isdigit() or not 1 <= int(count) <= 250:
        raise LabError(f"N={count}: from 1 to 250 hosts.")
    if (lock := try_lock(LOCK)) is None:
        raise LabError("Hosts are up already; `make hosts-down` ends them.")
    lock.close()
    keeper = subprocess.Popen(
        [sys.executable, "-m", "tests.lab", "keep", count, borg],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True, text=True,
    )  # fmt: skip
    assert keeper.stdout
    text = keeper.stdout.read()
    if not text:
        raise LabError("The hosts did not come up.")
    print(text, end="")


def keep(count: str, borg: str) -> None:
    """Hold hosts until told to end."""
    lock = try_lock(LOCK)
    if lock is None:
        raise LabError("Hosts are up already; `make hosts-down` ends them.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with lock, Lab() as lab:
        KEEPER.write_text(str(os.getpid()))
        for host in lab.many(int(count), borg=borg or None):
            print(f"{host.name:8} {host.address:14} {' '.join(host.ssh_argv())}")
        print(f"Port {lab.port}. The agent that opens them:  export SSH_AUTH_SOCK={lab.auth_sock}")
        print(f"Their host keys: {lab.known_hosts_file}. `make hosts-down` ends them.", flush=True)
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            os.dup2(nowhere.fileno(), 2)
        while True:
            signal.pause()


def down() -> None:
    require()
    if (lock := try_lock(LOCK)) is None:
        # The lock is held, so this process is the keeper and not a stranger with its number.
        os.kill(int(KEEPER.read_text()), signal.SIGTERM)
        deadline = time.monotonic() + 60
        while (lock := try_lock(LOCK)) is None:
            if time.monotonic() > deadline:
                raise LabError(f"The process that keeps the hosts ({KEEPER.read_text()}) does not end.")
            time.sleep(0.05)
        print("The hosts are gone.")
    else:
        print("No hosts were up.")
    lock.close()
    if left := sweep():
        print(f"Removed what {left} killed session(s) had left.")


COMMANDS = {"build": build, "up": up, "keep": keep, "down": down, "bare": bare}

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in COMMANDS:
        sys.exit(__doc__)
    try:
        COMMANDS[sys.argv[1]](*sys.argv[2:])
    except LabError as error:
        sys.exit(f"lab: {error}")
