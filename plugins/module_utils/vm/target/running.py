# SPDX-License-Identifier: GPL-3.0-or-later
"""The disks of a running domain at one moment: libvirt's backup job in pull mode, without a checkpoint."""

import os
import signal
import time
from xml.sax.saxutils import quoteattr

from .guardian import Guardian
from .leftovers import clean, end_job, folder_of, job_of, thaw, wake
from .place import free, no_room
from .trouble import Trouble, tell
from .virsh import must, state_of, virsh

AGENT = "org.qemu.guest_agent.0"
#: Seconds that a backup which is to be given up has for that.
SLOW = 10
#: What is told where no agent has made the guest write out what it held back.
CRASH = "The disks are as after a power cut, all at one moment: %s."


class Running:
    """The job. `consistency` is told by the manifest: whether the guest's file systems were quiet."""

    def __init__(self, place, uuid, tree, disks, request):
        self.place, self.uuid, self.tree, self.disks = place, uuid, tree, disks
        self.quiesce, self.keep_free = request["quiesce"], request["keep_free"]
        self.consistency, self.frozen, self.notes = "crash", 0.0, []
        self.socket = "%s/cyborg-%s.sock" % (folder_of(uuid), place.mark)
        self._full = None
        self._guardian = Guardian(lambda: clean(place), self._watch, place.lock)

    def _watch(self):
        """In the guardian: a scratch file that cannot grow stops the guest at its next write, so the job ends before.

        It is ended by the one who reads from it: QEMU would stop the guest until all it has sent is taken.
        """
        if self._full is None and free(self.place.scratch) < self.keep_free:
            self._full = time.monotonic()
            self.place.note("full", {})
            os.kill(os.getppid(), signal.SIGUSR1)
        elif self._full is not None and time.monotonic() > self._full + SLOW:
            os.kill(os.getppid(), signal.SIGKILL)

    def begin(self):
        room = free(self.place.scratch)
        if room < 2 * self.keep_free:
            raise Trouble("client_full", "%s (%d MiB are free.)" % (no_room(self.place.scratch), room // 1048576))
        self._guardian.start()
        frozen = self._freeze()
        try:
            self._start()
        finally:
            if frozen is not None:
                self._thaw(frozen)
        return [(disk, self.socket, disk.target) for disk in self.disks]

    def _start(self):
        lines = ["<domainbackup mode='pull'><server transport='unix' socket=%s/><disks>" % quoteattr(self.socket)]
        taken = {disk.target for disk in self.disks}
        for element in self.tree.findall("devices/disk/target"):
            target = element.get("dev") or ""
            if target not in taken:
                lines.append("<disk name=%s backup='no'/>" % quoteattr(target))
                continue
            scratch = quoteattr(self.place.path(target + ".scratch"))
            lines.append("<disk name=%s backup='yes' type='file'" % quoteattr(target))
            lines.append("exportname=%s>" % quoteattr(target))
            lines.append("<driver type='qcow2'/><scratch file=%s/></disk>" % scratch)
        lines.append("</disks></domainbackup>")
        text = "\n".join(lines).encode("utf-8")
        must(
            "dump_failed", "The backup of the running domain cannot begin", "backup-begin",
            "--domain", self.uuid, "--backupxml", "/dev/stdin", text=text,
        )  # fmt: skip

    # -- the guest -----------------------------------------------------------------------------------------

    def _freeze(self):
        """The moment at which the guest's file systems were frozen; None if they were not."""
        if self.quiesce == "never":
            return None
        why = self._no_agent()
        if not why:
            self.place.note("frozen", {})
            began = time.monotonic()
            code, out, said = virsh("domfsfreeze", "--domain", self.uuid, quiet=False)
            count = "".join(letter for letter in out if letter.isdigit())
            if not code and count not in ("", "0"):
                self.consistency = "filesystems"
                tell("the guest agent has frozen %s file systems" % count)
                return began
            # One that was slow may have frozen all the same.
            self._thaw(began)
            why = "its guest agent has frozen nothing (%s)" % (said or out.strip())
        if self.quiesce == "required":
            raise Trouble("dump_failed", "The guest cannot be quiesced (quiesce: required): %s." % why)
        self.notes.append(CRASH % why)
        return None

    def _no_agent(self):
        for target in self.tree.findall("devices/channel/target"):
            if target.get("name") == AGENT:
                return "" if target.get("state") == "connected" else "its guest agent does not answer"
        return "it has no channel for a guest agent"

    def _thaw(self, began):
        notes = thaw(self.uuid)
        self.notes += notes
        if not notes:
            self.place.drop("frozen")
        if self.consistency == "filesystems":
            self.frozen = time.monotonic() - began
            tell("they were frozen for %.2f seconds" % self.frozen)

    # -- the end -------------------------------------------------------------------------------------------

    def image(self, disk, size):
        """Nothing: what a disk was at that moment is told by QEMU alone."""

    def verify(self):
        """Raises `Trouble` unless the job is still at work, as it was begun."""
        self.explain()
        job = job_of(self.uuid)
        if job is None and state_of(self.uuid)[0] == "shut off":
            raise Trouble("dump_failed", "The domain was stopped before all was read. Run the backup again.")
        if job is None or job[0] != self.place.mark:
            raise Trouble("dump_failed", "The domain's backup job was ended by somebody else before all was read.")

    def explain(self):
        """Raises the `Trouble` that is the reason of others, if there is one."""
        if self.place.has("full"):
            raise Trouble("client_full", no_room(self.place.scratch))

    def end(self):
        self.notes += end_job(self.uuid, self.place.mark)
        if self.place.has("full"):
            self.notes += wake(self.uuid)

    def dismiss(self):
        """All is cleaned up."""
        self._guardian.dismiss()
