"""What an action takes stands in three places: in the action, in its documentation, and in the role that calls it."""

from __future__ import annotations

import functools
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
#: Action -> what `tasks_from` calls it by.
ACTIONS = {
    "borg_check": "check",
    "borg_create": "archive",
    "borg_drill": "drill",
    "borg_extract": "extract",
    "borg_init": "init",
    "borg_list": "list",
    "borg_load": "load",
    "borg_stream": "stream",
}
DOCUMENTED = [*ACTIONS, "borg_rekey", "mysql_dump", "mysql_load", "postgresql_dump", "postgresql_load", "report"]
DOCUMENTED += ["borg_upkeep", "mysql_drill", "postgresql_drill", "repository_upkeep"]
DOCUMENTED += ["vm_drill", "vm_dump", "vm_load", "borg_find"]
#: What only the action takes: the role settles it.
OWN = {"final", "key"}


def arguments(action: str) -> dict[str, Any]:
    module = importlib.import_module(f"ansible_collections.cyborg.backup.plugins.action.{action}")
    return dict(module.ActionModule.ARGUMENTS)


@functools.cache
def shown() -> Any:
    """What ansible-doc shows, which puts the documentation together from fragments."""
    command = [sys.executable, "-m", "ansible", "doc", "--json", "-t", "module"]
    names = [f"cyborg.backup.{action}" for action in DOCUMENTED]
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".ansible")}
    return json.loads(subprocess.run([*command, *names], env=env, capture_output=True, check=True).stdout)


def documented(action: str) -> dict[str, Any]:
    return dict(shown()[f"cyborg.backup.{action}"]["doc"]["options"])


@pytest.mark.parametrize("action", DOCUMENTED)
def test_the_documentation_says_what_is_taken(action: str) -> None:
    takes, says = arguments(action), documented(action)
    assert takes.keys() == says.keys()
    for name, about in takes.items():
        for key in ("type", "elements", "choices"):
            assert about.get(key) == says[name].get(key), (name, key)
        if not about.get("required"):
            assert about.get("default") == says[name].get("default"), name


@pytest.mark.parametrize(("action", "entry"), ACTIONS.items())
def test_the_role_says_what_is_taken(action: str, entry: str) -> None:
    specs = yaml.safe_load((ROOT / "roles/borg/meta/argument_specs.yml").read_text())["argument_specs"]
    defaults = yaml.safe_load((ROOT / "roles/borg/defaults/main.yml").read_text())
    takes, options = arguments(action), specs[entry]["options"]
    assert {f"borg_{name}" for name in takes if name not in OWN} == options.keys()
    for name, about in takes.items():
        if name not in OWN:
            option = options[f"borg_{name}"]
            assert about["type"] == option["type"], name
            assert defaults[f"borg_{name}"] == option.get("default", defaults[f"borg_{name}"]), name
