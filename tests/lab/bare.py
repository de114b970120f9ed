"""Does it work on a machine where nothing is installed? Tried in a host: a Debian without make, git or venv.

The host gets a clone of the checkout's HEAD, Debian's package sources, and this machine's certificates and pip
configuration; `git` and `make` are installed first, as the README tells a reader to.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.lab.lab import FIRST_BLOCK, Lab
from tests.lab.layers import SUITE, mirror
from tests.lab.machine import environment

README_SAYS = "apt-get -qq update && apt-get install -qq -y git make >/dev/null 2>&1"
#: What a session's environment may tell pip, curl and apt about reaching the network.
NETWORK = ("PIP_", "SSL_CERT", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


def bare(command: str) -> None:
    """Run a shell command in the clone, its output shown; exits with its return code."""
    checkout = Path(__file__).resolve().parents[2]
    with Lab() as lab:
        host = lab.host("bare")
        host.write("/etc/apt/sources.list", f"deb {mirror()} {SUITE} main\n")
        for file in ("/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf"):
            if Path(file).exists():
                shutil.copyfile(file, host.root / file.lstrip("/"))
        clone = ["git", "clone", "--quiet", "--no-hardlinks", checkout, host.root / "root/cyborglib"]
        subprocess.run(clone, check=True)
        network = {name: value for name, value in os.environ.items() if name.upper().startswith(NETWORK)}
        done = subprocess.run(
            [*host.enter, "bash", "-c", f"{README_SAYS} && cd /root/cyborglib && {command}"],
            stdin=subprocess.DEVNULL, check=False,
            env=environment({**network, FIRST_BLOCK: str(lab.block + 100)}),
        )  # fmt: skip
    sys.exit(done.returncode)
