# SPDX-License-Identifier: GPL-3.0-or-later
"""ansible-playbook that loads itself first, and is told afterwards what to do.

Run as a program by the library::

    python -P waiting_playbook.py FIFO SECONDS

It loads what every run of the library needs, reads the arguments of ansible-playbook (a JSON list) from the FIFO, and
goes on as ansible-playbook. When nobody holds the FIFO open any more, or after that many seconds, it ends. Most of the
second that a run of Ansible costs is spent here, while there is something else to do, or nothing at all.
"""

from __future__ import annotations

import gc
import json
import os
import select
import signal
import sys
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path

#: What each of the library's runs uses, as (loader, plugin): loaded once here, not once more in each host's process.
PLUGINS = (
    ("callback_loader", "awx_display"),
    ("inventory_loader", "ansible.builtin.yaml"),
    ("strategy_loader", "ansible.builtin.host_pinned"),
    ("connection_loader", "ansible.builtin.ssh"),
    ("shell_loader", "sh"),
    ("become_loader", "sudo"),
    ("action_loader", "cyborg.backup.borg_create"),
)

#: Seconds between two looks at Ansible's workers; and how they may end: by these signals, or with this exit code.
LOOK = 1.0
EXPECTED = {False: (signal.SIGTERM, signal.SIGINT, signal.SIGHUP), True: (0,)}


def load():
    """Import Ansible and its plugins. The class that is ansible-playbook."""
    from ansible.cli.playbook import PlaybookCLI
    from ansible.plugins import loader
    from ansible.template import Templar, trust_as_template

    loader.init_plugin_loader()
    # It is called again by ansible-playbook, and would say so.
    warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
    for name, plugin in PLUGINS:
        getattr(loader, name).get(plugin, class_only=True)
    from ansible_collections.cyborg.backup.plugins.module_utils.agent import exchange

    for op in ("start", "follow"):
        exchange({"op": op})
    # The first template of a process looks for all filters and tests.
    Templar(None).template(trust_as_template("{{ 1 | int }}"))
    return PlaybookCLI


def wait(fifo, until):
    """The arguments; None if there will be none."""
    found = b""
    while not found.endswith(b"\n"):
        try:
            piece = os.read(fifo, 65536)
        except BlockingIOError:
            if not select.select([fifo], [], [], max(0.0, until - time.monotonic()))[0]:
                return None
            continue
        if not piece:
            return None
        found += piece
    return json.loads(found)


def watch():
    """End ansible-playbook when one of its workers died, as one that the kernel kills for lack of memory.

    The strategies that do not keep hosts in step never look, and would wait for its answer for ever. What was at work
    on hosts goes on there, and the library asks for it again.
    """
    while True:
        time.sleep(LOOK)
        for pid in children():
            with suppress(ChildProcessError):
                ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if ended is None or ended.si_status in EXPECTED[ended.si_code == os.CLD_EXITED]:
                    continue
                sys.stderr.write("A worker of Ansible's died (%s): this run is over.\n" % ended.si_status)
                sys.stderr.flush()
                os.kill(os.getpid(), signal.SIGTERM)
                return


def children():
    """The processes that this one started."""
    for task in os.listdir("/proc/self/task"):
        with suppress(OSError):
            yield from map(int, Path("/proc/self/task", task, "children").read_text().split())


def main():
    # Not waiting for somebody at the other end: who started us may be gone already.
    fifo = os.open(sys.argv[1], os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    until = time.monotonic() + float(sys.argv[2])
    playbook = load()
    arguments = wait(fifo, until)
    os.close(fifo)
    if arguments is not None:
        # Each host's worker is a fork, and shares with us what it does not write to: a collection would write to all.
        os.register_at_fork(before=gc.freeze)
        threading.Thread(target=watch, daemon=True).start()
        sys.argv = ["ansible-playbook", *arguments]
        playbook.cli_executor()


if __name__ == "__main__":
    main()
