# SPDX-License-Identifier: GPL-3.0-or-later
"""What a vault's host knows of it that no client can write, and its compact. Needs no passphrase.

The kernel's lock on the vault is held meanwhile, so nobody else writes it; Borg runs as the account that owns it.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from .frame import Refused
from .host_account import account_of
from .host_files import shown
from .host_folder import vault_path
from .host_tools import PLACES, find_program, last_line
from .host_vault import STATE, Work, read_known

#: Bytes of the list of transactions that are read at most: some five thousand of them, as many as checkpoints and
#: backups in a year.
READ = 256 * 1024


def op_host_upkeep(request):
    """``do``: look, compact. Both tell how the vault is afterwards; ``since`` is the length of the list of transactions
    that is known. Not their numbers: after the vault was set back they are given once more."""
    if os.getuid() != 0:
        raise Refused(
            "not_root", "The account that logs in on the repository's host is not root and may not become root."
        )
    entry = account_of(request["account"])
    work = Work(request, vault_path(request["path"], request["account"], entry), False)
    known = read_known(work.tag)
    if entry is None or known is None:
        raise Refused(
            "vault_missing",
            "%s is no vault that was prepared on this host; prepare its repository first." % shown(work.path),
        )
    borg = json.loads(known.decode("ascii")).get("borg") or find_program("borg")
    lock(work, float(request.get("wait") or 0))
    base = tempfile.mkdtemp(prefix="cyborg-", dir="/var/tmp")
    try:
        os.chown(base, entry.pw_uid, entry.pw_gid)
        serving = Serving(borg, work.path, entry, base)
        if request["do"] == "compact":
            expected = request.get("transaction")
            if expected is not None and last_transaction(work.path) != expected:
                raise Refused(
                    "changed",
                    "Somebody wrote the vault %s while it was looked at; nothing was freed." % shown(work.path),
                )
            serving.compact()
        freeable, stored = serving.hints()
    finally:
        shutil.rmtree(base, ignore_errors=True)
    entries, length = transactions(work.path, int(request.get("since") or 0))
    return {
        "state": "done",
        "freeable_bytes": freeable,
        "stored_bytes": stored,
        "transaction": last_transaction(work.path),
        "entries": entries,
        "log_bytes": length,
        "now": time.time(),
    }


def lock(work, wait):
    """Takes the lock on the vault, and keeps it as long as this program lives."""
    fd = os.open("%s/locks/%s" % (STATE, work.tag), os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    end = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() >= end:
                raise Refused(
                    "busy",
                    "Another Borg was at work on the vault %s for all of the %d seconds that this one waited."
                    % (shown(work.path), wait),
                ) from None
            time.sleep(0.1)
        else:
            return


class Serving:
    """Borg as the account that owns the vault."""

    def __init__(self, borg, path, entry, base):
        self.borg, self.path, self.entry, self.base = borg, path, entry, base

    def start(self, words, **pipes):
        entry = self.entry

        def become():
            os.setgroups([])
            os.setgid(entry.pw_gid)
            os.setuid(entry.pw_uid)
            os.umask(0o077)

        env = {
            "PATH": ":".join(PLACES),
            "HOME": self.base,
            "BORG_BASE_DIR": self.base,
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
        }
        try:
            return subprocess.Popen(
                [self.borg, *words],
                stdin=subprocess.DEVNULL,
                env=env,
                cwd="/",
                preexec_fn=become,  # noqa: PLW1509 - this program has no threads
                **pipes,
            )
        except OSError as error:
            raise Refused(
                "borg_missing", "Borg cannot be started on the vault's host: %s." % os.strerror(error.errno)
            ) from None

    def hints(self):
        """(bytes that a compact could free, bytes that were stored and not compacted away).

        Behind them the dump lists what was deleted, chunk by chunk, which may be more than fits in memory.
        """
        words = ["debug", "dump-hints", "--lock-wait", "60", self.path, "-"]
        with tempfile.TemporaryFile() as said:
            running = self.start(words, stdout=subprocess.PIPE, stderr=said)
            lines, whole = [], False
            for line in running.stdout:
                if line.startswith(b'    "shadow_index"'):
                    whole = True
                    break
                lines.append(line)
            for _ in running.stdout:
                pass
            running.stdout.close()
            if running.wait() != 0 or not whole:
                said.seek(0)
                message = last_line(said.read(65536).decode("utf-8", "replace"))
                raise Refused(
                    "borg_failed", "Borg on the vault's host says nothing of %s: %s" % (shown(self.path), message)
                )
        found = json.loads((b"".join(lines).decode("ascii").rstrip().rstrip(",") + "}"))
        return sum(found["compact"].values()), found["storage_quota_use"]

    def compact(self):
        running = self.start(
            ["compact", "--info", "--lock-wait", "60", self.path], stderr=subprocess.STDOUT, stdout=subprocess.PIPE
        )
        last = ""
        for line in running.stdout:
            last = line.decode("utf-8", "replace").rstrip()
            sys.stderr.write(last + "\n")
            sys.stderr.flush()
        running.stdout.close()
        if running.wait() != 0:
            code = "full" if "No space left" in last or "nsufficient free" in last else "borg_failed"
            raise Refused(code, "Borg could not compact %s: %s" % (shown(self.path), last_line(last)))


def last_transaction(path):
    """The number of the vault's last transaction, as the names of its index say."""
    found = [name[6:] for name in os.listdir(path) if name.startswith("index.")]
    return max([int(number) for number in found if number.isdigit()] or [0])


def transactions(path, since):
    """([[number, seconds since 1970], ...] behind ``since`` bytes, length of the file), of append-only keys."""
    try:
        fd = os.open(path + "/transactions", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return [], 0
    with os.fdopen(fd, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        file.seek(min(since, size))
        lines = file.read(READ).decode("ascii", "replace").splitlines()
    found = []
    for line in lines:
        words = line.replace(",", " ").split()
        # transaction 5, UTC time 2026-11-27T12:00:00.000000
        if len(words) == 5 and words[0] == "transaction" and words[1].isdigit():
            found.append([int(words[1]), seconds_of(words[4])])
    return found, size


def seconds_of(text):
    import calendar

    # Borg 1.4 adds the offset, which is that of UTC.
    return calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
