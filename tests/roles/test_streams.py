"""What commands print, as archives, by plain ansible-playbook; and back again."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.roles.conftest import PASSPHRASE, VAULT, Plain

pytestmark = pytest.mark.hosts


def well(done: subprocess.CompletedProcess[str]) -> str:
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert PASSPHRASE not in said
    return said


def failed(plain: Plain, **options: object) -> str:
    """What a backup says that fails. It leaves no archive."""
    before = plain.archives()
    done = plain.backup("piped", **options)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2, said
    assert plain.archives() == before
    return said


def read(plain: Plain, path: str) -> str:
    return plain.host.read(path).decode()


def content(plain: Plain) -> str:
    return plain.borg("extract", "--stdout", f"{VAULT}::{plain.archive}")


def test_what_a_command_prints_is_the_archive(plain: Plain) -> None:
    well(
        plain.backup(
            "piped", command="echo '{{ 7*7 }}' \"$NAME\"; seq 3 | tac", environment={"NAME": "a b"}, file="a/b.txt"
        )
    )
    assert plain.saved() == {"a/b.txt": "-"}
    assert content(plain) == "{{ 7*7 }} a b\n3\n2\n1\n"


def test_a_failure_anywhere_in_the_pipe_leaves_no_archive(plain: Plain) -> None:
    assert "failed with exit code 7" in failed(plain, command="(seq 100000; echo no server >&2; exit 7) | gzip")
    assert "no server" in failed(plain, command="seq 10; echo no server >&2; exit 7")
    assert "killed by signal 9" in failed(plain, command="seq 10; kill -9 $$")
    assert "command not found" in failed(plain, command="no-such-dump")


def test_nothing_at_all_is_no_backup_unless_it_may_be(plain: Plain) -> None:
    assert "printed nothing" in failed(plain, command="true")
    well(plain.backup("piped", command="true", allow_empty=True))
    assert content(plain) == ""


def test_a_stream_without_its_end_is_no_backup(plain: Plain) -> None:
    assert "has no end" in failed(plain, command="echo begin; seq 1000", ends="-- done")
    well(plain.backup("piped", command="echo begin; seq 1000; echo -- done", ends="-- done"))


def test_a_large_stream_is_whole_and_deduplicated(plain: Plain) -> None:
    command = 'python3 -c "import random, sys; sys.stdout.buffer.write(random.Random(1).randbytes(60_000_000))"'
    well(plain.backup("piped", command=command))
    well(plain.backup("piped", command=command))
    stats = json.loads(plain.borg("info", "--json", f"{VAULT}::{plain.archive}"))["archives"][0]["stats"]
    assert stats["original_size"] >= 60_000_000
    assert stats["deduplicated_size"] < 600_000


def test_the_files_cache_of_other_backups_is_left_alone(plain: Plain) -> None:
    well(plain.backup("config"))
    look = "find /root/.cache/borg -name 'files*' -type f -exec md5sum {} +"
    before = plain.host.run(["sh", "-c", look]).stdout
    assert before
    well(plain.backup("piped", command="seq 3"))
    assert plain.host.run(["sh", "-c", look]).stdout == before


def test_the_command_is_not_in_the_archive(plain: Plain) -> None:
    well(plain.backup("piped", command="echo hello # canary-command-5512"))
    told = plain.borg("info", "--json", f"{VAULT}::{plain.archive}")
    assert "content-from-command" in told
    assert "canary" not in told


def test_check_mode_makes_nothing(plain: Plain) -> None:
    before = plain.archives()
    said = well(
        plain.backup(
            "piped",
            "--check",
            command="touch /root/ran; echo x",
        )
    )
    assert "would make the archive" in said
    assert plain.archives() == before
    assert not plain.host.exists("/root/ran")


def test_hooks_go_before_and_after(plain: Plain) -> None:
    hooks = {
        "borg_prehook": 'echo "$CYBORG_OUTCOME" > /root/hooks; echo from the hook',
        "borg_posthook": 'echo "$CYBORG_OUTCOME $CYBORG_ERROR" >> /root/hooks',
    }
    said = well(plain.backup("piped", command="cat /root/hooks", shared=hooks))
    assert "from the hook" in said
    assert content(plain) == "pending\n"
    assert read(plain, "/root/hooks") == "pending\nsuccessful \n"
    failed(plain, command="exit 3", shared=hooks)
    assert read(plain, "/root/hooks") == "pending\nfailed dump_failed\n"
    said = failed(plain, command="touch /root/ran", shared={**hooks, "borg_prehook": "echo no >&2; exit 4"})
    assert "prehook failed with exit code 4" in said
    assert not plain.host.exists("/root/ran")
    assert read(plain, "/root/hooks").endswith("failed hook_failed\n")
    said = well(plain.backup("piped", command="echo x", shared={"borg_posthook": "echo oh >&2; exit 5"}))
    assert "The posthook failed (exit code 5). It said: oh" in said


def test_back_into_a_command_or_a_file(plain: Plain) -> None:
    well(plain.backup("piped", command="seq 100000"))
    well(plain.restore("piped", command="tail -n 1 > /root/last"))
    assert read(plain, "/root/last") == "100000\n"
    well(plain.restore("piped", path="/root/all"))
    assert read(plain, "/root/all").endswith("\n100000\n")
    again = plain.restore("piped", path="/root/all")
    assert again.returncode == 2
    assert "is there already" in again.stdout
    well(plain.restore("piped", path="/root/all", shared={"borg_overwrite": True}))
    bad = plain.restore("piped", command="head -n 1 >/dev/null; echo full >&2; exit 9")
    assert bad.returncode == 2
    assert "failed with exit code 9. It said: full" in " ".join(bad.stdout.split())
    assert ".all" not in plain.host.run(["ls", "-A", "/root"]).stdout
