"""The programs of module_utils/vm, run in a hypervisor without Ansible and Borg."""

from __future__ import annotations

import importlib
import json
import subprocess
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.lab.hypervisor import IMAGES, Hypervisor
from tests.lab.machine import environment

SCRATCH = "/var/lib/libvirt/cyborg"
ASKED: dict[str, Any] = {
    "scratch": SCRATCH, "leave_out": [], "quiesce": "auto", "keep_free": 64 << 20, "patience": 30, "tidy": True,
    "into": "", "folder": "", "format": "", "define": True, "suffix": "7",
}  # fmt: skip


@dataclass
class Said:
    """What a program said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        assert self.code == 0, self.err
        return dict(json.loads(self.out))

    @property
    def trouble(self) -> str:
        assert self.code != 0, self.out
        return self.err.strip().splitlines()[-1]


class Programs:
    """Runs them; each backup has a mark of its own."""

    def __init__(self, hypervisor: Hypervisor) -> None:
        self.hypervisor, self.host = hypervisor, hypervisor.host
        self._marks = count(1)
        self.mark = ""
        self._running: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        """End what a test that failed has left."""
        for running in self._running:
            running.kill()
            running.communicate()

    def start(self, op: str, shell: str = "", **request: Any) -> subprocess.Popen[bytes]:
        """Begin one; `shell` says where its streams go."""
        # Under the collection's name, as inside Ansible.
        vm = importlib.import_module("ansible_collections.cyborg.backup.plugins.module_utils.vm")
        if op in ("backup", "load") and "mark" not in request:
            self.mark = f"1.{next(self._marks)}.1"
        text = vm.program({**ASKED, "mark": self.mark, **request, "op": op})
        path = f"/root/program-{op}"
        self.host.write(path, text)
        command = ["bash", "-o", "pipefail", "-c", f"exec python3 -I -S {path} {shell}"]
        running = subprocess.Popen(
            [*self.host.enter, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(),
        )  # fmt: skip
        self._running.append(running)
        return running

    def ended(self, running: subprocess.Popen[bytes]) -> Said:
        out, err = running.communicate(timeout=300)
        self._running.remove(running)
        return Said(running.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    def run(self, op: str, shell: str = "", **request: Any) -> Said:
        return self.ended(self.start(op, shell, **request))

    def save(self, name: str, into: str = "/root/stream.tar", **request: Any) -> dict[str, Any]:
        """A backup that must go well, and what it noted."""
        said = self.run("backup", f"> {into}", name=name, **request)
        assert said.code == 0, said.err
        told = self.run("clean", name=name).answer
        assert self.hypervisor.left(name) == []
        return told

    def slow(self, name: str, into: str = "/root/slow.tar", **request: Any) -> subprocess.Popen[bytes]:
        """A backup that has begun to send and waits, until `go` is called, for who takes its stream."""
        self.sh("rm -f /root/go /root/pid; mkfifo /root/go")
        rest = f"cat /root/go; cat >> {into}; touch /root/taken"
        reader = f"> >(dd bs=1M count=1 iflag=fullblock of={into} status=none; {rest})"
        running = self.start("backup", reader, name=name, **request)
        size = f"stat -c %s {into} 2>/dev/null || echo 0"
        self.hypervisor.wait(lambda: self.sh(size).strip() == "1048576", "it sends")
        return running

    def go(self, running: subprocess.Popen[bytes]) -> Said:
        """Take the rest."""
        self.sh("rm -f /root/taken; echo > /root/go")
        said = self.ended(running)
        self.hypervisor.wait(lambda: self.host.exists("/root/taken"), "all is taken")
        return said

    def image(self, name: str, size: str, data: str, form: str = "raw") -> str:
        """An image with so many random bytes from 4 MiB on; its path."""
        path = f"{IMAGES}/{name}"
        fill = f"head -c {data} /dev/urandom | dd of={path}.raw bs=1M seek=4 conv=notrunc status=none"
        self.sh(f"truncate -s {size} {path}.raw; {fill}")
        if form == "raw":
            return f"{path}.raw"
        self.sh(f"qemu-img convert -O {form} {path}.raw {path}.{form}; rm {path}.raw")
        return f"{path}.{form}"

    def sh(self, command: str) -> str:
        return str(self.host.run(["bash", "-euo", "pipefail", "-c", command]).stdout)

    def pids(self, op: str = "backup") -> list[str]:
        """A program that runs, and its guardian, the elder first."""
        return self.sh(f"pgrep -f '^[p]ython3 -I -S /root/program-{op}' || true").split()

    def write(self, name: str, target: str, pattern: int, at: str, size: str) -> None:
        """Let a running domain write to a disk, as its guest would."""
        device = f"/machine/peripheral/virtio-disk{'abcdefgh'.index(target[-1])}/virtio-backend"
        command = f'qemu-io -d {device} "write -P {pattern} {at} {size}"'
        said = self.hypervisor.virsh("qemu-monitor-command", "--hmp", name, command)
        assert "wrote" in said or not said.strip(), said
