"""One call of ansible-playbook, by ansible-runner: the only module that knows it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ..errors import ExecutorError
from .environment import environment, python
from .folders import write_private

#: Seconds between SIGTERM, which Ansible passes on to its workers, and SIGKILL, which leaves them behind.
GRACE = 10.0


@frozen(kw_only=True)
class Call:
    """What ansible-playbook is called with. The folder holds ansible.cfg, and will hold all else."""

    folder: Path
    playbook: Path
    inventory: Mapping[str, Any]
    #: The library's own values; they may be templates, so nothing that a user typed is among them.
    variables: Mapping[str, Any]
    forks: int
    verbosity: int = field(default=0)


@frozen
class Ended:
    """How ansible-playbook ended. `said` is the end of what it printed outside of events."""

    rc: int | None
    stopped: bool


class Stop:
    """Ends ansible-playbook when it is asked to. Runner itself would kill it, and leave its workers at work."""

    def __init__(self, folder: Path, wanted: Callable[[], bool]) -> None:
        self._folder, self._wanted = folder, wanted
        self._since: float | None = None
        self.stopped = False

    def __call__(self) -> bool:
        """What runner asks twice a second; True lets it kill."""
        if self._since is None:
            if not self._wanted():
                return False
            self._since = time.monotonic()
            self.stopped = True
        for pid in self._processes():
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue  # It has just ended.
        return time.monotonic() - self._since > GRACE

    def _processes(self) -> list[int]:
        """Our child that is this run's ansible-playbook, known by its folder."""
        mark = os.fsencode(self._folder)
        found = []
        for task in os.listdir("/proc/self/task"):
            try:
                children = Path(f"/proc/self/task/{task}/children").read_text().split()
                found += [int(pid) for pid in children if mark in Path(f"/proc/{pid}/cmdline").read_bytes()]
            except (FileNotFoundError, ProcessLookupError):
                continue  # That thread or child has just ended.
        return found


def play(call: Call, on_event: Callable[[dict[str, Any]], None], stop: Stop) -> Ended:
    """Run ansible-playbook to its end. `on_event` gets each of its events, and must be quick.

    Nothing of this process is changed: no signal handler, no output, no environment. Raises `ExecutorError`.
    """
    import ansible_runner
    from ansible_runner.utils import get_callback_dir

    folder = call.folder
    for name in ("env", "inventory", "tmp", "home"):
        (folder / name).mkdir(mode=0o700)
    # Given as arguments, runner would drop them again.
    settings = {"pexpect_timeout": 0.5, "suppress_output_file": True, "suppress_ansible_output": True}
    write_private(folder / "env/settings", json.dumps(settings))
    write_private(folder / "env/extravars", json.dumps(dict(call.variables)))
    write_private(folder / "inventory/hosts.json", json.dumps(dict(call.inventory)))
    config = ansible_runner.RunnerConfig(
        private_data_dir=str(folder),
        playbook=str(call.playbook),
        inventory=str(folder / "inventory/hosts.json"),
        forks=call.forks,
        verbosity=call.verbosity or None,
        ident="run",
        fact_cache_type="",
        quiet=True,
    )
    config.prepare()
    config.env = environment(folder, get_callback_dir(), config.env)
    config.command = [python(), "-P", "-m", "ansible.cli.playbook", *config.command[1:]]
    config.cwd = str(folder)

    def handle(event: dict[str, Any]) -> bool:
        on_event(event)
        return False  # Runner writes no file of it.

    runner = ansible_runner.Runner(config=config, event_handler=handle, cancel_callback=stop)
    try:
        runner.run()
    except Exception as problem:
        raise ExecutorError(f"ansible-runner failed: {type(problem).__name__}: {problem}") from problem
    return Ended(runner.rc, stop.stopped)
