"""The executor that works runs with ansible-playbook on this machine."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from ..content import collections_path
from ..errors import ExecutorError
from ..executor import Control, Run
from .acknowledging import Acknowledging
from .environment import configuration
from .folders import PrivateFolder
from .playbook import AnsiblePlaybook
from .work import Work


class AnsibleExecutor:
    """Works runs with Ansible: many hosts at once, several runs at once, each in the thread that calls `execute`.

    state_dir   a folder in memory (tmpfs) for what must not be on a disk; found if left out
    roles_path  folders with roles of the user's own (`policy_<type>`)
    """

    def __init__(self, state_dir: str | Path | None = None, roles_path: Sequence[str | Path] = ()) -> None:
        self._state_dir = Path(state_dir) if state_dir else None
        self._roles = tuple(str(Path(path).absolute()) for path in roles_path)
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._home: PrivateFolder | None = None
        self._sockets = Path()
        #: Loads itself after a run, so that the next one does not wait for it.
        self._spare: AnsiblePlaybook | None = None
        self._acknowledging = Acknowledging()
        self._working = 0
        self._idle = threading.Condition(self._lock)
        self._closed = False

    def execute(self, run: Run, control: Control) -> None:
        """Work all jobs of a run, and return when each has ended. See `Executor`.

        Raises `ExecutorError` where no work could be done, or where ansible-playbook died; what was not told as
        ended is then lost.
        """
        jobs = [work.job for work in run.hosts]
        names = [work.host.name for work in run.hosts]
        if len(set(jobs)) < len(jobs) or len(set(names)) < len(names):
            raise ExecutorError(f"the run {run.id} has a job or a host twice")
        playbook = self._begin()
        try:
            Work(
                run, control, playbook=playbook, sockets=self._sockets, closing=lambda: self._closed,
                acknowledging=self._acknowledging,
            ).do()
        finally:
            _discard(playbook)
            with self._lock:
                self._working -= 1
                self._idle.notify_all()
                if not self._closed and not self._working and self._spare is None:
                    self._spare = self._new()

    def _begin(self) -> AnsiblePlaybook:
        with self._lock:
            if self._closed:
                raise ExecutorError("the executor is being closed")
            spare, self._spare = self._spare, None
            if spare is not None and not spare.usable:
                _discard(spare)
                spare = None
            playbook = spare or self._new()
            self._working += 1
            return playbook

    def _new(self) -> AnsiblePlaybook:
        if self._home is None:
            self._home = PrivateFolder(self._state_dir)
            self._sockets = self._home.folder("s")
        collections = collections_path()
        folder = self._home.folder(str(next(self._numbers)))
        return AnsiblePlaybook(
            folder,
            program=collections / "ansible_collections/cyborg/backup/plugins/plugin_utils/waiting_playbook.py",
            configuration=configuration(folder, collections=collections, roles=self._roles),
        )

    def close(self) -> None:
        """End what is at work here and give everything back. Jobs on hosts go on there; they are not canceled.

        It may be used again afterwards: one that a host application gave is closed where its engine is interrupted.
        """
        with self._lock:
            self._closed = True
            while self._working:
                self._idle.wait()
            home, self._home = self._home, None
            spare, self._spare = self._spare, None
        if spare:
            _discard(spare)
        if home:
            _end_masters(self._sockets)
            home.close()
        with self._lock:
            self._closed = False


def _discard(playbook: AnsiblePlaybook) -> None:
    playbook.end()
    shutil.rmtree(playbook.folder, ignore_errors=True)


def _end_masters(sockets: Path) -> None:
    for socket in sockets.iterdir():
        # The address is not looked at: the socket says which connection is meant.
        subprocess.run(
            ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "--", "x"],
            stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False,
        )  # fmt: skip
