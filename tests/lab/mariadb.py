"""A MariaDB server in one of the lab's hosts, as its administrator has it: Debian's files, started by hand.

It answers on Debian's socket and on the host's own address: hosts share the loopback network, so `localhost` by TCP
would be somebody else's server. Root comes in by the socket without a password, as Debian sets it up.
"""

from __future__ import annotations

import time
from pathlib import Path

from tests.lab.host import Host
from tests.lab.machine import LabError

SOCKET = "/run/mysqld/mysqld.sock"
PID = "/run/mysqld/mysqld.pid"
LOG = "/var/log/mariadb.log"
FILLING = Path(__file__).with_name("databases.sql")
OWN = {"information_schema", "performance_schema", "sys", "mysql"}
#: Between two answers.
MARK = "@@answer@@"
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

    def sql(self, text: str, database: str = "") -> list[list[str]]:
        """Run statements as root, in a database; gives the rows of what they answer."""
        argv = ["mariadb", "--batch", "--skip-column-names", "--raw", "--comments", "--default-character-set=utf8mb4"]
        out = self.host.run([*argv, "--", *([database] if database else [])], input=text).stdout
        return [line.split("\t") for line in out.splitlines()]

    def fill(self, name: str) -> None:
        """Make a database with everything in it."""
        self.sql(FILLING.read_text().replace("@DB@", quoted(name)))

    def drop(self, *names: str) -> None:
        """Drop databases, if they are there."""
        self.sql("SET foreign_key_checks = 0;" + "".join(f"DROP DATABASE IF EXISTS {quoted(name)};" for name in names))

    def databases(self) -> set[str]:
        """Those that are not the server's own."""
        return {row[0] for row in self.sql("SHOW DATABASES")} - OWN

    def state(self, name: str) -> dict[str, str]:
        """All that a database holds, to be compared: rows by their checksums, all else by its definition."""
        here = literal(name)
        things = self.sql(
            f"SELECT TABLE_TYPE, TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = {here} UNION ALL"
            f" SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {here}"
            " UNION ALL SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS"
            f" WHERE EVENT_SCHEMA = {here} ORDER BY 1, 2"
        )
        asked = {}
        for kind, thing in things:
            if kind in ("FUNCTION", "PROCEDURE", "EVENT"):
                asked[f"{kind} {thing}"] = f"SHOW CREATE {kind} {quoted(thing)}"
            else:
                asked[f"{kind} {thing}"] = f"SHOW CREATE TABLE {quoted(thing)}"
            if kind in ("BASE TABLE", "SEQUENCE"):
                asked[f"rows of {thing}"] = f"CHECKSUM TABLE {quoted(thing)}"
        asked["triggers"] = (
            "SELECT EVENT_OBJECT_TABLE, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER, TRIGGER_NAME, SQL_MODE,"
            " DEFINER, DATABASE_COLLATION, TRIM(ACTION_STATEMENT) FROM information_schema.TRIGGERS"
            f" WHERE TRIGGER_SCHEMA = {here} ORDER BY 1, 2, 3, 4"
        )
        asked["its own"] = (
            "SELECT DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA"
            f" WHERE SCHEMA_NAME = {here}"
        )
        # One conversation: a program for each thing would take longer than what is tested.
        text = "".join(f"SELECT '{MARK}';\n{question};\n" for question in asked.values())
        lines = "\n".join("\t".join(row) for row in self.sql(text, name))
        answers = lines.split(MARK)[1:]
        # The database's name stands before a checksum, and in a view that cannot be read any more.
        plain = [answer.replace(f"{quoted(name)}.", "").replace(f"\n{name}.", "\n") for answer in answers]
        return dict(zip(asked, plain, strict=True))


def quoted(name: str) -> str:
    """A name for SQL."""
    return "`" + name.replace("`", "``") + "`"


def literal(name: str) -> str:
    """A name as a text of SQL in which nothing can be taken for SQL."""
    return f"CONVERT(0x{name.encode().hex()} USING utf8mb4) COLLATE utf8mb4_bin"
