"""The lab: one session's hosts, their addresses and the ssh key that opens them."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO

from tests.lab.host import Host
from tests.lab.layers import cache, lower
from tests.lab.machine import (
    MARK,
    LabError,
    call,
    environment,
    kill,
    marked,
    mounts_below,
    remove_tree,
    require,
    try_lock,
)

#: Which blocks of addresses are taken is a matter of the whole machine, whatever the cache folder.
STATE = Path("/run/cyborglib-lab")
LAST_BLOCK = 250
#: Where a lab inside a host begins to lease: hosts share the loopback, but not /run (see bare.py).
FIRST_BLOCK = "CYBORG_LAB_FIRST_BLOCK"


class Lab:
    """Hosts of one session. Leases the addresses 127.83.<block>.0/24; `close()` ends and removes everything.

    Several labs can be open at once, in one process or many. What a killed session left behind is removed
    when the next lab opens.

    port             of every host's sshd: 22, or 2222 where this machine's own sshd takes 22 on all addresses
    ssh_key          a private key (path) that opens root, and `ops` where there is one, on each host
    public_key       its public line
    auth_sock        socket of an ssh-agent that holds the key: SSH_AUTH_SOCK for what runs under test
    ssh_config_file  an ssh configuration that knows every host by name and by address
    known_hosts_file the host keys as they are now
    """

    def __init__(self, port: int | None = None) -> None:
        require()
        lower(None)
        self._mutex = threading.Lock()
        self._hosts: dict[int, Host] = {}
        sweep()
        self.block, self._lease = _lease()
        self.port = port or _free_port(f"127.83.{self.block}.1")
        self.state = STATE / str(self.block)
        self.state.mkdir(mode=0o700)
        self.folder = _folder_for_hosts(self.block)
        (self.state / "folder").write_text(str(self.folder))
        self._agent: subprocess.Popen[bytes] | None = None
        try:
            self._make_key()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_key(self) -> None:
        self.ssh_key = self.state / "key"
        self.auth_sock = self.state / "agent"
        self.ssh_config_file = self.state / "ssh_config"
        self.known_hosts_file = self.state / "known_hosts"
        call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "cyborglib-lab", "-f", self.ssh_key])
        self.public_key = self.ssh_key.with_suffix(".pub").read_text().strip()
        self.write_ssh_files()
        self._agent = subprocess.Popen(
            ["ssh-agent", "-D", "-a", self.auth_sock],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, env=environment({MARK: str(self.block)}),
        )  # fmt: skip
        deadline = time.monotonic() + 10
        while not _answers(self.auth_sock):
            if self._agent.poll() is not None or time.monotonic() > deadline:
                raise LabError(f"ssh-agent did not start (socket {self.auth_sock}).")
            time.sleep(0.005)
        call(["ssh-add", "-q", self.ssh_key], env=environment({"SSH_AUTH_SOCK": str(self.auth_sock)}))

    # -- hosts --------------------------------------------------------------------------------------------

    def host(
        self,
        name: str | None = None,
        *,
        borg: str | None = None,
        servers: str | None = None,
        user_sudo: bool | str = False,
        tmpfs_vault: str | None = None,
        start: bool = True,
    ) -> Host:
        """A new host, up and answering (with `start=False`: installed, but down).

        name         its hostname; host1, host2, … when left out
        borg         None: no Borg, but `apt-get install borgbackup` works without a network; "1.2": Debian's
                     1.2.4 is installed; "1.4": 1.4.5 in /opt/borg-1.4, on the PATH as /usr/local/bin/borg
        servers      "databases" or "hypervisor": those are installed, not started (layers.py says which), and Borg is
        user_sudo    True: a login user `ops` with sudo; "password": sudo asks for `lab.host.PASSWORD`
        tmpfs_vault  size of a small tmpfs at /srv/borg ("64m"), to fill a disk; it outlives stop()
        """
        with self._mutex:
            number = next((n for n in range(1, 251) if n not in self._hosts), None)
            if number is None:
                raise LabError("A lab has 250 addresses and they are all in use.")
            name = name or f"host{number}"
            if name in {host.name for host in self._hosts.values()}:
                raise LabError(f"There is a host {name} already.")
            made = Host(self, number, name, borg=borg, servers=servers, user_sudo=user_sudo, tmpfs_vault=tmpfs_vault)
            self._hosts[number] = made
        try:
            made.install()
            self.write_ssh_files()
            if start:
                made.start()
        except BaseException:
            made.remove()
            raise
        return made

    def many(self, count: int, *, prefix: str = "web", **asked: str | bool | None) -> list[Host]:
        """`count` hosts alike, started side by side: web1, web2, …"""
        lower(asked.get("borg"))  # type: ignore[arg-type]  # build a missing layer once, before
        with ThreadPoolExecutor(4) as pool:
            names = [f"{prefix}{n}" for n in range(1, count + 1)]
            return list(pool.map(lambda name: self.host(name, **asked), names))  # type: ignore[arg-type]

    @property
    def hosts(self) -> list[Host]:
        return list(self._hosts.values())

    def forget(self, host: Host) -> None:
        """Called by Host.remove: its number is free again."""
        with self._mutex:
            self._hosts.pop(host.number, None)
        self.write_ssh_files()

    # -- ssh ----------------------------------------------------------------------------------------------

    def known_hosts(self, *hosts: Host) -> str:
        """known_hosts lines of these hosts (of all when none is given), by address and by name."""
        return "".join(host.known_hosts for host in hosts or self._installed())

    def ssh_config(self) -> str:
        """An ssh configuration for a user who administers these hosts: `ssh -F <it> web1`."""
        lines = []
        for host in self._installed():
            lines += [f"Host {host.name}", f"  HostName {host.address}"]
        lines += [
            f"Host 127.83.{self.block}.* {' '.join(host.name for host in self._installed())}",
            "  User root",
            f"  Port {self.port}",
            f"  IdentityFile {self.ssh_key}",
            "  IdentitiesOnly yes",
            "  BatchMode yes",
            "  StrictHostKeyChecking yes",
            f"  UserKnownHostsFile {self.known_hosts_file}",
            "  GlobalKnownHostsFile none",
            "  ControlMaster no",
            "  ControlPath none",
        ]
        return "\n".join(lines) + "\n"

    def write_ssh_files(self) -> None:
        """Bring known_hosts_file and ssh_config_file up to date; done whenever a host comes or goes."""
        with self._mutex:
            for path, text in (
                (self.known_hosts_file, self.known_hosts() if self._installed() else ""),
                (self.ssh_config_file, self.ssh_config()),
            ):
                with tempfile.NamedTemporaryFile("w", dir=self.state, delete=False) as file:
                    file.write(text)
                Path(file.name).rename(path)

    def _installed(self) -> list[Host]:
        hosts = list(self._hosts.values())
        return [host for host in hosts if (host.root / "etc/ssh/ssh_host_ed25519_key.pub").exists()]

    # -- the end ------------------------------------------------------------------------------------------

    def close(self) -> None:
        """End and delete every host, the agent, the key; give the addresses back. Twice does no harm."""
        if self._lease.closed:
            return
        for host in self.hosts:
            host.stop()
        if self._agent:
            self._agent.kill()
            self._agent.wait()
        self._hosts.clear()
        _remove(self.block)
        self._lease.close()


def _answers(path: Path) -> bool:
    """Whether somebody listens on a socket; it exists a moment before that."""
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.connect(str(path))
        return True
    return False


def _lease() -> tuple[int, IO[str]]:
    STATE.mkdir(mode=0o700, exist_ok=True)
    for block in range(int(os.environ.get(FIRST_BLOCK, 1)), LAST_BLOCK + 1):
        if lease := try_lock(STATE / f"{block}.lock"):
            _remove(block)  # a session may have been killed since the sweep
            return block, lease
    raise LabError(f"All blocks of addresses are leased: see {STATE}.")


def _free_port(address: str) -> int:
    for port in (22, 2222, 2223):
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            return port
    raise LabError("Ports 22, 2222 and 2223 are all taken on this machine's loopback addresses.")


def _folder_for_hosts(block: int) -> Path:
    folder = cache() / "hosts" / str(block)
    remove_tree(folder)
    folder.mkdir(parents=True, mode=0o700)
    kind = call(["stat", "--file-system", "--format=%T", folder]).stdout.decode().strip()
    if kind.startswith("overlay"):
        # In a container the cache itself is an overlay, which cannot hold the upper layer of another.
        call(["mount", "-t", "tmpfs", "-o", "mode=700", "cyborglib-lab", folder])
    return folder


def sweep() -> int:
    """Remove what sessions that were killed have left: processes, mounts, files. Gives how many there were."""
    found = 0
    for state in sorted(STATE.glob("*/")):
        if lease := try_lock(STATE / f"{state.name}.lock"):
            with lease:
                # Another session may have finished removing it between the listing and the lock.
                if state.exists():
                    _remove(int(state.name))
                    found += 1
    return found


def _remove(block: int) -> None:
    """End and delete a block's leftovers; its lock must be held."""
    kill(marked(str(block)))
    state = STATE / str(block)
    noted = state / "folder"
    if noted.exists():
        folder = Path(noted.read_text())
        remove_tree(folder)
        if mounts_below(folder):
            raise LabError(f"{folder} is still mounted; nothing was deleted.")
    remove_tree(state)
