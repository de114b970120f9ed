# SPDX-License-Identifier: GPL-3.0-or-later
"""A definition for a copy of a domain: another name, its own identity, and nothing of what the first one writes to."""

import os
import xml.etree.ElementTree as ET

from .disks import disks_of, parsed

for _prefix in ("qemu", "lxc", "bhyve"):
    ET.register_namespace(_prefix, "http://libvirt.org/schemas/domain/%s/1.0" % _prefix)


def exchanged(text, name, images, nvram):
    """(definition, sentences).

    :param images: {target: (path, format)} of the disks that the copy has
    :param nvram: the path of the copy's firmware variables, or ""
    """
    tree, notes = parsed(text), []
    tree.attrib.pop("id", None)
    _identity(tree, name)
    for disk in disks_of(tree):
        if disk.target in images:
            _image(disk.element, *images[disk.target])
        elif disk.device in ("cdrom", "floppy") or (disk.has("readonly") and not disk.has("shareable")):
            if disk.path and not os.path.exists(disk.path):
                _eject(tree, disk, notes)
        else:
            tree.find("devices").remove(disk.element)
            notes.append("The new domain has no disk %s: its image is not in the archive." % disk.target)
    firmware = tree.find("os/nvram")
    if firmware is not None:
        for child in list(firmware):
            firmware.remove(child)
        firmware.attrib.pop("type", None)
        firmware.text = nvram or None
    if tree.find("devices/hostdev") is not None:
        notes.append("The new domain has devices of the host passed through, which only one domain can have at a time.")
    return ET.tostring(tree, encoding="unicode"), notes


def _identity(tree, name):
    tree.find("name").text = name
    for element in tree.findall("uuid"):
        tree.remove(element)  # libvirt gives new ones where there are none
    for element in tree.findall("genid"):
        element.text = None
    for system in tree.findall("sysinfo/system"):
        for entry in system.findall("entry"):
            if entry.get("name") == "uuid":
                system.remove(entry)
    for interface in tree.findall("devices/interface"):
        for child in [*interface.findall("mac"), *interface.findall("target")]:
            interface.remove(child)


def _image(element, path, form):
    element.set("type", "file")
    for child in list(element):
        if child.tag in ("source", "backingStore", "encryption", "auth", "mirror"):
            element.remove(child)
    driver = element.find("driver")
    if driver is None:
        driver = ET.SubElement(element, "driver", {"name": "qemu"})
    driver.set("type", form)
    for child in driver.findall("metadata_cache"):
        driver.remove(child)
    ET.SubElement(element, "source", {"file": path})


def _eject(tree, disk, notes):
    if disk.device in ("cdrom", "floppy"):
        disk.element.remove(disk.source)
        notes.append("%s is not on this host, so the drive %s is empty." % (disk.path, disk.target))
    else:
        tree.find("devices").remove(disk.element)
        notes.append("%s is not on this host, so the new domain has no disk %s." % (disk.path, disk.target))
