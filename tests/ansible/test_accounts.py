"""Listings as an account without rights, and within bounds: what its Borg is and has, and how it fails."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

from cyborglib.ansible import AnsibleExecutor
from cyborglib.errors import ErrorCode, JobError
from cyborglib.executor import HostRun
from tests.accounts import local_account, processes
from tests.ansible.conftest import PASSPHRASE, Recorder, Vault, Works, play
from tests.bombs import write_manifest

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another account")

#: Tells what it is, and is Borg then.
TELLTALE = """#!/bin/sh
{ id -u; id -G; pwd; grep -E 'NoNewPrivs|CapEff' /proc/self/status; ulimit -v; ulimit -St; } >> "$HOME/told"
tr '\\0' '\\n' < /proc/self/environ >> "$HOME/told"
exec borg "$@"
"""


@pytest.fixture
def account() -> Iterator[pwd.struct_passwd]:
    with local_account() as made:
        yield made


@pytest.fixture
def control() -> Recorder:
    return Recorder({"borg_passphrase": PASSPHRASE})


@pytest.fixture
def theirs(account: pwd.struct_passwd, vault: Vault) -> Vault:
    """A vault that the account may read."""
    moved = Vault(Path(account.pw_dir) / "vault")
    shutil.move(vault.path, moved.path)
    subprocess.run(["chown", "-R", account.pw_name, moved.path], check=True)
    return moved


@pytest.fixture
def listing(local: Works, account: pwd.struct_passwd, theirs: Vault) -> Callable[..., HostRun]:
    def make(job: int = 1, **variables: object) -> HostRun:
        given = {"borg_repository": str(theirs.path), "borg_repository_id": theirs.id,
                 "borg_base_dir": f"~{account.pw_name}/base", **variables}  # fmt: skip
        work = local(job, **given)
        return attrs.evolve(work, host=attrs.evolve(work.host, account=account.pw_name, title="the controller"))

    return make


def error(control: Recorder, job: int = 1) -> JobError:
    found = control.outcomes[job].error
    assert found is not None
    assert PASSPHRASE not in found.message
    return found


def test_its_borg_has_nothing_of_roots(
    executor: AnsibleExecutor, control: Recorder, account: pwd.struct_passwd, listing: Callable[..., HostRun],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/roots-agent")
    program = Path(account.pw_dir) / "telltale"
    program.write_text(TELLTALE)
    program.chmod(0o755)
    limits = {"borg_memory_limit": 1 << 30, "borg_cpu_limit": 60}
    executor.execute(play("catalog", listing(borg_program=str(program), **limits)), control)
    assert control.outcomes[1].successful, control.outcomes[1].error
    assert control.outcomes[1].facts["archives"] in ((), [])
    told = (Path(account.pw_dir) / "told").read_text().splitlines()
    assert told[:7] == [
        str(account.pw_uid), str(account.pw_gid), "/", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", str(1 << 20),
        "60",
    ]  # fmt: skip
    environment = dict(line.split("=", 1) for line in told[7:])
    assert environment.keys() <= {
        "PATH", "HOME", "LANG", "TZ", "PWD", "BORG_REPO", "BORG_BASE_DIR", "BORG_EXIT_CODES", "BORG_PASSPHRASE_FD",
        "BORG_RELOCATED_REPO_ACCESS_IS_OK", "PYTHONNOUSERSITE",
    }  # fmt: skip
    assert (environment["HOME"], environment["TZ"]) == (account.pw_dir, "UTC")
    assert environment["BORG_BASE_DIR"] == account.pw_dir + "/base"
    for folder in ("base", ".local"):
        found = os.stat(Path(account.pw_dir) / folder)
        assert (found.st_uid, found.st_mode & 0o777) == (account.pw_uid, 0o700)
    assert processes(account.pw_uid) == []


def test_an_account_that_will_not_do_is_said_when_it_is_used(
    executor: AnsibleExecutor, control: Recorder, local: Works
) -> None:
    work = local(1, borg_repository="/nowhere")
    for job, (name, said) in enumerate(
        {"cyborg-test-none": "useradd --system --create-home", "root": "root itself", "nobody": "usermod"}.items(), 1
    ):
        given = attrs.evolve(work, job=job, host=attrs.evolve(work.host, name=f"job-{job}", account=name))
        executor.execute(play("catalog", given), control)
        assert error(control, job).code is ErrorCode.UNSUPPORTED
        assert said in error(control, job).message
        assert "controller_account" in error(control, job).message
    assert not [what for what in control.told if what[0] in ("started", "secret")], "nothing was begun"


def test_a_borg_or_python_that_cannot_be_run(
    executor: AnsibleExecutor, control: Recorder, listing: Callable[..., HostRun], tmp_path: Path
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "borg").symlink_to("/usr/bin/borg")
    executor.execute(play("catalog", listing(borg_program=str(closed / "borg"))), control)
    assert error(control).code is ErrorCode.BORG_MISSING
    assert "(Permission denied)" in error(control).message
    python = closed / "python3"
    python.write_text("#!/nowhere/python3\n")
    python.chmod(0o755)
    work = listing(2)
    executor.execute(
        play("catalog", attrs.evolve(work, host=attrs.evolve(work.host, interpreter=str(python)))), control
    )
    assert error(control, 2).code is ErrorCode.BECOME_FAILED
    assert "setpriv: failed to execute" in error(control, 2).message


@pytest.mark.parametrize(
    "limits", [{"borg_memory_limit": 256 << 20}, pytest.param({"borg_cpu_limit": 1}, marks=pytest.mark.faults)]
)
def test_a_vault_that_harms_its_reader_is_a_failure_and_no_empty_listing(
    executor: AnsibleExecutor, control: Recorder, listing: Callable[..., HostRun], theirs: Vault,
    account: pwd.struct_passwd, limits: dict[str, int],
) -> None:  # fmt: skip
    write_manifest(theirs.path, PASSPHRASE, 400_000_000, user=account.pw_uid)
    executor.execute(play("catalog", listing(**limits)), control)
    assert error(control).code is ErrorCode.LIMIT_REACHED
    assert error(control).permanent
    assert "put something there to harm" in error(control).message
    assert control.outcomes[1].facts == {}
    # Without a bound it takes what it likes; that Borg does not take it for a list in the end is another matter.
    executor.execute(play("catalog", listing(2)), control)
    assert error(control, 2).code is ErrorCode.BORG_FAILED
