# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a domain that is shut off: served read-only by qemu-nbd, whose locks keep it from being started."""

import contextlib
import os
import re
import subprocess
import time

from .guardian import Guardian
from .leftovers import clean
from .trouble import Trouble
from .virsh import environment, state_of, virsh

BUSY = (
    "The image of %s is in use by another process, although the domain is shut off. Wait for it, or find it: "
    "lsof %s"
)


class Resting:
    """The servers."""

    def __init__(self, place, uuid, disks, request):
        self.place, self.uuid, self.disks = place, uuid, disks
        self.consistency, self.frozen, self.notes = "shut off", 0.0, []
        self._servers = []
        self._guardian = Guardian(lambda: clean(place), keep=place.lock)

    def begin(self):
        self._guardian.start()
        code, out, _ = virsh("dominfo", "--domain", self.uuid)
        if not code and re.search(r"^Managed save:\s*yes", out, re.MULTILINE):
            self.notes.append("The domain's saved memory (virsh managedsave) is not in the backup, only its disks.")
        served = [self._serve(disk) for disk in self.disks]
        self.verify()  # from here on the locks keep it shut off
        return served

    def _serve(self, disk):
        if disk.kind not in ("file", "block") or not disk.path:
            message = "%s is a disk of type %s, which is read only while the domain runs. Start it, or leave it out."
            raise Trouble("dump_failed", message % (disk.target, disk.kind))
        if not os.path.exists(disk.path):
            raise Trouble("source_missing", "The image of %s is not there: %s" % (disk.target, disk.path))
        socket, pid, said = (self.place.path(disk.target + end) for end in (".sock", ".pid", "-said.scratch"))
        argv = ["qemu-nbd", "--read-only", "--persistent", "--shared=4", "--export-name=" + disk.target]
        argv += ["--format=" + disk.format, "--socket=" + socket, "--pid-file=" + pid]
        # A path is a name, not one of QEMU's own ways to write a place ("nbd:...").
        argv += ["--", os.path.abspath(disk.path)]
        try:
            with open(said, "wb") as log:
                server = subprocess.Popen(
                    argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment(), cwd="/",
                    start_new_session=True,
                )  # fmt: skip
        except OSError as error:
            message = "qemu-nbd cannot be started (%s): prepare the hypervisor (prepare_hypervisor)."
            raise Trouble("unsupported", message % os.strerror(error.errno)) from error
        self._servers.append(server)
        while not os.path.exists(pid):  # written when it listens
            if server.poll() is not None:
                with open(said, encoding="utf-8", errors="replace") as log:
                    words = " ".join(log.read().split())
                if "lock" in words:
                    raise Trouble("lock_held", BUSY % (disk.target, disk.path))
                raise Trouble("dump_failed", "The image of %s cannot be read: %s" % (disk.target, words[-400:]))
            time.sleep(0.01)
        return (disk, socket, disk.target)

    def image(self, disk, size):
        """The image of so many bytes as an open file's number, if that is what its server serves; None if it is not."""
        if disk.format != "raw":
            return None
        image = os.open(disk.path, os.O_RDONLY | os.O_CLOEXEC)
        # The very file that the server has locked, whatever was done to its name since.
        if self._locked(disk, os.fstat(image)) and -(-os.lseek(image, 0, os.SEEK_END) // 512) * 512 == size:
            return image
        os.close(image)
        return None

    def _locked(self, disk, image):
        folder = "/proc/%d/fd" % self._servers[self.disks.index(disk)].pid
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):  # the server has just closed it
                if os.path.samestat(os.stat("%s/%s" % (folder, name)), image):
                    return True
        return False

    def verify(self):
        """Raises `Trouble` if the domain does not rest any more."""
        if state_of(self.uuid)[0] != "shut off":
            raise Trouble("dump_failed", "The domain was started while its disks were read. Run the backup again.")

    def explain(self):
        """Nothing else than what is told is a reason."""

    def end(self):
        for server in self._servers:
            server.terminate()
            server.wait()

    def dismiss(self):
        """All is cleaned up."""
        self._guardian.dismiss()
