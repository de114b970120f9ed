# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the command: its own session, our pipes, an environment of named variables only."""

import errno
import os

from .ending import signal
from .frame import to_bytes

PATH = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Seconds of CPU from the signal that says so to KILL.
LAST_WORDS = 5


def environment(extra):
    import pwd

    try:
        home = os.fsencode(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        home = b"/"
    env = {b"PATH": PATH, b"HOME": home, b"LANG": b"C.UTF-8", b"TZ": b"UTC"}
    env.update((to_bytes(name), to_bytes(value)) for name, value in extra.items())
    return env


class Command:
    """A started command. ``out``, ``err``: fds to read; ``feeds``: {fd to write: bytes still to be handed over}."""

    def __init__(self, request, lock):
        """``lock``: the fd of the job's lock, which the command inherits. Raises OSError if it cannot be started."""
        env = environment(request.get("env") or {})
        argv = [to_bytes(item) for item in request["argv"]]
        self.feeds, inherited = {}, [lock]
        for name, text in (request.pop("secrets", None) or {}).items():
            read_end, write_end = os.pipe()
            os.set_blocking(write_end, False)
            env[to_bytes(name)] = b"%d" % read_end
            self.feeds[write_end] = to_bytes(text)
            inherited.append(read_end)
        text = request.pop("stdin", None)
        stdin = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
        if text is not None:
            os.close(stdin)
            stdin, write_end = os.pipe()
            os.set_blocking(write_end, False)
            self.feeds[write_end] = to_bytes(text)
        self.out, out = os.pipe()
        self.err, err = os.pipe()
        told, tell = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            limits = request.get("limits") or {}
            become(argv, env, to_bytes(request.get("cwd") or "/"), (stdin, out, err), inherited, tell, limits)
        for fd in [stdin, out, err, tell, *inherited[1:]]:
            os.close(fd)
        with open(told, "rb") as file:
            code = file.read()
        if code:
            os.waitpid(self.pid, 0)
            raise OSError(int(code), os.strerror(int(code)))

    def feed(self, fd):
        """Hands over what the pipe takes now."""
        try:
            rest = self.feeds[fd][os.write(fd, self.feeds[fd][:65536]):]
        except BlockingIOError:
            return
        except BrokenPipeError:
            rest = b""  # the command does not want it; its own end tells why
        self.feeds[fd] = rest
        if not rest:
            del self.feeds[fd]
            os.close(fd)

    def close(self):
        for fd in list(self.feeds):
            os.close(fd)
        self.feeds.clear()


def become(argv, env, cwd, streams, inherited, tell, limits):
    """In the child: turns into the command, or tells the error's number."""
    code = errno.EINVAL
    try:
        os.setsid()
        for number, fd in enumerate(streams):
            os.dup2(fd, number)
        for fd in inherited:
            os.set_inheritable(fd, True)
        # Python ignores these, and what is ignored stays so through exec.
        for number in (
            signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP
        ):
            signal.signal(number, signal.SIG_DFL)
        signal.set_wakeup_fd(-1)
        os.chdir(cwd)
        if limits:
            confine(limits)
        os.execvpe(argv[0], argv, env)  # noqa: S606 - an argv list, and no shell is the point
    except OSError as error:
        code = error.errno
    except ValueError:
        pass  # a NUL in an argument
    finally:
        os.write(tell, b"%d" % code)
        os._exit(127)


def confine(limits):
    """Bounds of the kernel's for the command and all it starts. A bound that is there already is never widened."""
    import resource

    for name, number, more in (("memory", resource.RLIMIT_AS, 0), ("cpu", resource.RLIMIT_CPU, LAST_WORDS)):
        if name in limits:
            most = resource.getrlimit(number)[1]
            both = [wanted if most == resource.RLIM_INFINITY else min(wanted, most)
                    for wanted in (limits[name], limits[name] + more)]
            resource.setrlimit(number, tuple(both))
