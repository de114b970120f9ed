"""Secrets reach the command and nothing else."""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .conftest import Target

CANARY = "canary-5dd1b3e2"


def read_quietly(path):
    try:
        return path.read_bytes()
    except OSError:
        return b""


def seen_of_processes():
    """Command lines and environments of all processes, without this one's family of shells."""
    return b"".join(
        read_quietly(folder / name)
        for folder in Path("/proc").iterdir() if folder.name.isdigit() and int(folder.name) != os.getpid()
        for name in ("cmdline", "environ")
    )


def test_a_secret_comes_through_a_pipe_and_is_nowhere_else(target, place):
    script = f'test -z "$(env | grep {CANARY[:6]}[-])" && cat /proc/self/fd/$SECRET > {place}/got; sleep 30'
    reply = target.shell(script, job="1.1", secrets={"SECRET": CANARY}, env={"PLAIN": "x"}, wait=0.5, quiet=0)
    deadline = time.monotonic() + 20
    while not (place / "got").exists() or not (place / "got").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert (place / "got").read_text() == CANARY
    (place / "got").unlink()
    assert reply["state"] == "running"
    assert CANARY.encode() not in seen_of_processes()
    assert not [path for path in target.root.rglob("*") if CANARY.encode() in read_quietly(path)]
    assert CANARY not in str(target.do("cancel", "1.1"))


def test_long_secrets_do_not_block(any_target):
    secrets = {"A": "a" * 300_000, "B": "b" * 200_000, "UNREAD": "u" * 200_000}
    reply = any_target.start(
        [sys.executable, "-c", "import os; print(*(len(open(int(os.environ[name])).read()) for name in 'BA'))"],
        secrets=secrets, stdin="i" * 100_000, timeout=30,
    )
    assert reply["result"]["out"] == "200000 300000\n"
    assert reply["result"]["rc"] == 0


def test_stdin_is_handed_over_or_empty(target):
    assert target.start(["cat"], stdin="x" * 100_000)["result"]["out"] == "x" * 100_000
    assert target.start(["cat"])["result"]["out"] == ""


def test_the_environment_is_an_allow_list(target):
    target.env = dict(os.environ, LEAK="leak", LC_ALL="C", SUDO_USER="x")
    lines = target.start(["env"], env={"BORG_REPO": "r"})["result"]["out"].splitlines()
    names = {line.split("=", 1)[0] for line in lines}
    assert names == {"PATH", "HOME", "LANG", "TZ", "BORG_REPO"}
    assert {"LANG=C.UTF-8", "TZ=UTC"} <= set(lines)
    assert any(line.startswith("PATH=/usr/local/") for line in lines)


def test_files_lie_in_the_job_and_go_with_the_command(target):
    argv = ["sh", "-c", 'ls -l "$1"; cat $FILE; echo "$2 $PLAIN"; sleep 0.2', "sh", "{job}", "{job}"]
    reply = target.start(argv, job="1.1", files={"known_hosts": "k\udcff", "id": "i"}, templates=["FILE", 4],
                         env={"FILE": "{job}/known_hosts", "PLAIN": "{job}"})
    out = reply["result"]["out"]
    assert out.count("-rw-------") == 2
    assert out.endswith("k\udcff{job} {job}\n")
    assert not (target.folder("1.1") / "files").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "..", ""])
def test_a_file_cannot_leave_its_folder(target, name):
    reply = target.start(["true"], job="1.1", files={name: "x"})
    assert reply["error"]["code"] == "invalid"
    assert not target.root.exists()


def test_secret_files_are_never_on_a_disk(tmp_path):
    assert subprocess.check_output(["stat", "-f", "-c", "%T", tmp_path], text=True).strip() != "tmpfs"
    target = Target(tmp_path / "jobs", sys.executable)
    number = f"{time.time_ns()}.1"
    reply = target.start(["sh", "-c", "cat $F; echo; echo $F"], job=number, files={"pass": CANARY}, files_secret=True,
                         env={"F": "{job}/pass"}, templates=["F"])
    content, path = reply["result"]["out"].splitlines()
    assert content == CANARY
    assert path == f"/dev/shm/cyborg-agent-{os.getuid()}/{number}/pass"
    assert not Path(path).parent.exists()
    target.start(["sleep", "30"], job=number + ".2", files={"pass": CANARY}, files_secret=True, wait=0)
    target.wait_for(number + ".2", "running")
    assert not [p for p in target.folder(number + ".2").rglob("*") if CANARY.encode() in read_quietly(p)]
    supervisor, command = map(int, (target.folder(number + ".2") / "pid").read_text().split())
    os.kill(supervisor, 9)
    os.kill(command, 9)
    assert target.wait_for(number + ".2")["result"]["lost"] is True
    assert not Path(path).parent.with_name(number + ".2").exists()


def test_no_core_dump_and_a_tight_umask(target):
    assert target.shell("ulimit -c; umask")["result"]["out"] == "0\n0077\n"


def test_a_program_that_is_not_there(target):
    result = target.start(["no-such-program"])["result"]
    assert (result["rc"], result["exec_error"]) == (127, "No such file or directory")


def test_signals_are_not_inherited_as_ignored(target):
    shown = target.shell("grep -E 'Sig(Ign|Blk)' /proc/self/status")["result"]["out"]
    assert {line.split()[1] for line in shown.splitlines()} == {"0" * 16}, shlex.quote(shown)
