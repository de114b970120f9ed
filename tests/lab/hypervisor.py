"""libvirt and QEMU inside a host (servers="hypervisor"), emulated, and small domains in them."""

from __future__ import annotations

import time
from collections.abc import Callable
from xml.sax.saxutils import escape, quoteattr

from tests.lab.guest import FOLDER
from tests.lab.host import Host
from tests.lab.machine import LabError

IMAGES = "/var/lib/libvirt/images"
#: No cgroups and no mount namespaces: a host of the lab has neither systemd nor a /dev of its own.
SETTINGS = "cgroup_controllers = []\nnamespaces = []\n"
DOMAIN = """\
<domain type='qemu'>
 <name>{name}</name>
 <memory unit='MiB'>{memory}</memory>
 <vcpu>1</vcpu>
 <os><type arch='x86_64' machine='pc'>hvm</type>{boot}</os>
 <features><acpi/></features>
 <on_reboot>destroy</on_reboot>
 <devices>
  <emulator>/usr/bin/qemu-system-x86_64</emulator>
  {disks}
  {devices}
  <memballoon model='none'/>
 </devices>
</domain>
"""
DISK = """\
  <disk type='file' device='{device}'><driver name='qemu' type='{format}' cache='unsafe'/><source file={file}/>\
<target dev='{target}' bus='{bus}'/>{more}</disk>
"""
GUEST = f"<kernel>{FOLDER}/kernel</kernel><initrd>{FOLDER}/initrd</initrd><cmdline>{{cmdline}}</cmdline>"
GUEST_DEVICES = """\
  <interface type='user'><mac address='52:54:00:11:22:33'/><model type='virtio'/></interface>
  <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  <serial type='file'><source path='{console}'/></serial>
"""


class Hypervisor:
    """libvirt at work in a host."""

    def __init__(self, host: Host) -> None:
        self.host = host
        with_settings = host.read("/etc/libvirt/qemu.conf").decode() + SETTINGS
        host.write("/etc/libvirt/qemu.conf", with_settings)
        # Those of the machine: hosts have their network in common with it.
        host.run(["sh", "-c", "rm -f /etc/libvirt/qemu/networks/autostart/*"])
        self.start()

    def start(self) -> None:
        """Start libvirt's daemons, as after the host's own start."""
        self.host.run(["mkdir", "-p", "/run/libvirt"])
        for daemon in ("virtlogd", "virtlockd", "libvirtd"):
            self.host.run(["sh", "-c", f"pgrep -x {daemon} >/dev/null || {daemon} -d"])
        self.wait(lambda: self.host.run(["virsh", "version"], check=False).returncode == 0, "libvirtd answers")

    def stop(self) -> None:
        """End libvirtd; domains that run go on."""
        self.host.run(["sh", "-c", "kill $(cat /run/libvirtd.pid)"])
        self.wait(lambda: not self.host.exists("/run/libvirtd.pid"), "libvirtd has ended")

    def virsh(self, *arguments: str, check: bool = True) -> str:
        """What virsh prints."""
        return str(self.host.run(["virsh", "--quiet", *arguments], check=check).stdout)

    def state(self, name: str) -> str:
        """As "running (booted)"."""
        return self.virsh("domstate", "--domain", name, "--reason").strip()

    def domains(self) -> list[str]:
        return [line[37:] for line in self.virsh("list", "--all", "--uuid", "--name").splitlines() if line]

    # -- domains -------------------------------------------------------------------------------------------

    def guest(self, name: str, *, still: bool = False, agent: bool = True) -> Guest:
        """Define a guest that counts on two disks, one raw and one qcow2, of 256 MiB. `still`: it writes nothing.

        It is not started: `Guest.boot` does.
        """
        for letter, size in (("a", "256M"), ("b", "256M")):
            path = f"{IMAGES}/{name}-{letter}.raw"
            self.host.run(["truncate", "-s", size, path])
            self.host.run(["mke2fs", "-q", "-t", "ext4", path])
        self.host.run(
            ["qemu-img", "convert", "-O", "qcow2", f"{IMAGES}/{name}-b.raw", f"{IMAGES}/{name}-b.qcow2"]
        )
        self.host.run(["rm", f"{IMAGES}/{name}-b.raw"])
        console = f"/var/log/libvirt/{name}.console"
        devices = GUEST_DEVICES.format(console=console)
        if not agent:
            devices = "\n".join(line for line in devices.splitlines() if "<channel" not in line)
        cmdline = "console=ttyS0 quiet panic=-1 tsc=reliable" + (" still" if still else "")
        disks = [(f"{IMAGES}/{name}-a.raw", "raw"), (f"{IMAGES}/{name}-b.qcow2", "qcow2")]
        self.define(name, disks, boot=GUEST.format(cmdline=cmdline), devices=devices, memory=160)
        return Guest(self, name, console)

    def define(
        self, name: str, disks: list[tuple[str, str]], *, boot: str = "", devices: str = "", memory: int = 16
    ) -> None:
        """Define a domain with these images (path, format): vda, vdb, …"""
        lines = [
            disk(path, form, f"vd{'abcdefgh'[number]}") for number, (path, form) in enumerate(disks)
        ]
        text = DOMAIN.format(name=escape(name), memory=memory, boot=boot, disks="".join(lines), devices=devices)
        self.host.write("/root/domain.xml", text)
        self.virsh("define", "/root/domain.xml")

    def remove(self, name: str) -> None:
        """Destroy and undefine a domain; its images stay."""
        self.virsh("destroy", "--domain", name, check=False)
        self.virsh("undefine", "--domain", name)

    # -- what backups may leave ----------------------------------------------------------------------------

    def left(self, name: str = "", scratch: str = "/var/lib/libvirt/cyborg") -> list[str]:
        """Whatever a backup has left: files, a job, a checkpoint, a snapshot, a server, a socket."""
        found = str(self.host.run(["find", scratch, "-mindepth", "1"], check=False).stdout).splitlines()
        found += str(self.host.run(["find", "/var/lib/libvirt/qemu", "-name", "cyborg-*"]).stdout).splitlines()
        found += [" ".join(argv) for argv in self.host.processes() if argv[0] in ("qemu-nbd", "virsh")]
        if name:
            found += self.virsh("checkpoint-list", "--domain", name, "--name", check=False).split()
            found += self.virsh("snapshot-list", "--domain", name, "--name", check=False).split()
            job = self.virsh("domjobinfo", "--domain", name, check=False)
            found += [job] if job.strip() and "None" not in job else []
        return found

    @staticmethod
    def wait(true: Callable[[], bool], what: str, seconds: float = 120) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise LabError(f"Not within {seconds} seconds: {what}.")
            time.sleep(0.05)


class Guest:
    """A guest that counts (guest.py)."""

    def __init__(self, hypervisor: Hypervisor, name: str, console: str) -> None:
        self.hypervisor, self.name, self.console = hypervisor, name, console

    def boot(self) -> None:
        """Start it, and wait until it counts and its agent answers."""
        self.hypervisor.virsh("start", "--domain", self.name)
        self.hypervisor.wait(lambda: "GUEST up" in self.said(), "the guest is up")
        xml = ["dumpxml", "--domain", self.name]
        if "guest_agent" in self.hypervisor.virsh(*xml):
            self.hypervisor.wait(lambda: "state='connected'" in self.hypervisor.virsh(*xml), "its agent is there")

    def said(self) -> str:
        """What it has said on its console since it was started."""
        return str(self.hypervisor.host.run(["cat", self.console], check=False).stdout)


def disk(path: str, form: str, target: str, *, device: str = "disk", bus: str = "virtio", more: str = "") -> str:
    """A disk as the definition has it."""
    return DISK.format(device=device, format=form, file=quoteattr(path), target=target, bus=bus, more=more)


def counters(host: Host, first: str, second: str) -> tuple[int, int]:
    """How far a guest has counted on its two disks, by raw images; journals are played back in them."""
    numbers = []
    for image in (first, second):
        host.run(["e2fsck", "-fp", image], check=False)
        host.run(["e2fsck", "-fn", image])
        numbers.append(int(host.run(["debugfs", "-R", "cat /counter", image]).stdout))
    return numbers[0], numbers[1]
