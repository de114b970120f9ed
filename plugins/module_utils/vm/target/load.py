# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a virtual machine back from the stream: new images in a new folder, and a new domain; or nothing at all."""

import errno
import json
import os
import re
import signal

from .defining import exchanged
from .disks import disks_of, parsed
from .guardian import Guardian
from .images import FORMATS
from .sparse_tar import Reader, foreign
from .trouble import Trouble, answer, ignore_signals, tell, worked
from .virsh import definition, domains, must, state_of, virsh

IMAGES = "/var/lib/libvirt/images"
PIECE = 4 * 1024 * 1024
#: Says in a folder that what is in it is not whole.
UNFINISHED = ".cyborg-unfinished"
_OURS = re.compile(r"domain\.xml|nvram\.fd|[A-Za-z0-9_-]+\.(raw|qcow2)(\.sock|\.pid)?")


def op_plan(request):
    """What a restore would do, as far as that is known without the archive."""
    _free_name(request["into"])
    if request["folder"]:
        _free_folder(request["folder"])
    answer({"into": request["into"], "folder": request["folder"]})


def op_load(request):
    """Take the stream in."""
    reader = Reader(_taken)
    members = reader.members()
    try:
        manifest = json.loads(_small(reader, next(members), "manifest.json").decode("ascii"))
        text = _small(reader, next(members), "domain.xml").decode("utf-8", "surrogateescape")
        if manifest["version"] != 1:
            raise foreign()
        loading = _Loading(request, manifest)
    except (ValueError, KeyError, TypeError, StopIteration) as error:
        raise foreign() from error
    guardian = Guardian(loading.undo)
    guardian.start()
    try:
        loading.make()
        loading.fill(reader, members)
        loading.finish(text)
    except BaseException as problem:
        ignore_signals()
        loading.undo()
        if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Trouble("client_full", "There is no space left in %s." % loading.folder) from problem
        if isinstance(problem, OSError) and not isinstance(problem, BrokenPipeError):
            raise Trouble("load_failed", "%s: %s" % (loading.folder, problem.strerror)) from problem
        raise
    finally:
        ignore_signals()
        guardian.dismiss()
    answer({"name": loading.into, "folder": loading.folder, "images": loading.paths(), "notes": loading.notes})


class _Loading:
    """One restore. `undo` leaves nothing of it."""

    def __init__(self, request, manifest):
        self.request, self.manifest, self.notes = request, manifest, []
        self.into = request["into"] or "%s-restored-%s" % (manifest["name"], request["suffix"])
        _free_name(self.into)
        self.disks = {disk["file"]: disk for disk in manifest["disks"]}
        self.folder = (request["folder"] or self._beside()).rstrip("/")
        self.made = []

    def _beside(self):
        """A new folder where the images were, if there is such a place on this host."""
        name = re.sub(r"[^A-Za-z0-9._-]", "_", self.into).lstrip(".") or "restored"
        sources = [os.path.dirname(disk["source"]) for disk in self.manifest["disks"] if disk["source"]]
        here = [path for path in sources if os.path.isdir(path) and not path.startswith("/dev")]
        return "%s/%s" % ((here or [IMAGES])[0], name)

    def format_of(self, disk):
        return self.request["format"] or (disk["format"] if disk["format"] in FORMATS else "qcow2")

    def path_of(self, disk):
        if not re.fullmatch(r"[A-Za-z0-9_-]+", disk["target"]):
            raise foreign()
        return "%s/%s.%s" % (self.folder, disk["target"], self.format_of(disk))

    def paths(self):
        return [self.path_of(disk) for disk in self.manifest["disks"]]

    def make(self):
        _free_folder(self.folder)
        missing, folder = [], self.folder
        while not os.path.isdir(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        room, needed = os.statvfs(folder), sum(disk["data"] for disk in self.manifest["disks"])
        if room.f_bavail * room.f_frsize < needed:
            message = "The images need %d MiB in %s, where %d MiB are free. Make room, or name another folder (folder)."
            free = room.f_bavail * room.f_frsize // 1048576
            raise Trouble("client_full", message % (needed // 1048576, folder, free))
        for path in reversed(missing):
            os.mkdir(path, 0o711)
            os.chmod(path, 0o711)  # noqa: S103 - the account of QEMU goes through it
            self.made.append(path)
        mark = os.open(self.folder + "/" + UNFINISHED, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(mark, json.dumps({"mark": self.request["mark"], "made": self.made}).encode("ascii"))
        os.close(mark)

    def fill(self, reader, members):
        seen = set()
        try:
            for name, realsize, extents in members:
                if name == "nvram.fd" and extents is None:
                    with open(self.folder + "/nvram.fd", "xb") as file:
                        file.write(reader.data(reader.left))
                elif name in self.disks and extents is not None and name not in seen:
                    self._image(reader, self.disks[name], realsize, extents)
                else:
                    raise foreign()
                seen.add(name)
        except ValueError as error:
            raise foreign() from error
        if _more() or set(self.disks) - seen or bool(self.manifest["nvram"]) != ("nvram.fd" in seen):
            raise foreign()

    def _image(self, reader, disk, realsize, extents):
        if realsize != disk["capacity"]:
            raise foreign()
        path = self.path_of(disk)
        image = FORMATS[self.format_of(disk)](path, realsize)
        try:
            for start, end in extents:
                for at in range(start, end, PIECE):
                    image.write(at, reader.data(min(PIECE, end - at)))
            image.end()
        finally:
            image.close()
        tell("%s is written" % path)

    def finish(self, text):
        images = {disk["target"]: (self.path_of(disk), self.format_of(disk)) for disk in self.manifest["disks"]}
        nvram = self.folder + "/nvram.fd" if self.manifest["nvram"] else ""
        changed, self.notes = exchanged(text, self.into, images, nvram)
        with open(self.folder + "/domain.xml", "x", encoding="utf-8", errors="surrogateescape") as file:
            file.write(changed)
            file.flush()
            os.fsync(file.fileno())
        folder = os.open(self.folder, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
        if self.request["define"]:
            _free_name(self.into)
            must("load_failed", "The new domain cannot be defined", "define", "--file", self.folder + "/domain.xml")
            if self.into not in domains():
                raise Trouble("load_failed", "libvirt has defined the domain, and does not list it.")
        os.unlink(self.folder + "/" + UNFINISHED)

    def undo(self):
        undone(self.folder, self.request["mark"], self.into)
        for path in reversed(self.made):
            if os.path.isdir(path) and not os.listdir(path):
                os.rmdir(path)


def undone(folder, mark, into):
    """Remove what a restore with this mark has left unfinished in a folder."""
    try:
        with open(folder + "/" + UNFINISHED, encoding="ascii") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return
    if found.get("mark") != mark:
        return
    uuid = domains().get(into)
    # Its definition is ours if its disks are.
    if uuid and state_of(uuid)[0] == "shut off" and _lies_in(uuid, folder):
        virsh("undefine", "--domain", uuid, "--keep-nvram")
    for name in os.listdir(folder):
        if name.endswith(".pid"):
            _end_server(folder + "/" + name)
    for name in os.listdir(folder):
        if _OURS.fullmatch(name):
            os.unlink(folder + "/" + name)
    os.unlink(folder + "/" + UNFINISHED)
    for path in reversed(found.get("made") or []):
        if os.path.isdir(path) and not os.listdir(path):
            os.rmdir(path)


def _lies_in(uuid, folder):
    return any(disk.path.startswith(folder + "/") for disk in disks_of(parsed(definition(uuid))))


def _end_server(path):
    try:
        with open(path, encoding="ascii") as file:
            pid = int(file.read())
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            if os.fsencode(path) in file.read():
                os.kill(pid, signal.SIGTERM)
    except (OSError, ValueError):
        return  # it has ended


def _free_name(name):
    if name and name in domains():
        message = "There is a domain %s already, which is never overwritten. Name another one (into)."
        raise Trouble("destination_exists", message % name)


def _free_folder(folder):
    if not folder.startswith("/") or "/../" in folder + "/":
        raise Trouble("bad_arguments", "The folder must be a whole path: %s" % folder)
    if os.path.lexists(folder) and (not os.path.isdir(folder) or os.path.islink(folder) or os.listdir(folder)):
        message = "%s is there already and is not an empty folder; nothing is overwritten. Name another one (folder)."
        raise Trouble("destination_exists", message % folder)


def _small(reader, member, name):
    if member[0] != name or member[2] is not None or member[1] > 16 * 1024 * 1024:
        raise foreign()
    return bytes(reader.data(reader.left))


def _taken(count):
    data = bytearray(count)
    view, at = memoryview(data), 0
    while at < count:
        got = os.readv(0, [view[at:]])
        if not got:
            raise Trouble("load_failed", "The archive's stream ended too early.")
        at += got
    return data


def _more():
    """True if anything but zeroes follows."""
    while True:
        data = os.read(0, 65536)
        if not data or data.strip(b"\0"):
            return bool(data)


def main(request):
    """Work a request; gives the exit code."""
    return worked({"load": op_load, "plan": op_plan}[request["op"]], request)
