# SPDX-License-Identifier: GPL-3.0-or-later
"""Boots a machine that was brought back for a drill, without a network and whatever else reaches out of it, and waits
until it says something; then nothing of it is left."""

import json
import os
import re
import time
import xml.etree.ElementTree as ET

from .disks import parsed
from .load import _OURS
from .trouble import Trouble, answer, ignore_signals, tell
from .virsh import domains, must, virsh

#: So begin the names of what a drill makes: nothing else is ever removed.
NAME = "cyborg-drill-"
CONSOLE = "console.log"
#: Devices by which a copy would speak to others, or take what only one machine can have.
OUTSIDE = (
    "interface", "hostdev", "redirdev", "filesystem", "graphics", "serial", "console", "parallel", "smartcard",
    "vsock", "lease", "shmem",
)  # fmt: skip
AGENT = "org.qemu.guest_agent.0"
PING = json.dumps({"execute": "guest-ping"})


def op_boot(request):
    """Boot what lies in a folder, and wait."""
    folder, name = request["folder"], request["name"]
    try:
        wanted = re.compile(request["console"].encode("utf-8"))
    except re.error as error:
        raise Trouble("bad_arguments", "The line to wait for is no regular expression: %s" % error) from error
    with open(folder + "/domain.xml", encoding="utf-8", errors="surrogateescape") as file:
        text, agent = alone(file.read(), folder + "/" + CONSOLE)
    # Who names a line wants that line: an agent may answer long before it.
    agent = agent and request["agent"]
    with open(folder + "/drill.xml", "x", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text)
    try:
        began = time.monotonic()
        must("load_failed", "The machine cannot be started", "create", "--file", folder + "/drill.xml")
        how, line = waited(folder, name, wanted, agent, began + request["seconds"])
        answer({"how": how, "line": line, "seconds": round(time.monotonic() - began, 3)})
    finally:
        ignore_signals()
        destroyed(name)


def alone(text, console):
    """(the definition of a machine that reaches nobody, whether it may have an agent)."""
    tree = parsed(text)
    devices, agent = tree.find("devices"), False
    for element in list(devices):
        target = element.find("target")
        if element.tag in OUTSIDE:
            devices.remove(element)
        elif element.tag == "channel":
            if target is not None and target.get("name") == AGENT and element.get("type") == "unix":
                agent = True
                for source in element.findall("source"):
                    element.remove(source)
            else:
                devices.remove(element)
    for element in list(tree):
        if element.tag.endswith("}commandline") or element.tag in ("on_reboot", "on_crash", "on_poweroff"):
            tree.remove(element)
    for event in ("on_poweroff", "on_reboot", "on_crash"):
        ET.SubElement(tree, event).text = "destroy"
    serial = ET.SubElement(devices, "serial", {"type": "file"})
    ET.SubElement(serial, "source", {"path": console})
    return ET.tostring(tree, encoding="unicode"), agent


def waited(folder, name, wanted, agent, until):
    """("console", the line) or ("agent", ""), as soon as the machine shows that it is up."""
    while True:
        said = tail(folder + "/" + CONSOLE)
        found = wanted.search(said)
        if found:
            start, end = said.rfind(b"\n", 0, found.start()) + 1, said.find(b"\n", found.end())
            return "console", shown(said[start : end if end >= 0 else None])
        uuid = domains().get(name)
        if uuid and agent and virsh("qemu-agent-command", "--domain", uuid, "--timeout", "5", PING)[0] == 0:
            return "agent", ""
        if not uuid or time.monotonic() > until:
            why = "It was not up in time" if uuid else "It ended by itself"
            last = [shown(line) for line in said.splitlines() if line.strip()][-3:]
            message = "The machine was booted, and did not say what was waited for (%s). %s. Its last words: %s"
            raise Trouble("load_failed", message % (wanted.pattern.decode(), why, " / ".join(last) or "none"))
        time.sleep(0.5)


def tail(path):
    """The last megabyte of what it said."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - (1 << 20)))
            return file.read()
    except FileNotFoundError:
        return b""


def shown(line):
    text = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", line).decode("utf-8", "replace")
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:300]


def destroyed(name):
    uuid = domains().get(name)
    if uuid and name.startswith(NAME):
        virsh("destroy", "--domain", uuid)


def op_gone(request):
    """Whatever a drill of this name has left here goes, and nothing else."""
    folder, name = request["folder"], request["name"]
    if not name.startswith(NAME) or os.path.basename(folder) != name:
        raise Trouble("bad_arguments", "%s is nothing that a drill made." % folder)
    destroyed(name)
    if os.path.isdir(folder) and not os.path.islink(folder):
        for file in os.listdir(folder):
            if _OURS.fullmatch(file) or file in (CONSOLE, "drill.xml", ".cyborg-unfinished"):
                os.unlink(folder + "/" + file)
        os.rmdir(folder)
        tell("%s is removed" % folder)
    answer({})
