# SPDX-License-Identifier: GPL-3.0-or-later

"""With systemd a job gets a scope of its own: the end of the ssh session, which may end all processes of the login
(KillUserProcesses), does not touch it."""

import os
import select
import sys

from .command import PATH
from .ending import send, signal
from .frame import source, to_text
from .supervise import supervise

BOOTED = "/run/systemd/system"
#: Seconds in which the job must have come up in its scope.
PATIENCE = 20


def scope_command(request):
    """The argv that runs this interpreter in a scope; None without systemd, or without the right to use it."""
    if os.getuid() != 0 or not os.path.isdir(BOOTED):
        return None
    for folder in to_text(PATH).split(":"):
        program = folder + "/systemd-run"
        if os.access(program, os.X_OK):
            # With --scope the program is no child of systemd's: it takes systemd-run's place, with its open files.
            head = [program, "--scope", "--collect", "--quiet", "--unit=cyborg-" + request["job"]]
            limits = ["--property=%s=%s" % limit for limit in sorted((request.get("scope") or {}).items())]
            return [*head, *limits, "--", sys.executable, "-I", "-S", "-"]
    return None


def launch_in_scope(argv, request, job, lock, bell, ring):
    """Has a fresh interpreter supervise the job in its scope. Whether that succeeded; if not, nothing of it lives."""
    text = "exec(%r)\nexec(boot(%r, %r))\nresume(%s, %d, %d, %d)\n"
    data = (text % (*source(), ascii(request), job, lock, ring)).encode("ascii")
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            os.dup2(read_end, 0)
            null = os.open("/dev/null", os.O_RDWR)
            os.dup2(null, 1)
            os.dup2(null, 2)
            for fd in (job, lock, ring):
                os.set_inheritable(fd, True)
            os.execv(argv[0], argv)  # noqa: S606 - an argv list, and no shell is the point
        finally:
            os._exit(127)
    os.close(read_end)
    os.close(ring)
    try:
        while data:
            data = data[os.write(write_end, data):]
    except BrokenPipeError:
        pass  # it ended early, which the bell tells as well
    os.close(write_end)
    if select.select([bell], [], [], PATIENCE)[0] and os.read(bell, 1):
        return True
    send(signal.SIGKILL, [pid])
    os.waitpid(pid, 0)
    return False


def resume(request, job, lock, ring):
    """In the scope: goes on where the exchange left off."""
    os.umask(0o077)
    os.dup2(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), 0)
    for fd in (job, lock, ring):
        os.set_inheritable(fd, False)
    os.write(ring, b".")
    supervise(request, job, lock, ring)
