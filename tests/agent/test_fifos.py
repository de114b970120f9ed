"""Texts that a command reads by a path, once."""

import json
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
