# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup of a domain: its disks at one moment, its definition and what it needs to start, as a stream."""

import errno
import fcntl
import json
import os

from .disks import chosen, nvram_of, parsed
from .leftovers import clean, refuse_others, sweep, sweep_domain
from .nbd import Nbd
from .place import Place
from .resting import Resting
from .running import Running
from .sparse_tar import END, plain, sparse
from .trouble import Ended, Trouble, answer, ignore_signals, tell
from .virsh import definition, state_of, uuid_of

#: With fewer zeroes between them two parts that hold data are one: more parts would cost more than they spare.
GAP = 64 * 1024


def op_look(request):
    """What the domain is; raises `Trouble` where a backup of it would. Clears away what others of ours have left."""
    uuid = uuid_of(request["name"])
    notes = sweep(request["scratch"]) + sweep_domain(uuid) if request["tidy"] else []
    refuse_others(uuid)
    disks, left, more = chosen(parsed(definition(uuid)), request["leave_out"])
    state = state_of(uuid)[0]
    names = [disk.target for disk in disks]
    answer({"uuid": uuid, "state": state, "disks": names, "left": left, "notes": notes + more})


def op_clean(request):
    """After a backup, whatever came of it: clean up, and tell what it noted."""
    place = Place(request["scratch"], request["mark"])
    if not place.hold(request["patience"]):
        raise Trouble("lock_held", "The backup has not ended yet: %s" % place.folder)
    try:
        facts = place.noted("notes") or {}
        notes = clean(place)
    finally:
        place.let_go()
    facts["notes"] = [*(facts.get("notes") or []), *notes]
    answer(facts)


def op_backup(request):
    """The stream, on standard output."""
    uuid = uuid_of(request["name"])
    refuse_others(uuid)
    tree = parsed(definition(uuid))
    disks, left, notes = chosen(tree, request["leave_out"])
    place = Place(request["scratch"], request["mark"])
    place.make(uuid=uuid, name=request["name"])
    source = None
    try:
        running = state_of(uuid)[0] not in ("shut off", "crashed")
        source = Running(place, uuid, tree, disks, request) if running else Resting(place, uuid, disks, request)
        facts = _stream(source, tree, left, request["name"])
        facts["notes"] = notes + source.notes
        place.note("notes", facts)
    finally:
        ignore_signals()
        clean(place, keep=("lock", "state", "notes"))
        if not place.has("notes"):
            clean(place)
        if source is not None:
            source.dismiss()
        place.let_go()


def _stream(source, tree, left, name):
    try:
        try:
            served = source.begin()
            facts = _written(source, served, tree, left, name)
            source.verify()
        except (Trouble, OSError, Ended):
            source.explain()
            raise
        _out(END)
    finally:
        ignore_signals()
        source.end()
    return facts


def _written(source, served, tree, left, name):
    uuid, held = source.uuid, []
    text = definition(uuid, "--inactive", "--security-info").encode("utf-8", "surrogateescape")
    for disk, socket, export in served:
        asking = Nbd(socket, export, structured=True)
        held.append((disk, asking.extents(GAP), asking.size, socket, export))
        asking.close()
    nvram = _nvram(nvram_of(tree))
    known = {disk.get("dev") for disk in parsed(text.decode("utf-8", "replace")).findall("devices/disk/target")}
    missing = [disk.target for disk, _, _ in served if disk.target not in known]
    if missing:
        source.notes.append(
            "%s: attached only until the domain is shut off. Their images are in the archive, but the definition does "
            "not name them." % ", ".join(missing)
        )
    if parsed(text.decode("utf-8", "replace")).find("devices/tpm/backend[@type='emulator']") is not None:
        source.notes.append("What the domain's TPM holds is not in the backup.")
    manifest = {
        "version": 1,
        "name": name,
        "uuid": uuid,
        "consistency": source.consistency,
        "disks": [
            {
                "target": disk.target,
                "file": disk.target + ".raw",
                "format": disk.format,
                "capacity": size,
                "data": sum(end - start for start, end in extents),
                "source": disk.path,
            }
            for disk, extents, size, _, _ in held
        ],
        "left_out": left,
        "nvram": "nvram.fd" if nvram is not None else "",
        "firmware": (tree.findtext("os/loader") or "").strip(),
    }
    _out(plain("manifest.json", json.dumps(manifest, indent=1, sort_keys=True).encode("ascii") + b"\n"))
    _out(plain("domain.xml", text))
    if nvram is not None:
        _out(plain("nvram.fd", nvram))
    for disk, extents, size, socket, export in held:
        _disk(source, disk, extents, size, socket, export)
    return {
        "consistency": source.consistency,
        "frozen_seconds": round(source.frozen, 2),
        "disks": [[disk["target"], disk["capacity"], disk["data"]] for disk in manifest["disks"]],
    }


def _disk(source, disk, extents, size, socket, export):
    before, after = sparse(disk.target + ".raw", extents, size)
    _out(before)
    image = source.image(disk, size)
    if image is not None:
        try:
            for start, end in extents:
                _sent(image, disk, start, end)
        finally:
            os.close(image)
    else:
        reading = Nbd(socket, export)
        try:
            for piece in reading.read(extents):
                _out(piece)
        finally:
            reading.close()  # before the job is ended: QEMU would wait for us
    _out(after)
    data = sum(end - start for start, end in extents)
    tell("%s: %d of %d MiB hold data" % (disk.target, -(-data // 1048576), -(-size // 1048576)))


def _sent(image, disk, at, end):
    """A part of an image, whose pages the kernel hands on to who reads the stream."""
    while at < end:
        try:
            count = os.sendfile(1, image, at, end - at)
        except BrokenPipeError:
            raise
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise Trouble("dump_failed", "The image of %s cannot be read: %s" % (disk.target, error)) from error
            data = os.pread(image, min(end - at, 1024 * 1024), at)  # stdout is no pipe
            _out(data)
            count = len(data)
        if not count:
            break
        at += count
    if end - at >= 512:
        raise Trouble("dump_failed", "The image of %s became shorter while it was read." % disk.target)
    _out(bytes(end - at))  # what the last sector lacks


def _nvram(path):
    if not path:
        return None
    try:
        with open(path, "rb") as file:
            return file.read(64 * 1024 * 1024)
    except FileNotFoundError:
        return None  # made at the domain's first start
    except OSError as error:
        raise Trouble("dump_failed", "%s cannot be read: %s" % (path, error.strerror)) from error


def _out(data):
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def wide_pipe():
    """Let more be on its way to who reads the stream: each switch between two processes costs."""
    try:
        fcntl.fcntl(1, 1031, 1024 * 1024)  # F_SETPIPE_SZ
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EPERM, errno.EINVAL, errno.EBUSY):
            raise
