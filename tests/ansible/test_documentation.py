"""What an action takes stands in three places: in the action, in its documentation, and in the role that calls it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
#: Action -> what `tasks_from` calls it by.
ACTIONS = {"borg_create": "archive", "borg_init": "init", "borg_list": "list", "borg_extract": "extract"}
#: What only the action takes: the role settles it.
OWN = {"final", "key"}


def arguments(action: str) -> dict[str, Any]:
    module = importlib.import_module(f"ansible_collections.cyborg.backup.plugins.action.{action}")
    return dict(module.ActionModule.ARGUMENTS)


def documented(action: str) -> dict[str, Any]:
    module = importlib.import_module(f"ansible_collections.cyborg.backup.plugins.modules.{action}")
    return dict(yaml.safe_load(module.DOCUMENTATION)["options"])


@pytest.mark.parametrize("action", [*ACTIONS, "borg_rekey", "report"])
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
