# SPDX-License-Identifier: GPL-3.0-or-later
"""New image files: raw ones are written with their holes, qcow2 ones through qemu-nbd."""

import os
import subprocess
import time

from .nbd import Nbd
from .trouble import Trouble
from .virsh import asked, environment


class Raw:
    """A raw image that is written."""

    def __init__(self, path, size):
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.ftruncate(self._file, size)

    def write(self, at, data):
        view = memoryview(data)
        while view:
            count = os.pwrite(self._file, view, at)
            view, at = view[count:], at + count

    def end(self):
        """All of it lies on the disk then."""
        os.fsync(self._file)
        self.close()

    def close(self):
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Qcow2:
    """A qcow2 image that is written."""

    def __init__(self, path, size):
        code, out, err = asked(["qemu-img", "create", "-q", "-f", "qcow2", path, "%d" % size])
        if code:
            raise Trouble("load_failed", "The image %s cannot be made: %s" % (path, (err or out).strip()))
        socket, pid = path + ".sock", path + ".pid"
        argv = ["qemu-nbd", "--format=qcow2", "--socket=" + socket, "--pid-file=" + pid, "--persistent", "--", path]
        self._server = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=2, env=environment(), cwd="/",
            start_new_session=True,
        )  # fmt: skip
        while not os.path.exists(pid):
            if self._server.poll() is not None:
                raise Trouble("load_failed", "qemu-nbd cannot write the image %s." % path)
            time.sleep(0.01)
        self._nbd = Nbd(socket, "")
        self._left = (socket, pid)

    def write(self, at, data):
        self._nbd.write(at, data)

    def end(self):
        self._nbd.flush()
        self._nbd.close()
        self.close()

    def close(self):
        if self._server is not None:
            self._server.terminate()
            self._server.wait()
            self._server = None
            for path in self._left:
                if os.path.lexists(path):
                    os.unlink(path)


FORMATS = {"raw": Raw, "qcow2": Qcow2}
