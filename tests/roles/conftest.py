"""Plain ansible-playbook in a checkout, against a real host that has Borg and an empty vault."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Host, Lab

ROOT = Path(__file__).resolve().parent.parent.parent
PASSPHRASE = "canary-passphrase"
VAULT = "/srv/backup/plain"


class Plain:
    """A folder that looks like a checkout to Ansible, with an inventory of one host."""

    def __init__(self, folder: Path, lab: Lab, host: Host) -> None:
        self.folder, self.host, self._count = folder, host, 0
        #: More hosts, by short names.
        self.others: dict[str, Host] = {}
        for name in (".ansible", "ansible.cfg", "playbooks", "plugins", "roles"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "hosts").write_text(f"web1.example.org ansible_host={host.name}\n")
        self.environment = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "ANSIBLE_SSH_COMMON_ARGS": f"-F {lab.ssh_config_file}",
            "ANSIBLE_NOCOLOR": "1",
            # Not in the checkout's .ansible: hosts of two labs have the same names, and other addresses.
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(folder / "cp"),
        }

    def sh(self, command: str) -> subprocess.CompletedProcess[str]:
        """A command line as it stands in the documentation."""
        return self._run(["bash", "-euo", "pipefail", "-c", command])

    def backup(
        self, type: str, *arguments: str, shared: dict[str, Any] | None = None, **variables: Any
    ) -> subprocess.CompletedProcess[str]:
        """Run playbooks/backup.yml for a policy type, into a new archive. Values are data, as in the library.

        `shared` are variables that are no option of the type.
        """
        self._count += 1
        self.archive = f"{type}-{self._count}"
        values = {"borg_archive": self.archive, **_unsafe(shared or {}), **_role(type, variables)}
        return self._play(type, {"web1.example.org": values}, *arguments)

    def restore(
        self, type: str, *arguments: str, shared: dict[str, Any] | None = None, **variables: Any
    ) -> subprocess.CompletedProcess[str]:
        """Bring the last archive back by the role of its policy type."""
        values = {"borg_archive": self.archive, **_unsafe(shared or {}), **_role(type, variables)}
        arguments = ("-e", f"cyborg_restore_role=cyborg.backup.policy_{type}", *arguments)
        return self._play(type, {"web1.example.org": values}, *arguments, playbook="restore")

    def each(self, type: str, cases: list[dict[str, Any]]) -> list[str]:
        """Back the host up in several ways by one run; of each the line in which Ansible says how it ended."""
        hosts = {f"case{n}": _role(type, variables) for n, variables in enumerate(cases)}
        said = self._play(type, hosts).stdout
        return [[line for line in said.splitlines() if f": [{host}]" in line][-1] for host in hosts]

    def _play(
        self, type: str, hosts: dict[str, Any], *arguments: str, playbook: str = "backup"
    ) -> subprocess.CompletedProcess[str]:
        shared = {"ansible_host": self.host.name, "borg_repository": VAULT, "borg_passphrase": PASSPHRASE}
        (self.folder / "inventory.json").write_text(json.dumps({"all": {"hosts": hosts, "vars": shared}}))
        argv = ["ansible-playbook", "-i", "inventory.json", f"playbooks/{playbook}.yml"]
        return self._run([*argv, "-e", f"cyborg_role=cyborg.backup.policy_{type}", *arguments])

    def _run(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            argv,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def borg(self, *arguments: str) -> str:
        """What Borg itself says on the host."""
        env = {"BORG_PASSPHRASE": PASSPHRASE, "LANG": "C.UTF-8"}
        done: subprocess.CompletedProcess[str] = self.host.run(["borg", *arguments], env=env)
        return done.stdout

    def saved(self, archive: str = "") -> dict[str, str]:
        """The paths in an archive (the last one), and of each whether it is a folder (d), file (-) or link (l)."""
        listed = self.borg("list", "--json-lines", f"{VAULT}::{archive or self.archive}")
        return {entry["path"]: entry["type"] for entry in map(json.loads, listed.splitlines())}

    def archives(self) -> list[str]:
        return self.borg("list", "--short", VAULT).split()


def _role(type: str, variables: dict[str, Any]) -> dict[str, Any]:
    return {f"policy_{type}_{name}": _unsafe(value) for name, value in variables.items()}


def _unsafe(value: Any) -> Any:
    if isinstance(value, str):
        return {"__ansible_unsafe": value}
    if isinstance(value, list):
        return [_unsafe(item) for item in value]
    return {key: _unsafe(item) for key, item in value.items()} if isinstance(value, dict) else value


@pytest.fixture(scope="module")
def plain(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plain]:
    host = lab.host(borg="1.2")
    made = Plain(tmp_path_factory.mktemp("plain"), lab, host)
    host.run(["mkdir", "-p", "/srv/backup"])
    made.borg("init", "--encryption", "repokey-blake2", VAULT)
    yield made
    host.remove()
