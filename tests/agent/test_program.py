"""Composing the program, and reading its answer."""

import ast
import json
import os
import subprocess
import sys
import time

import pytest

from .conftest import PACKAGE, agent_module

bundle = sys.modules["cyborg_agent.bundle"]
MINE = sorted(path for path in (PACKAGE / "target").glob("*.py") if not path.name.startswith("host_"))


@pytest.mark.parametrize("path", MINE, ids=lambda path: path.stem)
def test_pieces_are_small_and_know_python_3_6(path):
    text = path.read_text(encoding="ascii")
    ast.parse(text, feature_version=(3, 6))
    assert len(text.splitlines()) <= 250
    compile(text, str(path), "exec", dont_inherit=True)


@pytest.mark.parametrize("op", sorted(agent_module.PIECES))
def test_joined_pieces_share_a_namespace_without_clashes(op):
    names, defined = set(), []
    for node in ast.parse(bundle._joined(tuple(agent_module.PIECES[op])), feature_version=(3, 6)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            defined.append(node.name)
        elif isinstance(node, ast.Assign):
            defined += [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        assert not (isinstance(node, ast.ImportFrom) and node.level), "an import between pieces was left in"
    names.update(defined)
    assert len(defined) == len(names), sorted(name for name in names if defined.count(name) > 1)
    assert f"op_{op}" in names


def test_a_follow_is_cheap_to_compile():
    source = bundle._joined(tuple(agent_module.PIECES["follow"]))
    seconds = []
    for _ in range(10):
        before = time.process_time()
        compile(source, "agent", "exec")
        seconds.append(time.process_time() - before)
    assert min(seconds) < 0.010


def test_a_follow_imports_nothing_that_costs():
    program = agent_module.exchange({"op": "follow", "job": "1.1", "root": "/nonexistent/x", "wait": 0})
    program += b"import sys; print(sorted({'json', 're', 'enum', 'subprocess', 'shutil'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-I", "-S", "-"], input=program, capture_output=True, check=True)
    assert done.stdout.decode().splitlines()[-1] == "[]"


def test_a_module_in_the_current_folder_is_not_imported(tmp_path):
    for name in ("os", "json", "fcntl", "select", "time", "resource"):
        (tmp_path / f"{name}.py").write_text("open('canary', 'w')")
    program = agent_module.exchange({"op": "start", "job": "1.1", "root": str(tmp_path / "jobs"), "argv": ["true"]})
    done = subprocess.run([sys.executable, "-"], input=program, capture_output=True, check=True, cwd=tmp_path)
    assert agent_module.answer(done.stdout.decode())["started"] is True
    assert not (tmp_path / "canary").exists()


class Text(str):
    """Like what Ansible hands to plugins: a string with a repr of its own."""

    def __repr__(self):
        return "__import__('os').abort()"


@pytest.mark.parametrize(
    "text", ["'); import os; os.abort() #", '"""', "\\", "\n@@cyborg@@2:{}", "\udcff\u2028", Text("x")]
)
def test_a_request_is_data_whatever_it_says(target, text):
    reply = target.start(["printf", "%s", text])
    assert reply["result"]["out"] == text


def test_only_what_json_can_say_is_sent():
    with pytest.raises(ValueError, match="not JSON compliant"):
        agent_module.exchange({"op": "ask", "job": "1.1", "wait": float("nan")})


def frame(value):
    body = json.dumps(value)
    return f"\n@@cyborg@@{len(body)}:{body}\n"


def test_noise_around_the_answer_is_passed_over():
    noise = "Welcome to web1\n@@cyborg@@99999999999:\n"
    assert agent_module.answer(noise + frame({"state": "running"}) + "logout\r\n") == {"state": "running"}
    assert agent_module.answer("no newline before it? " + frame({"a": "\n@@cyborg@@2:{}"})) == {"a": "\n@@cyborg@@2:{}"}
    assert agent_module.answer(frame({"a": 1}).replace("\n", "\r\n")) == {"a": 1}


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("", "gave no answer"),
        ("sudo: a password is required\n", "gave no answer"),
        (frame({"state": "x" * 100})[:60], "was cut: 45 of 113"),
        ("\n@@cyborg@@3:abc\n", "cannot be read"),
        ("\n@@cyborg@@2:[]\n", "gave no answer"),
    ],
)
def test_a_short_or_missing_answer_is_an_error_with_the_tail(output, sentence):
    with pytest.raises(agent_module.AgentError, match=sentence) as raised:
        agent_module.answer(output)
    assert raised.value.tail == output[-2000:]


def test_lines_joins_what_came_in_parts():
    lines = agent_module.Lines()
    euro = "\u20ac".encode()
    first, last = (data.decode("utf-8", "surrogateescape") for data in (b"a" + euro[:1], euro[1:] + b"z"))
    assert lines.feed({"lines": ["one"], "part": ""}) == ["one"]
    assert lines.feed({"lines": [], "part": first}) == []
    assert lines.feed({"lines": [last, "two"], "part": ""}) == ["a\u20acz", "two"]
    assert lines.feed({"lines": [], "part": "lost"}) == []
    assert lines.feed({"lines": ["three"], "dropped": 7}) == ["three"]


def test_an_unforeseen_error_is_an_answer_without_values(target):
    target.start(["true"], job="1.1")
    reply = target.do("follow", "1.1", offset="canary")
    assert reply["error"]["code"] == "agent_failed"
    assert "ValueError in follow" in reply["error"]["message"]
    assert "canary" not in json.dumps(reply)


@pytest.mark.parametrize(
    "wrong",
    [
        {"argv": []}, {"argv": "ls"}, {"argv": ["ls", 5]}, {"argv": ["a\0b"]}, {"argv": None}, {"argv": ["\ud800"]},
        {"env": {"A": 5}},
        {"env": {"A=B": "x"}}, {"env": {"": "x"}}, {"secrets": {"A": None}}, {"files": {"x": 1}}, {"stdin": 1},
        {"timeout": "x"}, {"timeout": -1}, {"templates": ["X"]}, {"templates": [9]}, {"job": "../1"}, {"job": "1.x"},
        {"cwd": 5}, {"sources": {"roots": []}}, {"sources": {"roots": ["etc"]}}, {"sources": {"roots": "/etc"}},
    ],
    ids=repr,
)
def test_a_request_that_cannot_be_meant_starts_nothing(target, wrong):
    request = {"job": "1.1", "argv": ["true"], **wrong}
    reply = target.start(request.pop("argv"), **request)
    assert (reply["state"], reply["error"]["code"]) == ("refused", "invalid")
    assert not target.root.exists() or os.listdir(target.root) == []
