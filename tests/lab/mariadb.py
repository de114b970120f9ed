"""A MariaDB server in one of the lab's hosts, as its administrator has it: Debian's files, started by hand.

It answers on Debian's socket and on the host's own address: hosts share the loopback network, so `localhost` by TCP would
be somebody else's server. Root comes in by the socket without a password, as Debian sets it up.
"""

from __future__ import annotations

import time

from tests.lab.host import Host
from tests.lab.machine import LabError

SOCKET = "/run/mysqld/mysqld.sock"
PID = "/run/mysqld/mysqld.pid"
LOG = "/var/log/mariadb.log"
#: What makes it small and quick; these servers live for seconds.
OPTIONS = (
    "--innodb-buffer-pool-size=24M", "--innodb-log-file-size=16M", "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0", "--innodb-use-native-aio=0", "--performance-schema=0", "--skip-name-resolve=0",
)  # fmt: skip


class MariaDB:
    """A server in a host made with `servers="databases"`."""

    def __init__(self, host: Host, *options: str) -> None:
        self.host, self._options = host, options
        self.start()

    def start(self) -> None:
        """Start it; returns when it answers."""
        argv = ["mariadbd", "--user=mysql", f"--socket={SOCKET}", f"--pid-file={PID}",
                f"--bind-address={self.host.address}", *OPTIONS, *self._options]  # fmt: skip
        script = f'install -d -o mysql /run/mysqld && setsid "$@" </dev/null >>{LOG} 2>&1 &'
        self.host.run(["sh", "-c", script, "sh", *argv])
        self._await(lambda: self.host.run(["mariadb-admin", "ping"], check=False).returncode == 0, "did not start")

    def stop(self) -> None:
        """Stop it as an administrator does."""
        self.host.run(["mariadb-admin", "shutdown"])
        self._await(lambda: not self.host.exists(PID), "did not stop")

    def kill(self) -> None:
        """Let it die at once, as for want of memory."""
        pid = self.host.read(PID).decode().strip()
        self.host.run(["kill", "-KILL", pid])
        gone = ["sh", "-c", '! test -e "/proc/$1"', "sh", pid]
        self._await(lambda: self.host.run(gone, check=False).returncode == 0, "did not die")
        self.host.run(["rm", "-f", PID, SOCKET])

    def _await(self, reached, trouble):  # type: ignore[no-untyped-def]
        deadline = time.monotonic() + 60
        while not reached():
            if time.monotonic() > deadline:
                said = self.host.run(["tail", "-n", "20", LOG], check=False).stdout
                raise LabError(f"MariaDB on {self.host.name} {trouble}: {said}")
            time.sleep(0.05)

    def sql(self, text: str, database: str = "", *arguments: str) -> list[list[str]]:
        """Run statements as root, in a database; gives the rows of what they answer."""
        argv = ["mariadb", "--batch", "--skip-column-names", "--raw", "--binary-mode", "--default-character-set=utf8mb4"]
        out = self.host.run([*argv, *arguments, "--", *([database] if database else [])], input=text).stdout
        return [line.split("\t") for line in out.splitlines()]
