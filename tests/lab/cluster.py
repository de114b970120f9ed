"""PostgreSQL in a host of the lab: Debian's own cluster, at the host's own address, as it would be in life."""

from __future__ import annotations

import subprocess

from tests.lab.host import Host
from tests.lab.machine import LabError

PORT = 5432
_FAST = "fsync=off\nfull_page_writes=off\nautovacuum=off\nshared_buffers=16MB\nmax_connections=40\n"


class Cluster:
    """The server of a host that was made with `servers="databases"`; up after `start()`.

    Its `postgres` logs in by peer on the socket; everybody else by a password (scram), at the host's address.
    """

    def __init__(self, host: Host) -> None:
        self.host = host
        [self.version] = host.run(["ls", "/etc/postgresql"]).stdout.split()

    def start(self) -> Cluster:
        """Up, and answering."""
        folder = f"/etc/postgresql/{self.version}/main/conf.d"
        self.host.write(f"{folder}/lab.conf", f"listen_addresses='{self.host.address}'\nport={PORT}\n{_FAST}")
        # Hosts of the lab share their loopback, so they come from 127.0.0.1.
        rule = "host all all 127.0.0.0/8 scram-sha-256\n"
        self.host.write(
            f"/etc/postgresql/{self.version}/main/pg_hba.conf",
            f"local all postgres peer\nlocal all all scram-sha-256\n{rule}", 0o644,
        )  # fmt: skip
        self.host.run(["install", "-d", "-o", "postgres", "-g", "postgres", "/var/run/postgresql"])
        self._control("start")
        return self

    def stop(self) -> None:
        """Down at once, as if somebody had stopped it for maintenance."""
        self._control("stop", "-m", "fast")

    def _control(self, *words: str) -> None:
        # Its output goes to a file: the server keeps what it inherits open, and a pipe would never end.
        script = (
            'pg_ctlcluster "$@" > /tmp/pg_ctlcluster 2>&1 || { cat /tmp/pg_ctlcluster /var/log/postgresql/*; exit 1; }'
        )
        self.host.run(["sh", "-c", script, "sh", self.version, "main", *words])

    def sql(self, text: str, database: str = "postgres") -> str:
        """What statements print, each committed by itself; as the superuser."""
        # The name comes by the environment: as an argument it could be read as a connection string.
        argv = ["env", f"PGDATABASE={database}", "psql", "-XAtq", "-v", "ON_ERROR_STOP=1"]
        done: subprocess.CompletedProcess[str] = self.host.run(argv, input=text, user="postgres", check=False)
        if done.returncode:
            raise LabError(f"psql: {done.stderr.strip()}")
        return done.stdout.strip()

    def create(self, name: str, text: str = "") -> None:
        """A new database, in which some statements are run."""
        self.sql(f"create database {quoted(name)};")
        if text:
            self.sql(text, name)

    def drop(self, *names: str) -> None:
        """Gone, whoever is connected."""
        for name in names:
            self.sql(f"drop database if exists {quoted(name)} with (force);")

    def databases(self) -> list[str]:
        """Names of all that are no templates, but for `postgres`."""
        listed = self.sql(
            "select encode(datname::text::bytea, 'hex') from pg_database where not datistemplate order by 1"
        )
        names = [bytes.fromhex(line).decode() for line in listed.split()]
        return sorted(name for name in names if name != "postgres")

    def digest(self, database: str, *tables: str) -> str:
        """A checksum of tables' rows, in the order of their text."""
        return "\n".join(
            self.sql(f"select md5(coalesce(string_agg(t::text, '|' order by t::text), '')) from {table} t", database)
            for table in tables
        )


def quoted(name: str) -> str:
    """As an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'
