"""Accidents with streams: what a command leaves unsaid must not make a failure a success."""

from __future__ import annotations

import pytest

from tests.roles.conftest import Plain
from tests.roles.test_streams import content, failed, well

pytestmark = pytest.mark.hosts


def refused(plain: Plain, command: str) -> str:
    """What a restore into a command says that fails."""
    done = plain.restore("piped", command=command)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2, said
    return said


def test_a_restore_fails_whatever_its_command_left_on_stderr(plain: Plain) -> None:
    well(plain.backup("piped", command="seq 1000"))
    # A last line without its end.
    assert "failed with exit code 3. It said: refused" in refused(plain, "cat >/dev/null; printf refused >&2; exit 3")
    # A child that goes on talking, until nothing else is left of the end; on a busy host the exit code may be left.
    talks = "cat >/dev/null; (trap '' TERM; while sleep 0.01; do echo talk >&2; done) & exit 3"
    said = refused(plain, talks)
    assert "not taken in to its end: talk" in said or "failed with exit code 3. It said: talk" in said
    assert "failed" in refused(plain, "cat >/dev/null; kill -9 $PPID; exit 3")


def test_a_backup_fails_with_the_commands_words_whatever_it_left_on_stderr(plain: Plain) -> None:
    assert "failed with exit code 3, so no archive was made. It said: refused" in failed(
        plain, command="seq 10; printf refused >&2; exit 3"
    )
    failed(plain, command="seq 10; (trap '' TERM; while sleep 0.01; do echo talk >&2; done) >/dev/null & exit 3")
    failed(plain, command="seq 10; kill -9 $PPID; sleep 1")
    # Its end is the end, also if its output ended before; and its stdin is nobody's.
    failed(plain, command="seq 10; exec >&-; sleep 1; exit 4")
    well(plain.backup("piped", command="cat; echo end\r\n\n: <<'X'\nbody\nX\n"))
    assert content(plain) == "end\r\n"


@pytest.mark.faults
def test_a_command_whose_supervisor_was_killed_is_ended_when_its_time_is_over(plain: Plain) -> None:
    up = "up() { ps -o ppid= -p $1 | tr -d ' '; }"
    orphan = f'{up}; echo begin; kill -9 "$(up $(up $PPID))"; exec -a orphaned-canary sleep 3000'
    said = failed(plain, command=orphan, shared={"cyborg_timeout": 5})
    assert "nobody was left on the host to end it" in said
    assert "orphaned-canary" not in plain.host.run(["ps", "-eo", "args"]).stdout
    well(plain.backup("piped", command="echo the vault is free"))
