# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks libvirt, by its own program."""

import os
import subprocess

from .trouble import Trouble

URI = "qemu:///system"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#: Open files that virsh inherits: who waits for our end waits for its end too, as libvirt goes on with what it began.
INHERITED = []


def environment():
    """PATH, HOME and a neutral locale."""
    return {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}


def asked(argv, seconds=120, text=None):
    """(exit code, standard output, standard error) of a program."""
    try:
        running = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
            cwd="/",
            start_new_session=True,
            pass_fds=tuple(INHERITED),
        )
    except OSError as error:
        message = "%s cannot be started (%s): prepare the hypervisor (prepare_hypervisor)."
        raise Trouble("unsupported", message % (argv[0], os.strerror(error.errno))) from error
    try:
        out, err = running.communicate(text, timeout=seconds)
    except BaseException as problem:
        # Ended by a signal too: what virsh has asked for, libvirt does in any case.
        running.kill()
        running.wait()
        if isinstance(problem, subprocess.TimeoutExpired):
            message = "%s gave no answer in %d seconds. Is libvirt well on this host?"
            raise Trouble("timeout", message % (" ".join(argv[:4]), seconds)) from problem
        raise
    return running.returncode, out.decode("utf-8", "surrogateescape"), err.decode("utf-8", "surrogateescape")


def virsh(command, *arguments, seconds=120, text=None, quiet=True):
    """(exit code, output, what libvirt said of a failure) of one of virsh's commands."""
    argv = ["virsh", *(["--quiet"] if quiet else []), "--connect", URI, command, *arguments]
    code, out, err = asked(argv, seconds, text)
    said = [line.strip() for line in err.splitlines() if line.strip()]
    return code, out, " ".join(line[7:] if line.startswith("error: ") else line for line in said)


def must(code, what, command, *arguments, seconds=120, text=None):
    """virsh's output; raises `Trouble` with `what` was tried, and libvirt's words."""
    failed, out, said = virsh(command, *arguments, seconds=seconds, text=text)
    if failed:
        if "failed to connect" in said or "Failed to connect" in said:
            message = "libvirt does not answer on this host (%s). Start it, and prepare the hypervisor."
            raise Trouble("server_unreachable", message % said)
        raise Trouble(code, "%s: %s" % (what, said or "virsh ended with %d and said nothing" % failed))
    return out


def domains():
    """{name: uuid} of all domains of this host."""
    out = must("server_unreachable", "The domains cannot be listed", "list", "--all", "--uuid", "--name")
    # Names are looked up here: virsh takes one like "7" for a number, and has a place for none that is like a UUID.
    return {line[37:]: line[:36] for line in out.split("\n") if len(line) > 37}


def uuid_of(name):
    """The UUID of a domain."""
    known = domains()
    if name not in known:
        known = {other.rstrip(" "): uuid for other, uuid in known.items()}  # older ones fill names up with blanks
    if name.rstrip(" ") not in known and name not in known:
        listed = ", ".join(sorted(known)[:20]) or "none"
        message = "There is no domain %s on this hypervisor (there are: %s). Set the client's vm_name to its name."
        raise Trouble("source_missing", message % (name, listed))
    return known[name] if name in known else known[name.rstrip(" ")]


def state_of(uuid):
    """(state, reason), like ("running", "booted"), ("paused", "I/O error"), ("shut off", "shutdown")."""
    out = must("dump_failed", "The domain's state cannot be asked", "domstate", "--domain", uuid, "--reason").strip()
    state, _, reason = out.partition(" (")
    return state, reason.rstrip(")")


def definition(uuid, *more):
    """The XML of a domain."""
    return must("dump_failed", "The domain's definition cannot be read", "dumpxml", "--domain", uuid, *more)
