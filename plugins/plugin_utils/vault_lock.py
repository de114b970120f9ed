# SPDX-License-Identifier: GPL-3.0-or-later
"""A Borg on the repository's own host, beside none that serves the vault: how it is called. Pure.

The wrapper that sshd runs there (`host_serve`) holds a kernel's lock on the vault while it serves it, and whoever holds
that lock is the only one at work. A Borg that is run on the host itself takes the same lock, and then is the account
that the vault belongs to: it needs no passphrase, and gets none.
"""

from __future__ import annotations

#: What it says, and the exit code, where the vault stays in use.
BUSY, REFUSED = "cyborg: vault busy", 75

#: Argument: the vault's folder, seconds to wait, then Borg's command line.
_PROGRAM = """\
import fcntl, hashlib, json, os, pwd, sys, time
path, wait, argv = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
def refuse(message):
    sys.stderr.write("cyborg: %s\\n" % message)
    sys.exit(75)
path = "/" + os.path.normpath(path).lstrip("/")
path = os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))
tag = hashlib.sha256(os.fsencode(path)).hexdigest()[:12]
try:
    with open("/var/lib/cyborg/vaults/" + tag) as file:
        about = json.load(file)
    lock = os.open("/var/lib/cyborg/locks/" + tag, os.O_RDWR | os.O_NOFOLLOW)
    entry = pwd.getpwnam(about["account"])
except (OSError, ValueError, KeyError) as error:
    refuse("the vault %s is not known on this host (%s); prepare the repository again." % (path, error))
os.set_inheritable(lock, True)
end = time.monotonic() + wait
while True:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except BlockingIOError:
        pass
    if time.monotonic() >= end:
        refuse("vault busy: another Borg has been at work on it for the %d seconds that this one waited." % wait)
    time.sleep(0.2)
if os.getuid() != entry.pw_uid:
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
os.environ["HOME"] = entry.pw_dir
os.environ["BORG_REPO"] = about["path"]
if about.get("borg") and os.access(about["borg"], os.X_OK):
    argv[0] = about["borg"]
os.execvp(argv[0], argv)
"""


def alone(argv, folder, wait):
    """The command line for the agent (in which "{python}", its first word, is a template)."""
    return ["{python}", "-I", "-S", "-c", _PROGRAM, folder, str(int(wait)), *argv]
