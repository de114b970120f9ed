# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether virtual machines of libvirt can be backed up on this host: read, and the folder for scratch files made."""

import os
import re
import stat

from .frame import Refused
from .host_borg import package_manager, programs_missing
from .host_files import open_way
from .host_tools import find_program, last_line, said

URI = "qemu:///system"
MANY = 1000


def op_host_hypervisor(request):
    """What there is. With `make`, the folder `scratch` is made, or put right, as well."""
    wanted, scratch = request["wanted"], request["scratch"]
    missing = programs_missing(wanted)
    facts = {
        "uid": os.getuid(),
        "manager": package_manager(),
        "missing": missing,
        "libvirt_version": "",
        "qemu_version": "",
        "backup": None,
        "domains": [],
        "problem": "",
        "scratch": state_of_folder(scratch),
        "scratch_free": 0,
        "made": False,
    }
    if "virsh" not in missing:
        ask_libvirt(facts)
    if request.get("make") and facts["scratch"] != "right":
        make(scratch, facts["scratch"])
        facts["made"], facts["scratch"] = True, state_of_folder(scratch)
    if facts["scratch"] == "right":
        free = os.statvfs(scratch)
        facts["scratch_free"] = free.f_bavail * free.f_frsize
    return {"state": "done", "facts": facts}


def ask_libvirt(facts):
    virsh = [find_program("virsh"), "--quiet", "--connect", URI]
    code, out, err = said([*virsh, "version", "--daemon"], 30)
    if code != 0:
        facts["problem"] = last_line(err) or "virsh ended with %s" % code
        return
    for name, words in (("libvirt_version", "Running against daemon"), ("qemu_version", "Running hypervisor: QEMU")):
        found = re.search(words + r":? ([0-9]+(?:\.[0-9]+)+)", out)
        facts[name] = found.group(1) if found else ""
    # The only one who knows: between 6.0 and 7.6 it depends on who built libvirt.
    for kind in ([], ["--virttype", "qemu"]):
        code, out, err = said([*virsh, "domcapabilities", *kind], 60)
        found = re.search(r"<backup supported='(yes|no)'/>", out)
        if code == 0 and found:
            facts["backup"] = found.group(1) == "yes"
            break
    code, out, err = said([*virsh, "list", "--all", "--name"], 60)
    if code == 0:
        facts["domains"] = [name[:255] for name in out.split("\n") if name.strip()][:MANY]


def state_of_folder(scratch):
    """"right", "missing", "open" (others may do too much with it, or QEMU too little), or "foreign"."""
    try:
        found = os.lstat(scratch)
    except FileNotFoundError:
        return "missing"
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        return "foreign"
    return "right" if found.st_mode & 0o022 == 0 and found.st_mode & 0o001 else "open"


def make(scratch, state):
    if state == "foreign":
        message = "%s is there, and is not a folder of root's. Name another one (scratch), or remove it." % scratch
        raise Refused("unsafe_directory", message)
    # Each part is opened without following links, and belongs to nobody else.
    os.close(open_way(scratch, True, mode=0o711))
    os.chmod(scratch, 0o711)  # noqa: S103 - QEMU has an account of its own, and goes through it
