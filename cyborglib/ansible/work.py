"""One run from beginning to end: keys, folder, socket, ansible-playbook, and what came of each job."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from attrs import evolve

from ..content import playbook_path
from ..errors import ErrorCode, ExecutorError, JobError
from ..executor import Control, Host, HostRun, Outcome, Run
from . import accounts, first_keys
from .acknowledging import Acknowledging
from .failures import classify
from .folders import write_private
from .inventory import JOBS, inventory
from .ledger import Ledger
from .outcomes import as_error
from .playbook import AnsiblePlaybook, Call
from .redaction import Redactor
from .server import Server
from .ssh import Pins, known_hosts_line, version
from .texts import harmless

logger = logging.getLogger("cyborglib")

#: Seconds that the tasks of canceled jobs have to end by themselves, and that a run may take beyond its jobs' time.
CANCEL, BEYOND = 30.0, 900.0
#: Hosts that a small controller can ask for news each second.
ASKED_PER_SECOND = 40.0


class Work:
    """The work on one run. `closing` tells whether the executor is being closed: then jobs are left as they are."""

    def __init__(
        self, run: Run, control: Control, *, playbook: AnsiblePlaybook, sockets: Path, closing: Callable[[], bool],
        acknowledging: Acknowledging,
    ) -> None:  # fmt: skip
        self._run, self._control, self._playbook, self._folder = run, control, playbook, playbook.folder
        self._sockets, self._closing, self._acknowledging = sockets, closing, acknowledging
        self._redactor = Redactor()
        self._ledger = Ledger(run, control, self._redactor)
        self._began = time.monotonic()
        #: The last lines that Ansible itself said, for a run that fails as a whole.
        self._said: deque[str] = deque(maxlen=20)

    def do(self) -> None:
        """Work all jobs. Raises `ExecutorError` where Ansible could not be run."""
        run = self._with_keys()
        if not run.hosts or self._closing():
            return
        pins = Pins(known_hosts=self._folder / "known_hosts", sockets=self._sockets, version=version())
        hosts = {host.name: host for work in run.hosts for host in (work.host, *work.others)}
        write_private(pins.known_hosts, "".join(known_hosts_line(host) for host in hosts.values() if host.host_key))
        call = Call(
            playbook=playbook_path(run.playbook),
            inventory=inventory(
                run, pins, len(run.hosts) / ASKED_PER_SECOND,
                {work.host.name: self._acknowledging.due(work.host) for work in run.hosts},
            ),
            # What the roles take was checked when the policy was added; once more for each host would cost much.
            variables={"cyborg_validate": False, **run.variables, "cyborg_hosts": JOBS},
            forks=len(run.hosts),
            connect_timeout=run.connect_timeout,
        )
        server = Server(self._folder, self._ledger, self._control, self._redactor, self._acknowledging)
        server.start()
        try:
            ended = self._playbook.play(call, lambda event: server.call(lambda: self._event(event)), self._over)
        finally:
            server.close()
        if not self._closing():
            self._settle(ended.rc, ended.stopped, server.heard)

    # -- before --------------------------------------------------------------------------------------------

    def _with_keys(self) -> Run:
        """The run, each host with a pinned key; jobs whose host has none, or not the account for them, have failed."""
        wanted: dict[str, tuple[HostRun, Host]] = {}
        for work in self._run.hosts:
            for host in (work.host, *work.others):
                if not host.local and not host.host_key:
                    wanted.setdefault(host.name, (work, host))
        found: dict[str, Host] = {}
        refused: dict[str, JobError] = {}
        if wanted:
            with ThreadPoolExecutor(min(16, len(wanted)), thread_name_prefix="cyborg-keys") as pool:
                for name, result in zip(wanted, pool.map(lambda pair: self._key(*pair), wanted.values()), strict=True):
                    if isinstance(result, Host):
                        found[name] = result
                    else:
                        refused[name] = result
        kept = []
        for work in self._run.hosts:
            errors = [refused[host.name] for host in (work.host, *work.others) if host.name in refused]
            if work.host.account and (why := accounts.problem(work.host.account)):
                errors.append(JobError(ErrorCode.UNSUPPORTED, f"The setting controller_account does not do: {why}."))
            if errors:
                self._ledger.end(work.job, Outcome(error=errors[0]))
            else:
                others = tuple(found.get(host.name, host) for host in work.others)
                known = evolve(work, host=found.get(work.host.name, work.host), others=others)
                kept.append(evolve(known, variables=_with_repository_key(known)))
        return evolve(self._run, hosts=tuple(kept))

    def _key(self, work: HostRun, host: Host) -> Host | JobError:
        try:
            first = first_keys.find(host, self._folder, self._run.connect_timeout)
        except first_keys.Unknown as unknown:
            return unknown.error
        if not self._control.pinned(work.job, host.key_of, first.host_key, first.accepted):
            return JobError(
                ErrorCode.HOST_KEY_CHANGED,
                f"Another ssh host key was pinned for {host.title or host.name} while this job began; run it again.",
            )
        return evolve(host, host_key=first.host_key)

    # -- meanwhile -----------------------------------------------------------------------------------------

    def _over(self) -> bool:
        """True if ansible-playbook has to end."""
        if self._closing():
            return True
        if self._ledger.all_canceled_for() > CANCEL:
            return True
        longest = max((work.timeout for work in self._ledger.open), default=0)
        return time.monotonic() - self._began > longest + BEYOND

    def _event(self, event: Mapping[str, Any]) -> None:
        kind = event.get("event")
        data = event.get("event_data") or {}
        if kind in ("runner_on_failed", "runner_on_unreachable") and not data.get("ignore_errors"):
            self._failed(str(data.get("host")), data.get("res") or {}, kind == "runner_on_unreachable")
        elif kind in ("verbose", "warning", "error", "deprecated", "system_warning"):
            self._said.extend(line for line in str(event.get("stdout", "")).splitlines() if line.strip())

    def _failed(self, host: str, result: Mapping[str, Any], unreachable: bool) -> None:
        work = self._ledger.by_host.get(host)
        if work is None or self._ledger.get(work.job) is None:
            return
        told = result.get("cyborg_error")
        if isinstance(told, Mapping):
            error = as_error(told, self._redactor.clean)
        else:
            error = classify(
                self._redactor.clean(_message(result)), self._target(work, result), unreachable=unreachable
            )
        self._ledger.end(work.job, Outcome(error=error))

    def _target(self, work: HostRun, result: Mapping[str, Any]) -> Host:
        """The host that a task failed on: the job's own, or the one it was delegated to."""
        delegated = result.get("_ansible_delegated_vars")
        names = delegated.values() if isinstance(delegated, Mapping) else ()
        return next((host for host in work.others if host.name in names), work.host)

    # -- after ---------------------------------------------------------------------------------------------

    def _settle(self, rc: int | None, stopped: bool, heard: Collection[int]) -> None:
        """End what is still open although ansible-playbook is not running any more, if nothing of it has begun."""
        said = self._redactor.clean(harmless(" ".join(self._said), 1500)) or "it said nothing"
        for work in self._ledger.open:
            if work.recover:
                continue  # What an earlier run began is not known any better now.
            if rc in (0, 2, 4) and not stopped and self._ledger.canceled_for(work.job) is None:
                self._ledger.fail(
                    work.job, ErrorCode.INTERNAL,
                    f"The playbook {self._run.playbook!r} came to its end for this host without saying what came of "
                    "the job; a role of your own has to end with one of this collection's actions.",
                )  # fmt: skip
            elif work.job in heard:
                # Its task may have begun something of which nobody heard: the host is to be asked.
                self._control.started(work.job)
            elif self._ledger.canceled_for(work.job) is not None:
                message = "The job was canceled before its work on the host began."
                self._ledger.fail(work.job, ErrorCode.CANCELED, message)
            else:
                self._ledger.fail(work.job, ErrorCode.INTERNAL, f"ansible-playbook ended with {rc}: {said}")
        if self._ledger.open:
            raise ExecutorError(f"ansible-playbook ended with {rc}: {said}")


def _with_repository_key(work: HostRun) -> Mapping[str, Any]:
    """The job's variables; Borg's ssh gets the key of the repository's host also if that was found only now."""
    whose = work.variables.get("borg_known_hosts_of")
    if not whose or work.variables.get("borg_known_hosts"):
        return work.variables
    keys = [host.host_key for host in work.others if host.key_of == whose and host.host_key]
    return {**work.variables, "borg_known_hosts": f"* {' '.join(keys[0].split()[:2])}"} if keys else work.variables


def _message(result: Mapping[str, Any]) -> str:
    for name in ("msg", "module_stderr", "stderr", "exception"):
        value = result.get(name)
        if isinstance(value, str) and value.strip():
            return value
    return ""
