"""Real ssh hosts on one machine: for the tests, the benchmarks and `make hosts`.

Each host has its own files (an overlay over a small Debian), its own processes (a pid namespace with an
init), its own address (127.83.x.y), its own sshd and ssh host key. It can lose power, be reinstalled, be cut
off and fill its disk. Needs root on Debian or Ubuntu and nothing else that `scripts/install-test-packages`
does not install. Standard library only, so that it runs before anything is built. What hosts are made of is
kept in $CYBORG_LAB_CACHE, else ~/.cache/cyborglib-lab; that folder may be deleted whenever no host is up.

    with Lab() as lab:
        web = lab.host("web1")                   # a Debian without Borg
        nas = lab.host("nas", borg="1.2", tmpfs_vault="64m")
        web.run(["cat", "/etc/hostname"]).stdout  # looked at from outside, not over ssh
        subprocess.run([*web.ssh_argv(), "uptime"])
"""

from tests.lab.host import Host
from tests.lab.lab import Lab
from tests.lab.machine import LabError

__all__ = ["Host", "Lab", "LabError"]
