# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends and removes what a backup of ours has left: only what bears our mark, and only if nobody is at work with it."""

import glob
import os
import re
import signal
import time

from .disks import parsed
from .place import PREFIX, Place, places
from .trouble import Trouble
from .virsh import definition, state_of, virsh

#: Each running domain's own folder of libvirt: its QEMU may open what lies there, whatever AppArmor or SELinux protect.
LIBVIRT = "/var/lib/libvirt/qemu"
_SOCKET = re.compile(r"cyborg-([0-9][0-9.]{0,63})\.sock")


def job_of(uuid):
    """(mark, scratch, what it is) of the backup job that is at work in a domain; None without one.

    The mark is "" if it is not one of ours.
    """
    code, out, _ = virsh("backup-dumpxml", "--domain", uuid)
    if code:
        return None
    tree = parsed(out)
    server = tree.find("server")
    socket = (server.get("socket") or "") if server is not None else ""
    files = [element.get("file") or "" for element in tree.findall("disks/disk/scratch")]
    files += [element.get("file") or "" for element in tree.findall("disks/disk/target")]
    found = _SOCKET.fullmatch(os.path.basename(socket))
    scratch = os.path.dirname(os.path.dirname(next((path for path in files if path), "")))
    what = " and ".join(path for path in (socket, *files[:1]) if path) or "a job without files"
    return (found.group(1) if found else "", scratch, what)


def refuse_others(uuid):
    """Raise `Trouble` if a backup is at work in the domain."""
    job = job_of(uuid)
    if job is None:
        return
    if job[0]:
        raise Trouble("lock_held", "Another backup of this domain is at work (%s)." % job[2])
    message = (
        "Another program's backup job is at work in this domain (%s). It is left alone: wait for it, or end it with "
        "virsh domjobabort."
    )
    raise Trouble("lock_held", message % job[2])


def end_job(uuid, mark):
    """End the backup job with this mark, if there is one, and wait until it has gone; gives sentences."""
    for attempt in range(20):
        job = job_of(uuid)
        if job is None or job[0] != mark:
            return []
        virsh("domjobabort", "--domain", uuid)
        time.sleep(0.05 if attempt < 4 else 0.5)
    return ["The backup job of the domain %s did not end: look at virsh domjobinfo." % uuid]


def thaw(uuid):
    """Let the guest write again; gives sentences."""
    for _attempt in range(5):
        code, _, said = virsh("domfsthaw", "--domain", uuid, seconds=60)
        if not code:
            return []
        time.sleep(1)
    return ["The guest's file systems could not be thawed (%s). Do it at once: virsh domfsthaw %s" % (said, uuid)]


def wake(uuid):
    """Let a guest go on that was stopped because the scratch files had no room; gives sentences."""
    if state_of(uuid) != ("paused", "I/O error"):
        return []
    code, _, said = virsh("resume", "--domain", uuid)
    return ["The guest was stopped for a moment, as it could not write." if not code else "It stays stopped: " + said]


def end_servers(place):
    """End the qemu-nbd that serve from a folder of ours."""
    for path in glob.glob(glob.escape(place.folder) + "/*.pid"):
        try:
            with open(path, encoding="ascii") as file:
                pid = int(file.read())
            with open("/proc/%d/cmdline" % pid, "rb") as file:
                ours = place.folder.encode() in file.read()
            if ours:
                os.kill(pid, signal.SIGTERM)
        except (OSError, ValueError):
            continue  # it has ended


def clean(place, keep=()):
    """End and remove all of one backup, whose lock we hold; gives sentences on what went wrong."""
    state, notes = place.noted("state") or {}, []
    uuid = str(state.get("uuid") or "")
    if re.fullmatch(r"[0-9a-f-]{36}", uuid):
        if place.has("frozen"):
            notes += thaw(uuid)
        notes += end_job(uuid, place.mark)
        if place.has("full"):
            notes += wake(uuid)
        for path in glob.glob("%s/domain-*/%s%s.sock" % (LIBVIRT, PREFIX, place.mark)):
            os.unlink(path)
    end_servers(place)
    left = place.remove(keep)
    return notes + ["%s is not ours and was left there." % path for path in left]


def sweep(scratch):
    """Clean up after backups of ours whose end nobody has seen; gives sentences."""
    notes = []
    for place in places(scratch):
        if not place.has("state") or not place.hold(0):
            continue
        try:
            if not place.has("notes"):  # one that came to its end, but nobody asked
                notes.append("What a backup before had left in %s was removed." % place.folder)
            notes += clean(place)
        finally:
            place.let_go()
    return notes


def sweep_domain(uuid):
    """End a job of ours whose folder is in another place, or gone; gives sentences."""
    job = job_of(uuid)
    if job is None or not job[0]:
        return []
    place = Place(job[1], job[0])
    if not place.hold(0):
        return []
    try:
        notes = end_job(uuid, place.mark)
        if place.has("state"):
            notes += clean(place)
    finally:
        place.let_go()
    return [*notes, "A backup job that a backup before had left was ended."]


def folder_of(uuid):
    """The folder that libvirt keeps for a running domain."""
    number = parsed(definition(uuid)).get("id") or ""
    found = glob.glob("%s/domain-%s-*/" % (LIBVIRT, number)) if number.isdigit() else []
    if len(found) != 1:
        raise Trouble("unsupported", "libvirt keeps no folder for this domain in %s." % LIBVIRT)
    return found[0].rstrip("/")
