# SPDX-License-Identifier: GPL-3.0-or-later
"""Installs Borg by the host's package manager. Fed to an interpreter of its own that runs as a job's command, so that
it goes on without a connection, can be followed, and is ended with all it started."""

import os
import signal
import subprocess
import time

from .frame import Refused
from .host_borg import borg_here, lists_missing, package_manager, programs_missing
from .host_files import open_way, take_lock
from .host_tools import find_program, last_line, plain_environment

#: Seconds that another one at work with the package manager is waited for.
PATIENCE = 300

PACKAGES = {
    "apt-get": {
        "borg": "borgbackup", "ssh": "openssh-client", "ssh-keygen": "openssh-client",
        "virsh": "libvirt-clients", "qemu-img": "qemu-utils", "qemu-nbd": "qemu-utils",
    },
    "dnf": {
        "borg": "borgbackup", "ssh": "openssh-clients", "ssh-keygen": "openssh",
        "virsh": "libvirt-client", "qemu-img": "qemu-img", "qemu-nbd": "qemu-img",
    },
    "zypper": {
        "borg": "borgbackup", "ssh": "openssh-clients", "ssh-keygen": "openssh-common",
        "virsh": "libvirt-client", "qemu-img": "qemu-img", "qemu-nbd": "qemu-tools",
    },
    "pacman": {
        "borg": "borg", "ssh": "openssh", "ssh-keygen": "openssh",
        "virsh": "libvirt", "qemu-img": "qemu-img", "qemu-nbd": "qemu-img",
    },
    "apk": {
        "borg": "borgbackup", "ssh": "openssh-client", "ssh-keygen": "openssh-keygen",
        "virsh": "libvirt-client", "qemu-img": "qemu-img", "qemu-nbd": "qemu-img",
    },
}  # fmt: skip

#: What each says when somebody else is at work with it; apk and the newer apt wait by themselves.
BUSY = (
    "Could not get lock",
    "Unable to acquire the dpkg",
    "Unable to lock directory",
    "is locked by",
    "System management is locked",
    "unable to lock database",
    "Unable to lock database",
    "Failed to obtain the transaction lock",
)

APT = ["apt-get", "-q", "-o", "DPkg::Lock::Timeout=%d" % PATIENCE, "-o", "Dpkg::Use-Pty=0"]
#: Settings of a package that the administrator changed stay as they are: nobody is there to be asked.
APT_INSTALL = [
    "-y",
    "-o",
    "Dpkg::Options::=--force-confdef",
    "-o",
    "Dpkg::Options::=--force-confold",
    "--no-install-recommends",
]
APK = ["apk", "--no-progress", "--wait", "%d" % PATIENCE]


def steps_of(manager, packages, refresh, update):
    """The commands, in order, as [(argv, more of the environment)].

    :param refresh: fetch the lists of packages first
    :param update: bring what is installed up to date
    """
    if manager == "apt-get":
        # Nobody is there to be asked; and which services are restarted is not for us to say.
        env = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_MODE": "l"}
        install = [*APT, "install", *APT_INSTALL, *packages]
        return ([([*APT, "update"], env)] if refresh or update else []) + [(install, env)]
    if manager == "dnf":
        fresh = ["--refresh"] if refresh else []
        install = ["dnf", "-y", "--setopt=install_weak_deps=False", *fresh, "install", *packages]
        return [(install, {})] + ([(["dnf", "-y", "--refresh", "upgrade", *packages], {})] if update else [])
    if manager == "zypper":
        env = {"ZYPP_LOCK_TIMEOUT": "%d" % PATIENCE}
        zypper = ["zypper", "--non-interactive"]
        first = [([*zypper, "refresh"], env)] if refresh else []
        return [*first, (zypper + (["update"] if update else ["install"]) + ["--no-recommends"] + packages, env)]
    if manager == "pacman":
        # Fresh lists under old packages are what Arch calls a partial upgrade, which breaks hosts: they are fetched
        # only where there are none at all.
        sync = "-Sy" if refresh and lists_missing(manager) else "-S"
        return [(["pacman", sync, "--noconfirm", "--noprogressbar", "--needed", *packages], {})]
    if manager == "apk":
        first = [([*APK, "update"], {})] if refresh or update else []
        return [*first, (APK + ["add"] + (["--upgrade"] if update else []) + packages, {})]
    raise Refused("unsupported", "The package manager %s is not known." % manager)


def hint(manager, text):
    """What a person can do about a package that the host's sources do not have."""
    if (
        "borgbackup" in text
        and manager == "dnf"
        and ("No match for argument" in text or "Unable to find a match" in text)
    ):
        return " It is in EPEL: enable that repository (dnf install epel-release), or give a binary (borg_binary)."
    if manager == "apt-get" and "Unable to locate package" in text:
        return " Add a source that has it (on Ubuntu it is in universe), or give a binary (borg_binary)."
    if manager == "pacman" and ("404" in text or "failed retrieving file" in text):
        return " Its lists are old: bring the host up to date (pacman -Syu), then try again."
    if manager in ("apk", "zypper") and ("no such package" in text or "not found in package names" in text):
        return " Add a source that has it (on Alpine it is in community), or give a binary (borg_binary)."
    return ""


def tell(line):
    """A line for people: what follows us reads our stderr."""
    data = line.rstrip("\n").encode("utf-8", "replace") + b"\n"
    while data:
        data = data[os.write(2, data) :]


def run_step(argv, env, folder):
    """(exit code, all it said): while it runs, every line is told.

    It gets a session and an output of its own: when the job is canceled, or its time is over, we are ended at once,
    but a package manager in the middle of its work would leave the host's packages broken: it goes on to its end.
    It does not get our locks, as a service that it restarts would keep them.
    """
    path = find_program(argv[0]) or argv[0]
    name = ".install.%d" % os.getpid()
    end = os.open(
        name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
    )
    os.unlink(name, dir_fd=folder)
    running = subprocess.Popen(
        [path, *argv[1:]],
        stdin=subprocess.DEVNULL,
        stdout=end,
        stderr=end,
        env=plain_environment(env),
        cwd="/",
        start_new_session=True,
    )
    kept, at, rest, code = [], 0, b"", None
    while True:
        code = running.poll()
        data = os.pread(end, 65536, at)
        at += len(data)
        lines = (rest + data).split(b"\n")
        rest = lines.pop() if code is None or data else b""
        for raw in lines:
            line = raw.decode("utf-8", "replace").rstrip("\r").rpartition("\r")[2]
            if line.strip():
                tell(line[:2000])
                kept.append(line[:2000])
        del kept[:-500]
        if not data:
            if code is not None:
                break
            time.sleep(0.1)
    os.close(end)
    return code, "\n".join(kept)


def run_patiently(argv, env, folder, patience):
    """`run_step`, again and again while somebody else is at work with the package manager."""
    end = time.monotonic() + patience
    told = False
    while True:
        code, text = run_step(argv, env, folder)
        if code == 0 or not any(words in text for words in BUSY) or time.monotonic() > end:
            return code, text
        if not told:
            tell("Somebody else is at work with %s; waiting for at most %d seconds." % (argv[0], patience))
            told = True
        time.sleep(2)


def stop():
    tell("Canceled. A package manager at work is left to end in good order.")
    os._exit(130)


def op_host_install(request):
    """Installs what is missing, or brings it up to date; answers what there is then."""
    wanted, update = request["wanted"], bool(request.get("update"))
    patience = int(request.get("patience") or PATIENCE)
    if os.getuid() != 0:
        raise Refused("not_root", "Only root can install packages.")
    manager = package_manager()
    if not manager:
        raise Refused("unsupported", "No package manager that is known (apt-get, dnf, zypper, pacman, apk) was found.")
    # Of many preparations that begin at once one installs, and the others find it done.
    folder = open_way("/run/cyborg", True, mode=0o700)
    take_lock(folder, "install.lock", 1800, lambda: tell("Another preparation installs on this host; waiting for it."))
    signal.signal(signal.SIGINT, lambda *_: stop())
    before = borg_here()
    missing = programs_missing(wanted)
    names = wanted if update else missing
    if names:
        install(manager, sorted({PACKAGES[manager][name] for name in names}), update, patience, folder)
    still = programs_missing(wanted)
    if "borg" in still and borg_here()["path"]:
        found = borg_here()
        message = "%s does not run (%s); repair or remove it." % (found["path"], found["problem"])
        raise Refused("install_failed", message)
    if still:
        raise Refused(
            "install_failed", "%s has ended well, and still there is no %s." % (manager, " and no ".join(still))
        )
    after = borg_here()
    return {"state": "done", "borg": after, "installed": missing, "changed": bool(missing) or before != after}


def install(manager, packages, update, patience, folder):
    refresh = lists_missing(manager)
    text = ""
    for _ in range(2):
        for argv, env in steps_of(manager, packages, refresh, update):
            tell("+ %s" % " ".join(argv))
            code, text = run_patiently(argv, env, folder, patience)
            if code != 0 and "update" in argv and manager == "apt-get":
                # One source that does not answer is not all of them: what is needed may come from another.
                tell("apt-get update ended with %d; trying with the lists there are." % code)
            elif code != 0:
                break
        else:
            return
        if refresh or update:
            break
        # The lists may be older than the packages that the server has now.
        refresh = True
    why = last_line("\n".join(line for line in text.splitlines() if line[:2] in ("E:", "ER", "Er", "er"))) or last_line(
        text
    )
    message = "%s ended with %d: %s.%s" % (" ".join(argv[:1]), code, why.rstrip("."), hint(manager, text))
    raise Refused("install_failed", message)
