"""One host: what can be seen of it and done to it from outside."""

from __future__ import annotations

import os
import secrets
import shlex
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tests.lab.layers import lower, overlay
from tests.lab.machine import MARK, PATH, LabError, call, child_of, environment, kill, remove_tree

if TYPE_CHECKING:
    from tests.lab.lab import Lab

BOOT = Path(__file__).with_name("boot.sh")
#: The login user of hosts made with `user_sudo`, and their password.
USER, PASSWORD = "ops", "ops has a password"


class Host:
    """A Debian with its own address, files and processes. Made by `Lab.host`, which says what can be asked for.

    `name` is its hostname; `address` and `port` are where its sshd listens; `folder` is where it lies.
    """

    def __init__(
        self, lab: Lab, number: int, name: str, *, borg: str | None, servers: str | None, user_sudo: bool | str,
        tmpfs_vault: str | None,
    ) -> None:  # fmt: skip
        self.lab, self.number, self.name = lab, number, name
        self.borg, self.servers, self.user_sudo, self.tmpfs_vault = borg, servers, user_sudo, tmpfs_vault
        self.address = f"127.83.{lab.block}.{number}"
        self.port = lab.port
        self.folder = lab.folder / name
        self.root = self.folder / "root"
        self._boot: subprocess.Popen[bytes] | None = None
        self._init = 0

    def __repr__(self) -> str:
        state = "up" if self._boot else "down"
        return f"<Host {self.name} {self.address} borg={self.borg} {state}>"

    # -- its life ---------------------------------------------------------------------------------------

    def install(self) -> None:
        """Make its filesystem: fresh files, a fresh ssh host key. It is down afterwards."""
        overlay(lower(self.borg, self.servers), self.folder / "upper", self.folder / "work", self.root)
        for path, text in {
            "etc/hostname": f"{self.name}\n",
            "etc/hosts": f"127.0.0.1 localhost\n{self.address} {self.name}\n",
            "etc/machine-id": f"{secrets.token_hex(16)}\n",
            "etc/resolv.conf": Path("/etc/resolv.conf").read_text(),
            "etc/ssh/sshd_config.d/address.conf": f"ListenAddress {self.address}\nPort {self.port}\n",
        }.items():
            (self.root / path).write_text(text)
        key = self.root / "etc/ssh/ssh_host_ed25519_key"
        call(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", key])
        self._authorize(self.root / "root", 0)
        if self.user_sudo:
            self._add_user()
        if self.tmpfs_vault:
            vault = self.root / "srv/borg"
            vault.mkdir()
            call(["mount", "-t", "tmpfs", "-o", f"size={self.tmpfs_vault},mode=755", "cyborglib-lab", vault])

    def _add_user(self) -> None:
        call(["chroot", self.root, "useradd", "--create-home", "--shell", "/bin/bash", USER])
        call(["chroot", self.root, "chpasswd"], input=f"{USER}:{PASSWORD}\n")
        asks = "" if self.user_sudo == "password" else "NOPASSWD: "
        rule = self.root / "etc/sudoers.d/ops"
        rule.write_text(f"{USER} ALL=(ALL:ALL) {asks}ALL\n")
        rule.chmod(0o440)
        home = self.root / "home" / USER
        self._authorize(home, home.stat().st_uid)

    def _authorize(self, home: Path, uid: int) -> None:
        folder = home / ".ssh"
        folder.mkdir(mode=0o700, exist_ok=True)  # with libvirt there is one
        (folder / "authorized_keys").write_text(self.lab.public_key + "\n")
        for path in (folder, folder / "authorized_keys"):
            os.chown(path, uid, uid)

    def start(self) -> None:
        """Power on, with the files it had; returns when its sshd answers."""
        if self._boot:
            return
        log = (self.folder / "boot.log").open("wb")
        with log:
            self._boot = subprocess.Popen(
                # Its own session: Ctrl-C in a terminal is not a power cut.
                ["unshare", "--mount", "--uts", "--pid", "--fork", "--kill-child", BOOT, self.root, self.name],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env=environment({MARK: str(self.lab.block)}),
            )  # fmt: skip
        self._await_port()
        init = child_of(self._boot.pid)
        if init is None:
            raise LabError(f"{self.name} died at once: see {self.folder}/boot.log.")
        self._init = init

    def _await_port(self, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while True:
            with suppress(OSError), socket.create_connection((self.address, self.port), timeout=5):
                return
            if self._boot is None or self._boot.poll() is not None or time.monotonic() > deadline:
                said = (self.folder / "boot.log").read_text(errors="replace").strip()
                self.stop()
                raise LabError(f"{self.name} did not come up at {self.address}: {said or 'it said nothing'}")
            time.sleep(0.01)

    def stop(self) -> None:
        """Lose power: every process ends at once, connections break, files stay (those on /run do not)."""
        if self._boot is None:
            return
        # The end of a pid namespace's init is the end of all that is in it, however it was detached.
        if self._init:
            kill([self._init])
        self._boot.kill()
        self._boot.wait()
        self._boot, self._init = None, 0

    def reinstall(self) -> None:
        """Same name and address, fresh files, another ssh host key; up again if it was up."""
        was_up = self.up
        self.stop()
        remove_tree(self.folder)
        self.install()
        self.lab.write_ssh_files()
        if was_up:
            self.start()

    def remove(self) -> None:
        """End it and delete it."""
        self.stop()
        remove_tree(self.folder)
        self.lab.forget(self)

    @property
    def up(self) -> bool:
        return self._boot is not None

    # -- its network ------------------------------------------------------------------------------------

    def cut(self) -> None:
        """Cut it off: connections break, new ones are refused; its other processes go on."""
        kill([pid for pid in self._inner() if self._is_sshd(pid)])

    def mend(self) -> None:
        """Let it be reached again."""
        self.run(["/usr/sbin/sshd", "-E", "/var/log/sshd.log"])
        self._await_port()

    def _is_sshd(self, pid: int) -> bool:
        with suppress(OSError):
            return Path(f"/proc/{pid}/exe").readlink().name == "sshd"
        return False

    # -- looking and touching from outside ----------------------------------------------------------------

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        input: bytes | str | None = None,
        check: bool = True,
        user: str | None = None,
        env: dict[str, str] | None = None,
        timeout: float = 120,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program in the host (not over ssh) as root or `user`; gives text. A failure raises LabError."""
        done = self._run(argv, input=input, check=check, user=user, env=env, timeout=timeout)
        out, err = (data.decode(errors="surrogateescape") for data in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, out, err)

    @property
    def enter(self) -> list[str]:
        """The beginning of a command that runs in the host as root, without ssh."""
        if not self.up:
            raise LabError(f"{self.name} is down; start() it first.")
        return ["nsenter", f"--target={self._init}", "--mount", "--uts", "--pid", "--root", "--wd", "--"]

    def _run(self, argv, *, input=None, check=True, user=None, env=None, timeout=120.0):  # type: ignore[no-untyped-def]
        su = ["runuser", "-u", user, "--"] if user else []
        return call([*self.enter, *su, *argv], input=input, check=check, env=environment(env), timeout=timeout)

    def read(self, path: str | os.PathLike[str]) -> bytes:
        """The bytes of a file as the host sees it (its /run too while it is up)."""
        return self._files(["cat", "--", os.fspath(path)]).stdout

    def write(self, path: str | os.PathLike[str], data: bytes | str, mode: int = 0o644) -> None:
        """Write a file as root, making its folders."""
        script = 'mkdir -p -- "$(dirname -- "$1")" && cat > "$1" && chmod "$2" "$1"'
        self._files(["sh", "-c", script, "sh", os.fspath(path), f"{mode:o}"], data)

    def exists(self, path: str | os.PathLike[str]) -> bool:
        """Whether there is something (a dangling link counts)."""
        script = 'test -e "$1" || test -L "$1"'
        return self._files(["sh", "-c", script, "sh", os.fspath(path)], check=False).returncode == 0

    def _files(self, argv, input=None, check=True):  # type: ignore[no-untyped-def]
        if self.up:
            return self._run(argv, input=input, check=check)
        # Always through a chroot: an absolute link of the host must not lead to the machine's own files.
        return call(["chroot", self.root, *argv], input=input, check=check)

    def _inner(self) -> list[int]:
        """Its processes, by their ids on this machine, but for its init."""
        if not self.up:
            return []
        own = Path(f"/proc/{self._init}/ns/pid").readlink()
        found = []
        for entry in os.listdir("/proc"):
            with suppress(OSError):
                if entry.isdigit() and int(entry) != self._init and Path(f"/proc/{entry}/ns/pid").readlink() == own:
                    found.append(int(entry))
        return found

    def processes(self) -> list[list[str]]:
        """The argv of every process in the host but its init's two; [] when it is down."""
        found = []
        for pid in self._inner():
            with suppress(OSError):
                raw = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0")
                argv = raw.decode(errors="surrogateescape").split("\0")
                if raw and argv != ["sleep", "infinity"]:
                    found.append(argv)
        return found

    def environments(self) -> list[bytes]:
        """/proc/PID/environ of every process in the host: where no secret may be seen."""
        found = []
        for pid in self._inner():
            with suppress(OSError):
                found.append(Path(f"/proc/{pid}/environ").read_bytes())
        return found

    # -- ssh ----------------------------------------------------------------------------------------------

    def location(self, path: str, user: str = "borg") -> str:
        """A path on this host as a repository's path is written."""
        if self.port == 22:
            return f"{user}@{self.address}:{path}"
        return f"ssh://{user}@{self.address}:{self.port}{path}"

    @property
    def known_hosts(self) -> str:
        """Its known_hosts line, by address and by name."""
        names = [self.address, self.name]
        if self.port != 22:
            names = [f"[{name}]:{self.port}" for name in names]
        return f"{','.join(names)} {self.host_key}\n"

    @property
    def host_key(self) -> str:
        """Type and base64 of its ssh host key, as in a known_hosts line."""
        line = (self.root / "etc/ssh/ssh_host_ed25519_key.pub").read_text()
        return " ".join(line.split()[:2])

    def ssh_argv(self, user: str = "root") -> list[str]:
        """The beginning of an ssh command that reaches it with the lab's key and nothing of the user's set-up."""
        return ["ssh", "-F", str(self.lab.ssh_config_file), "-l", user, self.name]

    def ssh(self, command: str | Sequence[str], user: str = "root") -> subprocess.CompletedProcess[bytes]:
        """Run a command over ssh: a text for the login shell, or an argv (quoted for it)."""
        text = command if isinstance(command, str) else shlex.join(command)
        env = environment({"PATH": PATH})
        return subprocess.run(
            [*self.ssh_argv(user), text], stdin=subprocess.DEVNULL, capture_output=True, env=env, check=False
        )
