"""Texts that a command reads by a path, once."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import PACKAGE

GUARD = PACKAGE / "target" / "guard.py"
CANARY = "canary-77a1f0"


def run(target, script, **fifos):
    """A bash script from a FIFO, as it is for backups of streams."""
    names = [name for name in fifos if name != "command"]
    return target.start(
        ["bash", "-o", "pipefail", "{job}/command"], fifos={"command": script, **fifos}, files_secret=True,
        env={name: "{job}/" + name for name in names}, templates=[3, *names], timeout=60,
    )["result"]  # fmt: skip


def test_a_script_and_its_secret_are_read_once_and_gone(any_target):
    result = run(any_target, 'cat "$A"; ls "${A%/*}"; cat "$A"', A=CANARY)
    # The second look finds neither of them, in a folder that is empty.
    assert result["out"] == CANARY
    assert result["rc"] == 1
    assert "No such file" in " ".join(result["tail"])


def test_long_texts_arrive_whole_and_in_any_order(target):
    script = 'printf "%s " "$(wc -c < "$B")" "$(wc -c < "$A")"' + " " * 200_000
    result = run(target, script, A="a" * 300_000, B="b" * 100_000)
    assert result["out"] == "100000 300000 "


def test_an_empty_text_is_one_and_what_nobody_reads_holds_nothing_up(target):
    assert run(target, 'cat "$A"; echo end', A="", B="unread")["out"] == "end\n"


def test_nothing_of_it_is_on_a_command_line_or_in_a_file(target):
    look = 'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | grep -ac "canary-77a1[f]0" || true'
    script = f"x={CANARY}; {look}"
    assert run(target, script)["out"] == "0\n"


@pytest.mark.parametrize("name", ["", "..", "a/b"])
def test_other_names_are_refused(target, name):
    reply = target.start(["true"], fifos={name: "x"})
    assert reply["error"]["code"] == "invalid"


def guarded(data, **expect):
    """What the guard let through, how it ended, and what it said."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", GUARD], input=data, capture_output=True, check=False,
        env={"CYBORG_EXPECT": json.dumps(expect)},
    )  # fmt: skip
    line = done.stderr.decode().partition("@@cyborg-guard@@ ")[2]
    return done.stdout, done.returncode, json.loads(line) if line else None


def test_the_guard_passes_on_what_is_whole():
    data = b"CREATE a;\nrow\nCREATE b;\n" + b"x" * 3_000_000 + b"\n-- done\n"
    out, code, said = guarded(data, ends="-- done", counts={"\nCREATE ": 2, "row": 1})
    assert (out, code, said) == (data, 0, None)


def test_the_guard_refuses_nothing_at_all_unless_it_may_be():
    assert guarded(b"") == (b"", 65, {"kind": "empty", "detail": ""})
    assert guarded(b"", empty=True, ends="-- done")[1] == 0


def test_the_guard_refuses_what_has_no_end():
    _, code, said = guarded(b"-- done\n" + b"x" * 500, ends="-- done")
    assert (code, said["kind"]) == (66, "cut")


def test_the_guard_counts_across_the_borders_of_pieces():
    for shift in range(12):
        data = b"." * ((1 << 20) - shift) + b"\n-- Table\n" + b"." * (1 << 20)
        assert guarded(data, counts={"\n-- Table": 1})[1] == 0
    _, code, said = guarded(data, counts={"\n-- Table": 2})
    assert (code, said["kind"]) == (67, "counts")
    assert "1 instead of 2" in said["detail"]


def test_the_guard_counts_each_of_several_and_what_begins_no_line():
    data = b"a\n-- T\n-- T\nb-- T\n-- U" + b"\n" * 3000 + b"end"
    counts = {"\n-- T": 2, "\n-- U": 1, "-- T": 3, "\nend": 1, "\na": 1}
    assert guarded(data, counts=counts, ends="\nend")[1:] == (0, None)
    assert guarded(b"1\n", ends="\n1\n")[1] == 66  # the line's beginning before the first is ours


def copying(folder, interpreter, readers, data, file=False):
    """What the guard let through beside copies for these readers (commands of a shell), and what came of each."""
    (folder / "data").write_bytes(data)
    paths = [folder / f"{number}" for number in range(len(readers))]
    for path in paths:
        os.mkfifo(path)
    started = [
        subprocess.Popen(["sh", "-c", f"{{ {reader}; }} < {path} > {path}.out"])
        for reader, path in zip(readers, paths, strict=True)
    ]
    # From a file there are no pages to be handed on.
    script = f'exec "$@" < {folder}/data' if file else f'cat {folder}/data | "$@"'
    command = ["bash", "-c", script, "bash", interpreter, "-I", "-S", GUARD, *paths]
    done = subprocess.run(command, capture_output=True, check=False, env={"PATH": "/usr/bin:/bin"}, timeout=60)
    for each in started:
        each.wait(timeout=60)
    return done.stdout, (done.returncode, done.stderr), [Path(f"{path}.out").read_bytes() for path in paths]


@pytest.mark.parametrize("file", [False, True])
def test_the_guard_makes_copies_for_as_long_as_somebody_reads(tmp_path, file):
    data = os.urandom(5_000_001)
    readers = ["cat", "head -c 3000", "sleep 0.3; head -c 2000000", "true"]
    out, ended, copies = copying(tmp_path, sys.executable, readers, data, file)
    assert out == data
    assert ended == (0, b"")
    assert copies == [data, data[:3000], data[:2_000_000], b""]


def test_the_guard_makes_copies_with_old_interpreters_too(tmp_path, interpreter):
    data = os.urandom(300_000)
    for reader, copy in (("cat", data), ("head -c 3000", data[:3000])):
        folder = tmp_path / reader[:3]
        folder.mkdir()
        assert copying(folder, interpreter, [reader], data) == (data, (0, b""), [copy])


def test_the_guard_ends_when_nobody_reads_what_it_lets_through(tmp_path):
    script = f'yes | {sys.executable} -I -S {GUARD} | head -c 10; echo " ${{PIPESTATUS[*]}}"'
    env = {"PATH": "/usr/bin:/bin"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.split() == ["y"] * 5 + ["141", "141", "0"]
    assert done.stderr == ""


def test_the_guard_is_a_program_for_old_interpreters_too(interpreter):
    done = subprocess.run([interpreter, "-I", "-S", GUARD], input=b"x", capture_output=True, check=True, env={})
    assert done.stdout == b"x"


def test_the_guard_reads_itself_from_a_fifo(any_target):
    script = 'printf hello | "$P" -I -S "$GUARD"'
    result = any_target.start(
        ["bash", "-o", "pipefail", "{job}/command"], fifos={"command": script, "GUARD": Path(GUARD).read_text()},
        env={"GUARD": "{job}/GUARD", "P": "{python}"}, templates=[3, "GUARD", "P"], timeout=60,
    )["result"]  # fmt: skip
    assert (result["out"], result["rc"]) == ("hello", 0)
