"""ansible-playbook, by ansible-runner: the only module that knows it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import field, frozen

from ..errors import ExecutorError
from .environment import environment, passed, python
from .folders import write_private

#: Seconds between SIGTERM, which Ansible passes on to its workers, and SIGKILL, which leaves them behind.
GRACE = 10.0
#: Seconds that one waits for work, and how long before that it gets none any more.
WAIT, MARGIN = 120.0, 20.0


@frozen(kw_only=True)
class Call:
    """What ansible-playbook is called with."""

    playbook: Path
    inventory: Mapping[str, Any]
    #: The library's own values; they may be templates, so nothing that a user typed is among them.
    variables: Mapping[str, Any]
    forks: int
    connect_timeout: int
    verbosity: int = field(default=0)


@frozen
class Ended:
    """How ansible-playbook ended."""

    rc: int | None
    stopped: bool


class Stop:
    """Ends ansible-playbook when it is asked to. Runner itself would kill it, and leave its workers at work."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._since: float | None = None
        self.wanted: Callable[[], bool] = lambda: False
        self.stopped = False

    def __call__(self) -> bool:
        """What runner asks twice a second; True lets it kill."""
        if self._since is None:
            if not self.wanted():
                return False
            self._since = time.monotonic()
            self.stopped = True
        self.terminate()
        return time.monotonic() - self._since > GRACE

    def terminate(self) -> None:
        """Send SIGTERM."""
        for pid in self._processes():
            with suppress(ProcessLookupError):  # It has just ended.
                os.kill(pid, signal.SIGTERM)

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


class AnsiblePlaybook:
    """One ansible-playbook, which begins to load when it is made, and works one call when it is given one.

    Nothing of this process is changed: no signal handler, no output, no environment. `folder` is its own, and
    new; `program` is the collection's waiting_playbook.py. Raises `ExecutorError`.
    """

    def __init__(self, folder: Path, *, program: Path, configuration: str) -> None:
        self.folder = folder
        self._began = time.monotonic()
        self._passed = passed()
        # What it says before it has a call is told then.
        self._early: list[dict[str, Any]] = []
        self._on_event: Callable[[dict[str, Any]], None] = self._early.append
        self._stop = Stop(folder)
        self._problem: Exception | None = None
        for name in ("env", "tmp", "home"):
            (folder / name).mkdir(mode=0o700)
        write_private(folder / "ansible.cfg", configuration)
        # Given as arguments, runner would drop them again.
        settings = {"pexpect_timeout": 0.5, "suppress_output_file": True, "suppress_ansible_output": True}
        write_private(folder / "env/settings", json.dumps(settings))
        os.mkfifo(folder / "call", 0o600)
        # Both ends, so that neither side waits for the other; when this process ends, the other reads its end.
        self._fifo = os.open(folder / "call", os.O_RDWR | os.O_CLOEXEC)
        self._runner = self._prepare(program)
        self._thread = threading.Thread(target=self._run, name="cyborg-ansible", daemon=True)
        self._thread.start()

    def _prepare(self, program: Path) -> Any:
        import ansible_runner
        from ansible_runner.utils import get_callback_dir

        config = ansible_runner.RunnerConfig(
            private_data_dir=str(self.folder), playbook=str(program), ident="run", fact_cache_type="", quiet=True
        )
        config.prepare()
        config.env = environment(self.folder, get_callback_dir(), config.env)
        config.command = [python(), "-P", str(program), str(self.folder / "call"), str(WAIT)]
        config.cwd = str(self.folder)
        return ansible_runner.Runner(config=config, event_handler=self._event, cancel_callback=self._stop)

    def _event(self, event: dict[str, Any]) -> bool:
        self._on_event(event)
        return False  # Runner writes no file of it.

    def _run(self) -> None:
        try:
            self._runner.run()
        except Exception as problem:
            self._problem = problem

    @property
    def usable(self) -> bool:
        """True if it still waits for work, and would do it as one that is made now."""
        fresh = time.monotonic() - self._began < WAIT - MARGIN
        return fresh and self._thread.is_alive() and self._passed == passed()

    def play(self, call: Call, on_event: Callable[[dict[str, Any]], None], wanted: Callable[[], bool]) -> Ended:
        """Work a call to its end. `on_event` gets each event, and must be quick; `wanted` True ends it early."""
        self._on_event, self._stop.wanted = on_event, wanted
        for event in self._early:
            on_event(event)
        write_private(self.folder / "hosts.json", json.dumps(dict(call.inventory)))
        write_private(self.folder / "variables.json", json.dumps(dict(call.variables)))
        arguments = [
            "--inventory", str(self.folder / "hosts.json"), "--extra-vars", f"@{self.folder}/variables.json",
            "--forks", str(call.forks), "--timeout", str(call.connect_timeout),
            *(["-" + "v" * call.verbosity] if call.verbosity else []),
            str(call.playbook),
        ]  # fmt: skip
        os.write(self._fifo, json.dumps(arguments).encode() + b"\n")
        self._thread.join()
        self._hang_up()
        if self._problem is not None:
            kind = type(self._problem).__name__
            raise ExecutorError(f"ansible-runner failed: {kind}: {self._problem}") from self._problem
        return Ended(self._runner.rc, self._stop.stopped)

    def end(self) -> None:
        """End it, if it waits for work that will not come. Does nothing after `play`."""
        self._hang_up()
        if self._thread.is_alive():
            self._stop.wanted = lambda: True
            self._stop.terminate()
            self._thread.join()

    def _hang_up(self) -> None:
        if self._fifo >= 0:
            os.close(self._fifo)
            self._fifo = -1
