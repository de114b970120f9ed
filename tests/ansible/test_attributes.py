"""The parts of an action share one object: none of them keeps a value under the name of another one's method."""

from __future__ import annotations

import ast
import importlib
import inspect
import textwrap
from pathlib import Path

import pytest

ACTIONS = sorted(path.stem for path in (Path(__file__).parents[2] / "plugins/action").glob("*.py"))


@pytest.mark.parametrize("action", [name for name in ACTIONS if name != "__init__"])
def test_no_method_is_written_over(action: str) -> None:
    module = importlib.import_module(f"ansible_collections.cyborg.backup.plugins.action.{action}")
    ours = [cls for cls in module.ActionModule.__mro__ if cls.__module__.startswith("ansible_collections.cyborg")]
    assert ours
    written, methods = {}, {}
    for cls in ours:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
        for node in ast.walk(tree):
            stored = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
            if stored and isinstance(node.value, ast.Name) and node.value.id == "self":
                written[node.attr] = cls.__name__
        methods |= {name: cls.__name__ for name, value in vars(cls).items() if inspect.isfunction(value)}
    assert not {name: (written[name], methods[name]) for name in written.keys() & methods.keys()}
