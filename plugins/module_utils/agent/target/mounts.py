# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: SIM105 - importing contextlib would cost more than the exchange
"""The mounted file systems, as /proc/self/mountinfo lists them."""

import os

#: Kernel interfaces and volatile memory: nothing in them outlives a restart.
PSEUDO = frozenset(
    b"autofs binder binfmt_misc bpf cgroup cgroup2 configfs cpuset debugfs devpts devtmpfs efivarfs fusectl hugetlbfs"
    b" mqueue nsfs proc pstore ramfs resctrl rpc_pipefs securityfs selinuxfs smackfs sysfs tmpfs tracefs".split()
)
#: Data, but another host's; a dead server would also hang whoever looks into them.
NETWORK = frozenset(
    b"9p acfs afs beegfs ceph cifs coda davfs gfs glusterfs gpfs lustre ncpfs nfs nfs4 nfsd orangefs prl_fs smb3 smbfs"
    b" vboxsf virtiofs".split()
)
#: Read-only images: what they hold came from somewhere else.
IMAGE = frozenset(b"cramfs erofs iso9660 romfs squashfs udf".split())
REAL = frozenset(
    b"apfs bcachefs btrfs exfat ext2 ext3 ext4 f2fs fuseblk gfs2 hfs hfsplus jfs minix msdos nilfs2 ntfs ntfs3 ocfs2"
    b" reiserfs ubifs ufs vfat xfs zfs".split()
)


class Mount:
    """One line. ``point``: where it is seen; ``root``: which part of the file system is; all bytes."""

    __slots__ = ("device", "id", "parent", "point", "root", "source", "type")

    def __init__(self, line):
        left, _, right = line.partition(b" - ")
        fields, self.type = left.split(), right.split()[0]
        self.id, self.parent, self.device = int(fields[0]), int(fields[1]), fields[2]
        self.root, self.point = unescape(fields[3]), unescape(fields[4])
        self.source = unescape(right.split(b" ")[1])

    def kind(self):
        if self.type in PSEUDO:
            return "pseudo"
        if self.type in NETWORK or self.type == b"fuse" or self.type.startswith(b"fuse."):
            return "network"
        if self.type in IMAGE:
            return "image"
        if self.type in (b"overlay", b"aufs", b"unionfs"):
            return "overlay"
        return "real" if self.type in REAL or self.source.startswith(b"/dev/") else "unknown"


def unescape(field):
    """The kernel writes blanks, tabs, newlines and backslashes as \\ooo."""
    first, *others = field.split(b"\\")
    return first + b"".join(bytes((int(other[:3], 8),)) + other[3:] for other in others)


def read_mounts(path="/proc/self/mountinfo"):
    with open(path, "rb") as file:
        return [Mount(line) for line in file.read().splitlines()]


def below(path, folder):
    """Whether path is the folder or lies in it."""
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def mount_of(path, mounts):
    """The mount that is seen at a real path (None in a chroot whose own is not listed): mounts can hide each other."""
    ids = {mount.id for mount in mounts}
    children = {}
    for mount in mounts:
        children.setdefault(mount.parent if mount.parent in ids else None, []).append(mount)
    here, level = None, None
    while True:
        on_way = [mount for mount in children.get(level, ()) if below(path, mount.point) and mount is not here]
        if not on_way:
            return here
        here = min(on_way, key=lambda mount: len(mount.point))
        level = here.id


def identity(mount, status):
    """What tells this file system from others, over restarts: ``type:uuid`` if there is one, else ``type:source``."""
    if mount is None:
        return "device:%d" % status.st_dev
    uuid = uuid_of(mount, status)
    name = uuid or mount.source.decode("utf-8", "surrogateescape")
    return "%s:%s" % (mount.type.decode("ascii", "replace"), name)


def uuid_of(mount, status):
    device = status.st_dev
    if mount.source.startswith(b"/dev/"):
        # Btrfs shows devices that do not exist; its source does.
        try:
            device = os.stat(mount.source).st_rdev or device
        except OSError:
            pass
    folder = "/dev/disk/by-uuid"
    try:
        for name in os.listdir(folder):
            try:
                if os.stat(folder + "/" + name).st_rdev == device:
                    return name
            except OSError:
                continue
    except OSError:
        pass
    try:
        with open("/run/udev/data/b%d:%d" % (os.major(device), os.minor(device)), "rb") as file:
            for line in file:
                if line.startswith(b"E:ID_FS_UUID="):
                    return line[len(b"E:ID_FS_UUID="):].strip().decode("ascii", "replace")
    except OSError:
        pass
    return None
