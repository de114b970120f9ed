"""Borg's lines are read as the json module reads them, without it."""

import json
import subprocess

import pytest

from .conftest import PACKAGE

LINES = [
    '{"type": "log_message", "message": "a\\u00e9\\ud83d\\n\\"", "n": [1, -2.5e3, true, false, null, {"a": []}]}',
    '{"big": 123456789012345678901234567890, "x": NaN, "y": -Infinity}',
    "{}",
    "{} ",
    '{"a": 1} {"b": 2}',
    '{"a": 1',
    '{"a" 1}',
    "{'a': 1}",
    '{"a": "\x01"}',
    '{"a": "é\udcff"}',
    "{",
    '{"a": 1,}',
    "plain text",
    "[1]",
    "",
]
SCRIPT = """
import sys, os, json
sys.path.insert(0, sys.argv[1])
from target.reading import parse
print(json.dumps([parse(line.encode("utf-8", "surrogateescape")) for line in json.load(sys.stdin)]))
"""


def expected(line):
    try:
        value = json.loads(line)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


@pytest.mark.parametrize("hidden", ["", "sys.modules['_json'] = None"])
def test_lines(interpreter, hidden):
    argv = [interpreter, "-c", f"import sys; {hidden}\n{SCRIPT}", str(PACKAGE)]
    done = subprocess.run(argv, input=json.dumps(LINES), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    for line, value in zip(LINES, found, strict=True):
        assert repr(value) == repr(expected(line)), line
