"""The validator of arguments: as strict as Ansible's own, and never "a,b" for two paths."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.cyborg.backup.plugins.plugin_utils.arguments import validated
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

SPEC: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "count": {"type": "int", "default": 3},
    "on": {"type": "bool", "default": False},
    "paths": {"type": "list", "elements": "str", "default": []},
    "excludes": {"type": "list", "elements": "raw", "default": []},
    "roots": {"type": "dict", "default": {}},
    "mode": {"type": "str", "default": "a", "choices": ["a", "b"]},
    "secret": {"type": "str", "default": "", "no_log": True},
}


def test_defaults() -> None:
    assert validated({"name": "x"}, SPEC) == {
        "name": "x", "count": 3, "on": False, "paths": [], "excludes": [], "roots": {}, "mode": "a", "secret": "",
    }  # fmt: skip


def test_types() -> None:
    given = {"name": 7, "count": "4", "on": "yes", "paths": ["a", 1], "excludes": [{"style": "shell"}]}
    found = validated({**given, "roots": {"/": "x"}}, SPEC)
    assert found | {"mode": None, "secret": None} == {
        "name": "7", "count": 4, "on": True, "paths": ["a", "1"], "excludes": [{"style": "shell"}], "roots": {"/": "x"},
        "mode": None, "secret": None,
    }  # fmt: skip


def test_one_text_is_one_path() -> None:
    assert validated({"name": "x", "paths": "/a,b"}, SPEC)["paths"] == ["/a,b"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "name is missing"),
        ({"name": None}, "name is missing"),
        ({"name": "x", "other": 1}, "other is not taken"),
        ({"name": "x", "count": "many"}, "count is 'many'"),
        ({"name": "x", "on": "perhaps"}, "on is 'perhaps'"),
        ({"name": "x", "roots": [1]}, "roots is"),
        ({"name": "x", "mode": "c"}, "choose one of a, b"),
        ({"name": "x", "paths": 7.5}, ""),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, Any], said: str) -> None:
    if said:
        with pytest.raises(Failure) as caught:
            validated(given, SPEC)
        assert said in caught.value.message
        assert caught.value.code == "bad_arguments"
    else:
        assert validated(given, SPEC)["paths"] == ["7.5"]


def test_a_secret_is_not_shown() -> None:
    with pytest.raises(Failure) as caught:
        validated({"name": "x", "secret": "geheim"}, {**SPEC, "secret": {"type": "int", "no_log": True}})
    assert "geheim" not in caught.value.message
