"""The parts of a program are one text: no two of them may call different things by one name."""

from __future__ import annotations

import ast
import importlib
from collections import Counter

import pytest


@pytest.mark.parametrize("op", ["look", "clean", "backup", "plan", "load"])
def test_names_are_given_once(op: str) -> None:
    vm = importlib.import_module("ansible_collections.cyborg.backup.plugins.module_utils.vm")
    text = vm.program({"op": op, "name": "{{ 7*7 }} ü\n'\""})
    assert text.isascii()
    names: Counter[str] = Counter()
    for node in ast.parse(text, feature_version=(3, 6)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] += 1
        elif isinstance(node, ast.Assign):
            names.update(name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name))
    assert [name for name, times in names.items() if times > 1] == []
    assert "main" in names
