"""A small guest for hypervisors: a kernel, and an initramfs that writes to two disks and answers as a guest agent.

It counts: one more to /a/counter of the first disk, to the disk; then the same to /b/counter of the second one. So
at any one moment the first is as far as the second, or one ahead. Between it writes noise, so that there is always
something to be kept for a backup. Each freeze and thaw by the agent is told on the serial console.

Built once: `FOLDER` in a host with servers="hypervisor" holds `kernel` and `initrd`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab.machine import call

FOLDER = "/usr/local/share/guest"
KERNEL = "linux-image-cloud-amd64"
PACKAGES = ("busybox-static", "cpio", "kmod", "qemu-guest-agent")
MODULES = ("virtio_pci", "virtio_blk", "virtio_console", "ext4")

INIT = """\
#!/bin/sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
exec </dev/ttyS0 >/dev/ttyS0 2>&1
for module in $(cat /modules); do insmod $module; done
for disk in a b; do
    mkdir -p /$disk
    case $disk in a) device=/dev/vda;; b) device=/dev/vdb;; esac
    mount -t ext4 $device /$disk || echo "GUEST no $device"
    [ -e /$disk/counter ] || echo 000000000 >/$disk/counter
done
echo "GUEST found $(cat /a/counter) $(cat /b/counter)"
for port in /sys/class/virtio-ports/*; do
    [ "$(cat $port/name)" = org.qemu.guest_agent.0 ] || continue
    /bin/qemu-ga -m virtio-serial -p /dev/${port##*/} --fsfreeze-hook=/hook --statedir=/tmp --pidfile=/tmp/ga &
done
echo "GUEST up"
grep -q still /proc/cmdline && exec sleep 1000000
n=$(cat /a/counter | sed 's/^0*//')
n=${n:-0}
while :; do
    usleep 50000  # this machine has others to serve
    n=$((n + 1))
    for disk in a b; do
        printf '%09d\\n' $n | dd of=/$disk/counter conv=notrunc,fsync 2>/dev/null
    done
    [ $((n % 4)) != 0 ] || dd if=/dev/urandom of=/a/noise bs=64k count=4 seek=$((n % 128)) conv=notrunc 2>/dev/null
done
"""
HOOK = """\
#!/bin/sh
echo "GUEST $1" >/dev/ttyS0
"""


def build(folder: Path, inside: object, work: Path) -> None:
    """Make the two files below `folder` (a layer), in `work`, a Debian that has PACKAGES and the kernel's package."""
    run = inside
    assert callable(run)
    for package in (work / "var/cache/apt/archives").glob("linux-image-*-cloud-*.deb"):
        call(["dpkg-deb", "-x", package, work / "unpacked"])  # not over the Debian: its /lib is a link
    [kernel] = (work / "unpacked/boot").glob("vmlinuz-*")
    shutil.move(work / "unpacked/lib/modules", work / "usr/lib/modules")
    version = kernel.name.partition("-")[2]
    run(work, ["depmod", version])
    shown = run(work, ["modprobe", "--all", "--show-depends", "--set-version", version, *MODULES]).decode()
    modules = list(dict.fromkeys(line.split()[1] for line in shown.splitlines() if line.startswith("insmod")))
    root = work / "initramfs"
    for name in ("a", "b", "bin", "dev", "lib64", "proc", "sys", "tmp", "run", "var/run", "usr/bin"):
        (root / name).mkdir(parents=True)
    needed = run(work, ["ldd", "/usr/sbin/qemu-ga"]).decode().replace("=>", " ").split()
    for path in ["/bin/busybox", *modules, *(word for word in dict.fromkeys(needed) if word.startswith("/"))]:
        target = root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        run(work, ["cp", "--dereference", path, f"/initramfs{path}"])
    shutil.copy(work / "usr/sbin/qemu-ga", root / "bin/qemu-ga")
    (root / "bin/sh").symlink_to("busybox")
    (root / "modules").write_text("\n".join(modules) + "\n")
    for name, text in {"init": INIT, "hook": HOOK}.items():
        (root / name).write_text(text)
        (root / name).chmod(0o755)
    run(work, ["sh", "-c", "cd /initramfs && find . | cpio --quiet -o -H newc | gzip -1 >/initrd"])
    made = folder / FOLDER.lstrip("/")
    made.mkdir(parents=True)
    shutil.copy(work / "initrd", made / "initrd")
    shutil.copy(kernel, made / "kernel")
    for file in made.iterdir():
        file.chmod(0o644)
