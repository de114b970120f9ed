"""The ansible-playbook that loads itself before there is work for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import cyborglib as cy
from cyborglib.ansible import AnsibleExecutor
from cyborglib.content import collections_path
from cyborglib.executor import HostRun
from cyborglib.secret import Secret
from tests.ansible.conftest import PASSPHRASE, Recorder, Vault, Works, backup
from tests.hosts.faults import ours, parent, shot, words

PROGRAM = collections_path() / "ansible_collections/cyborg/backup/plugins/plugin_utils/waiting_playbook.py"


@pytest.fixture
def control() -> Recorder:
    return Recorder({"borg_passphrase": PASSPHRASE})


@pytest.fixture
def work(local: Works, vault: Vault, tmp_path: Path) -> Works:
    """Makes backups of a folder into the vault."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "file").write_text("some text")

    def make(job: int = 1) -> HostRun:
        return local(
            job, borg_repository=str(vault.path), borg_archive=f"archive-{job}", policy_folders_folders=[str(source)]
        )

    return make


def waiting(executor: AnsibleExecutor) -> int:
    """The process that waits for the next run."""
    spare = executor._spare
    assert spare is not None
    deadline = time.monotonic() + 30
    while not (found := spare._stop._processes()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    [pid] = found
    return pid


def test_the_next_run_takes_the_one_that_waits(
    executor: AnsibleExecutor, control: Recorder, work: Works, vault: Vault
) -> None:
    executor.execute(backup(work()), control)
    spare = executor._spare
    assert spare is not None
    assert spare.usable
    executor.execute(backup(work(2)), control)
    assert not spare.folder.exists()
    assert executor._spare is not spare
    assert control.outcomes[2].successful, control.outcomes[2].error
    assert vault.archives() == ["archive-1", "archive-2"]


def test_one_that_was_killed_is_replaced(executor: AnsibleExecutor, control: Recorder, work: Works) -> None:
    executor.execute(backup(work()), control)
    spare = executor._spare
    assert spare is not None
    os.kill(waiting(executor), signal.SIGKILL)
    spare._thread.join(30)
    assert not spare.usable
    executor.execute(backup(work(2)), control)
    assert control.outcomes[2].successful, control.outcomes[2].error
    assert not spare.folder.exists()


def test_one_with_another_environment_is_replaced(
    executor: AnsibleExecutor, control: Recorder, work: Works, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor.execute(backup(work()), control)
    spare = executor._spare
    assert spare is not None
    assert spare.usable
    monkeypatch.setenv("SSH_AUTH_SOCK", "/nowhere")
    assert not spare.usable
    executor.execute(backup(work(2)), control)
    assert control.outcomes[2].successful, control.outcomes[2].error


def test_close_ends_it(executor: AnsibleExecutor, control: Recorder, work: Works) -> None:
    executor.execute(backup(work()), control)
    pid = waiting(executor)
    executor.close()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.timeout(120)
def test_a_worker_that_was_killed_ends_the_run(
    executor: AnsibleExecutor, control: Recorder, work: Works, vault: Vault
) -> None:
    """As the kernel does for lack of memory: Ansible itself would wait for its answer for ever."""
    killed: list[int] = []

    class Deadly(Recorder):
        def secret(self, job: int, name: str) -> Secret:
            # Who asks waits for the answer.
            workers = ours("waiting_playbook")
            killed.extend(pid for pid in workers if "waiting_playbook" in " ".join(words(parent(pid))))
            shot(killed)
            return super().secret(job, name)

    deadly = Deadly({"borg_passphrase": PASSPHRASE})
    with pytest.raises(cy.ExecutorError, match="A worker of Ansible's died"):
        executor.execute(backup(work()), deadly)
    assert killed
    assert deadly.outcomes == {}, "nobody knows what became of it: it is asked for"
    executor.execute(backup(work(2)), control)
    assert control.outcomes[2].successful, control.outcomes[2].error
    assert vault.archives() == ["archive-2"]


def leads_to(file: Path, fd: Path) -> bool:
    try:
        return os.path.samefile(fd, file)
    except FileNotFoundError:  # closed meanwhile
        return False


@pytest.mark.parametrize("seconds", ["60", "0"])
def test_it_ends_by_itself(tmp_path: Path, seconds: str) -> None:
    """When its library is gone, and when nothing comes for too long."""
    fifo = tmp_path / "call"
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDWR)
    (tmp_path / "ansible.cfg").write_text(f"[defaults]\ncollections_path = {collections_path()}\n")
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8",
        "ANSIBLE_CONFIG": str(tmp_path / "ansible.cfg"),
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-P", str(PROGRAM), str(fifo), seconds], env=environment, text=True,
        # Not those of the tests: an ssh of theirs may have made a pipe non-blocking, with which Ansible does not start.
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    if seconds == "60":
        # It has to have opened its end first.
        while not any(leads_to(fifo, fd) for fd in Path(f"/proc/{process.pid}/fd").iterdir()):
            time.sleep(0.01)
        os.close(held)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    if seconds == "0":
        os.close(held)
