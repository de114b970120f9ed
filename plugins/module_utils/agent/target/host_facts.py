# SPDX-License-Identifier: GPL-3.0-or-later
"""What a host is: read, never changed, and without rights of root."""

import os
import re
import socket
import sys

from .frame import Refused
from .host_borg import borg_here, package_manager
from .host_tools import find_program, said

#: How much of anything is told; the other side checks it again.
SHORT, MANY = 200, 64


def op_host_facts(request):
    import pwd

    try:
        account = pwd.getpwuid(os.getuid())
    except KeyError:
        message = (
            "The account with uid %d that logs in has no entry in the user database, so it has no home folder."
            % os.getuid()
        )
        raise Refused("invalid", message) from None
    uname = os.uname()
    borg = borg_here()
    facts = {
        "uid": os.getuid(),
        "user": account.pw_name,
        "home": account.pw_dir,
        "python": {"path": sys.executable or "", "version": "%d.%d.%d" % sys.version_info[:3]},
        "os": system(),
        "kernel": uname.release,
        "machine": uname.machine,
        "hostname": uname.nodename,
        "ip": own_address(),
        "addresses": addresses(),
        "manager": package_manager(),
        "borg": borg["path"],
        "borg_version": borg["version"],
        "borg_problem": borg["problem"],
        "systemd": os.path.isdir("/run/systemd/system"),
        "memory_folders": memory_folders(),
        "tar": find_program("tar"),
        "bash": find_program("bash"),
        "ssh": find_program("ssh"),
        "ssh_keygen": find_program("ssh-keygen"),
        "sudo": find_program("sudo"),
        "sudo_logs_input": sudo_logs_input(),
    }
    return {"state": "done", "facts": facts}


def system():
    """What os-release(5) says."""
    values = {}
    for place in ("/etc/os-release", "/usr/lib/os-release"):
        try:
            with open(place, encoding="utf-8", errors="replace") as file:
                text = file.read(65536)
        except OSError:
            continue
        for line in text.splitlines():
            found = re.match(r"([A-Z_]+)=(.*)$", line.strip())
            if found:
                values[found.group(1)] = found.group(2).strip("\"'")
        break
    names = (("id", "ID"), ("version", "VERSION_ID"), ("name", "PRETTY_NAME"), ("like", "ID_LIKE"))
    return {name: values.get(key, "")[:SHORT] for name, key in names}


def own_address():
    """The address at which we were reached over ssh, else that from which a packet would leave."""
    parts = os.environ.get("SSH_CONNECTION", "").split()
    if len(parts) == 4:
        return parts[2].partition("%")[0]
    # Nothing is sent: connecting a datagram socket only asks the routes. The addresses are for documentation.
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            asked = socket.socket(family, socket.SOCK_DGRAM)
        except OSError:
            continue
        try:
            asked.connect((target, 9))
            return asked.getsockname()[0].partition("%")[0]
        except OSError:
            continue
        finally:
            asked.close()
    return ""


def addresses():
    """All addresses of the host but the loopback's own, from the kernel's tables: `ip` is not everywhere."""
    found = []
    try:
        with open("/proc/net/fib_trie", encoding="ascii") as file:
            last = ""
            for line in file:
                word = line.split()
                if word and word[0] == "|--":
                    last = word[1]
                elif word[:3] == ["/32", "host", "LOCAL"] and last not in found and last != "127.0.0.1":
                    found.append(last)
    except OSError:
        pass  # without it only the newer kind is told
    try:
        with open("/proc/net/if_inet6", encoding="ascii") as file:
            for line in file:
                raw = bytes(bytearray.fromhex(line.split()[0]))
                text = socket.inet_ntop(socket.AF_INET6, raw)
                if text != "::1" and text not in found:
                    found.append(text)
    except OSError:
        pass  # no such addresses here
    return found[:MANY]


def memory_folders():
    """Those of /run and /dev/shm that lie in memory: secret files of a job may lie there, and nowhere else."""
    kinds = {}
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                before, _, after = line.partition(" - ")
                kinds[before.split()[4]] = after.split()[0]
    except OSError:
        return []
    return [place for place in ("/run", "/dev/shm") if kinds.get(place) in ("tmpfs", "ramfs")]  # noqa: S108


def sudo_logs_input():
    """True if sudo writes what it is fed on stdin (thus our requests) to a log; None if it does not say."""
    sudo = find_program("sudo")
    if not sudo or os.getuid() == 0:
        return None
    code, out, _ = said([sudo, "-n", "-l"], 20)
    if code != 0:
        return None
    return re.search(r"(?<![!\w])log_(input|stdin)\b", out, re.IGNORECASE) is not None
