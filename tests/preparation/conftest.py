"""Plain runs of ansible-playbook against the lab's hosts, as a person would start them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab import Host, Lab

ROOT = Path(__file__).parents[2]
ANSIBLE = Path(sys.executable).parent / "ansible-playbook"


class Played:
    """What a run said: its exit code, its output, and each task's result on each host."""

    def __init__(self, done: subprocess.CompletedProcess[str], record: Path) -> None:
        self.rc, self.output = done.returncode, done.stdout + done.stderr
        lines = record.read_text().splitlines() if record.exists() else []
        self.entries: list[dict[str, Any]] = [json.loads(line) for line in lines]

    def result(self, action: str, host: str | None = None) -> dict[str, Any]:
        """The last result of an action of ours."""
        found = [e for e in self.entries if e["action"].endswith("." + action) and host in (None, e["host"])]
        assert found, f"no {action} in:\n{self.output}"
        return dict(found[-1]["result"], kind=found[-1]["kind"])

    def error(self, action: str, host: str | None = None) -> dict[str, Any]:
        """The `cyborg_error` of an action that failed."""
        result = self.result(action, host)
        assert result["kind"] == "failed", result
        return dict(result["cyborg_error"])

    def good(self) -> Played:
        """Itself, if all went well."""
        assert self.rc == 0, self.output
        return self

    @property
    def changed(self) -> list[str]:
        """The tasks that changed something."""
        return [f"{e['host']}: {e['task']}" for e in self.entries if e["result"].get("changed")]


Play = Callable[..., Played]


class Player:
    """Starts ansible-playbook with the lab's ssh set-up, in a folder of the test's own."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder, self.number = lab, folder, 0

    def environment(self, record: Path) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "SSH_AUTH_SOCK": str(self.lab.auth_sock),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.folder / "ansible"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_SSH_ARGS": f"-F {self.lab.ssh_config_file}",
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_FORKS": "30",
            "CYBORG_TEST_RECORD": str(record),
        }

    def inventory(
        self, hosts: Sequence[Host], others: Sequence[Host], variables: dict[str, dict[str, Any]], names: Sequence[str]
    ) -> Path:
        def entry(host: Host) -> dict[str, Any]:
            return {"ansible_host": host.name, **variables.get(host.name, {})}

        groups = {
            "play": {"hosts": {name: variables[name] for name in names} or {host.name: entry(host) for host in hosts}},
            "others": {"hosts": {host.name: entry(host) for host in others}},
        }
        path = self.folder / f"hosts-{self.number}.json"
        path.write_text(json.dumps({"all": {"children": groups}}))
        return path

    def __call__(
        self,
        hosts: Host | Sequence[Host],
        what: str | Sequence[dict[str, Any]],
        *arguments: str,
        others: Sequence[Host] = (),
        host_vars: dict[str, dict[str, Any]] | None = None,
        names: Sequence[str] = (),
        extra: dict[str, Any] | None = None,
        check: bool = False,
    ) -> Played:
        """Run a playbook of ours by its name, or a list of tasks. `names`: the inventory's, all with variables, if
        they are not the hosts' own."""
        done, record = self.start(
            hosts, what, *arguments, others=others, host_vars=host_vars, names=names, extra=extra, check=check
        )
        out, err = done.communicate(timeout=600)
        return Played(subprocess.CompletedProcess(done.args, done.returncode, out, err), record)

    def start(self, hosts, what, *arguments, others=(), host_vars=None, names=(), extra=None, check=False):  # type: ignore[no-untyped-def]
        self.number += 1
        hosts = [hosts] if isinstance(hosts, Host) else list(hosts)
        record = self.folder / f"record-{self.number}"
        if isinstance(what, str):
            playbook = ROOT / "playbooks" / f"{what}.yml"
        else:
            playbook = self.folder / f"play-{self.number}.yml"
            playbook.write_text(yaml.safe_dump([{"hosts": "play", "gather_facts": False, "tasks": list(what)}]))
        argv = [str(ANSIBLE), "-i", str(self.inventory(hosts, others, host_vars or {}, names)), str(playbook)]
        argv += ["-e", json.dumps({"cyborg_hosts": "play", **(extra or {})}), *arguments]
        if check:
            argv.append("--check")
        done = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment(record),
            cwd=self.folder,
        )
        return done, record


@pytest.fixture
def play(lab: Lab, tmp_path: Path) -> Player:
    """Plain runs of ansible-playbook."""
    return Player(lab, tmp_path)
