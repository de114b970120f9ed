# SPDX-License-Identifier: GPL-3.0-or-later
"""Which disks of a domain are taken: all that are writable; those that cannot be taken are told, or refused."""

import re
import xml.etree.ElementTree as ET

from .trouble import Trouble

#: Kinds of source that QEMU can read beside the guest.
KINDS = ("file", "block", "network", "volume")


class Disk:
    """One disk: `target` (vda), `kind` of its source, `format`, `path` of its image (files and block devices)."""

    def __init__(self, element):
        source, driver, target = (element.find(name) for name in ("source", "driver", "target"))
        self.element = element
        self.target = (target.get("dev") if target is not None else "") or ""
        self.kind = element.get("type") or "file"
        self.device = element.get("device") or "disk"
        self.format = (driver.get("type") if driver is not None else "") or "raw"
        self.source = source
        self.path = (source.get("file") or source.get("dev") or "") if source is not None else ""

    def has(self, name):
        return self.element.find(name) is not None


def parsed(text):
    """A definition as a tree."""
    # libvirt writes no document type; with one, a small text can become a large one.
    if "<!DOCTYPE" in text:
        raise Trouble("dump_failed", "The domain's definition is none that libvirt writes.")
    try:
        return ET.fromstring(text)  # noqa: S314
    except ET.ParseError as error:
        raise Trouble("dump_failed", "The domain's definition cannot be read: %s" % error) from error


def disks_of(tree):
    return [Disk(element) for element in tree.findall("devices/disk")]


def chosen(tree, leave_out):
    """(disks to take, [[target, why it is left out]], sentences). Raises `Trouble` that names what cannot be taken."""
    found = disks_of(tree)
    taken, left, refused, notes = [], [], [], []
    for disk in found:
        why = _silently_left(disk)
        if why:
            left.append([disk.target, why])
        elif disk.target in leave_out:
            left.append([disk.target, "leave_out"])
        elif _refused(disk):
            refused.append("%s (%s)" % (disk.target, _refused(disk)))
        else:
            taken.append(disk)
            if disk.has("encryption") or (disk.source is not None and disk.source.find("encryption") is not None):
                notes.append("%s is encrypted; its image in the archive is what the guest sees." % disk.target)
    if refused:
        message = "These disks cannot be taken: %s. Leave them out (leave_out) if they are saved in another way."
        raise Trouble("dump_failed", message % ", ".join(refused))
    unknown = [name for name in leave_out if name not in [disk.target for disk in found]]
    if unknown:
        notes.append("There is no disk %s to be left out." % ", ".join(unknown))
    if not taken:
        raise Trouble("source_empty", "The domain has no writable disk that is not left out: nothing would be saved.")
    return taken, left, notes


def _silently_left(disk):
    if disk.device in ("cdrom", "floppy"):
        return disk.device
    if disk.has("readonly"):
        return "readonly"
    if disk.has("transient"):
        return "transient"
    return "" if disk.source is not None else "empty"


def _refused(disk):
    if disk.has("shareable"):
        return "shareable: others may write to it at the same time"
    if disk.device == "lun":
        return "a device that is passed through to the guest"
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,31}", disk.target):
        return "a name that cannot be a file's"
    return "" if disk.kind in KINDS else "a disk of type %s" % disk.kind


def nvram_of(tree):
    """The path of the file that holds the firmware's variables, or ""."""
    element = tree.find("os/nvram")
    if element is None:
        return ""
    source = element.find("source")
    return (source.get("file") if source is not None else element.text) or ""
