"""Whole runs with ansible-playbook and Borg, on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import attrs
import pytest

from cyborglib.ansible import AnsibleExecutor
from cyborglib.errors import ErrorCode, ExecutorError
from cyborglib.executor import HostRun, Outcome, Run
from tests.ansible.conftest import PASSPHRASE, Recorder, Vault, Works, backup, play


def failed(outcome: Outcome) -> ErrorCode:
    assert outcome.error is not None
    assert PASSPHRASE not in outcome.error.message
    return outcome.error.code


@pytest.fixture
def control() -> Recorder:
    return Recorder({"borg_passphrase": PASSPHRASE})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "file").write_text("some text")
    return folder


@pytest.fixture
def work(local: Works, vault: Vault, source: Path) -> Works:
    """Makes backups of the source into the vault."""

    def make(job: int = 1, **variables: object) -> HostRun:
        return local(
            job,
            **{
                "borg_repository": str(vault.path),
                "borg_archive": f"archive-{job}",
                "policy_folders_folders": [str(source)],
                **variables,
            },
        )

    return make


def test_a_backup(executor: AnsibleExecutor, control: Recorder, work: Works, vault: Vault, source: Path) -> None:
    executor.execute(backup(work(borg_timestamp="2031-01-02T03:04:05", borg_repository_id=vault.id)), control)
    outcome = control.outcomes[1]
    assert outcome.successful, outcome.error
    (archive,) = outcome.archives
    assert (archive.name, archive.stats.files) == ("archive-1", 1)
    assert [root for root, _ in archive.roots] == [str(source)]
    assert archive.stats == outcome.stats
    assert vault.borg("list", "--format", "{archive} {id}").stdout.split() == ["archive-1", archive.borg_id]
    assert "2031-01-02" in vault.borg("list").stdout
    assert control.told[0] == ("secret", 1, "borg_passphrase")
    assert ("started", 1) in control.told
    assert control.told[-1] == ("ended", 1)
    assert not vault.locked


def test_what_was_typed_is_text(
    executor: AnsibleExecutor, control: Recorder, work: Works, vault: Vault, source: Path, tmp_path: Path
) -> None:
    canary = tmp_path / "canary"
    names = [
        f"{{{{ lookup('pipe', 'touch {canary}') }}}}", "{% raw %}", "{{ 7*7 }}; touch x", "re:.*", "sh:x", "-x",
        "{now}", "$(touch x)", "a\nb", "{# x #}", "!unsafe x", "a: b",
    ]  # fmt: skip
    # A name cannot hold a slash; whatever is templated would lose it too.
    names = [name.replace("/", "_") for name in names]
    for name in names:
        (source / name).mkdir()
        (source / name / "inner").write_text(name)
    asked = [str(source / name) for name in names]
    left_out = str(source / names[0] / "inner")
    executor.execute(backup(work(policy_folders_folders=asked, policy_folders_exclude=[left_out])), control)
    assert control.outcomes[1].successful, control.outcomes[1].error
    assert not canary.exists()
    kept = vault.borg("list", "--format", "{path}{NUL}", "::archive-1").stdout.split("\0")
    assert set(asked) <= {"/" + path for path in kept}
    assert left_out.lstrip("/") not in kept

    destination = tmp_path / "restored"
    restore = work(2, borg_archive="archive-1", borg_paths=asked[1:4], borg_destination=str(destination))
    executor.execute(play("restore", restore), control)
    assert control.outcomes[2].successful, control.outcomes[2].error
    came = {str(path)[len(str(destination)) :] for path in destination.rglob("inner")}
    assert came == {f"{path}/inner" for path in asked[1:4]}


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({"policy_folders_folders": ["/nowhere/at/all"]}, ErrorCode.SOURCE_MISSING),
        ({"borg_repository": "/nowhere"}, ErrorCode.VAULT_MISSING),
        ({"borg_repository": "/etc"}, ErrorCode.VAULT_MISSING),
        ({"borg_repository_id": "0" * 64}, ErrorCode.VAULT_ID_CHANGED),
        ({"borg_archive": "{now}"}, ErrorCode.BAD_ARGUMENTS),
        ({"borg_compression": "gzip"}, ErrorCode.BAD_ARGUMENTS),
        ({"borg_program": "/nowhere/borg"}, ErrorCode.BORG_MISSING),
        ({"policy_folders_exclude": [{"style": "shell", "pattern": "**"}]}, ErrorCode.SOURCE_MISSING),
        ({"policy_folders_exclude": [{"style": "shell", "pattern": "**/file"}]}, ErrorCode.SOURCE_EMPTY),
        ({"policy_folders_max_unreadable": "many"}, ErrorCode.BAD_ARGUMENTS),
    ],
)
def test_failures(
    executor: AnsibleExecutor, control: Recorder, work: Works, variables: dict[str, object], code: ErrorCode
) -> None:
    executor.execute(backup(work(**variables)), control)
    assert failed(control.outcomes[1]) is code, control.outcomes[1]


def test_a_wrong_passphrase(executor: AnsibleExecutor, work: Works) -> None:
    control = Recorder({"borg_passphrase": "another one, long enough"})
    executor.execute(backup(work()), control)
    assert failed(control.outcomes[1]) is ErrorCode.WRONG_PASSPHRASE


def test_a_secret_that_cannot_be_had(executor: AnsibleExecutor, work: Works) -> None:
    control = Recorder({})
    executor.execute(backup(work()), control)
    assert failed(control.outcomes[1]) is ErrorCode.LOST


def test_each_job_of_a_run_has_its_own_end(
    executor: AnsibleExecutor, control: Recorder, work: Works, vault: Vault
) -> None:
    works = [work(1), work(2, policy_folders_folders=["/nowhere"]), work(3), work(4, borg_repository="/nowhere")]
    executor.execute(backup(*works), control)
    assert {job: outcome.error and outcome.error.code for job, outcome in control.outcomes.items()} == {
        1: None, 2: ErrorCode.SOURCE_MISSING, 3: None, 4: ErrorCode.VAULT_MISSING,
    }  # fmt: skip
    assert sorted(vault.archives()) == ["archive-1", "archive-3"]


def test_two_runs_at_once(executor: AnsibleExecutor, control: Recorder, work: Works, vault: Vault) -> None:
    threads = [
        threading.Thread(target=executor.execute, args=(backup(work(job)), control), daemon=True) for job in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert {job: outcome.successful for job, outcome in control.outcomes.items()} == {1: True, 2: True}
    assert sorted(vault.archives()) == ["archive-1", "archive-2"]


def test_the_process_stays_as_it_was(
    executor: AnsibleExecutor, control: Recorder, work: Works, capfd: pytest.CaptureFixture[str]
) -> None:
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    environment, folder = dict(os.environ), Path.cwd()
    executor.execute(backup(work()), control)
    assert control.outcomes[1].successful
    assert [signal.getsignal(number) for number in numbers] == handlers
    assert (dict(os.environ), Path.cwd()) == (environment, folder)
    assert capfd.readouterr() == ("", "")


def test_secrets_are_in_no_file_argv_or_environment(
    executor: AnsibleExecutor, control: Recorder, work: Works, vault: Vault, source: Path, tmp_path: Path
) -> None:
    (source / "large").write_bytes(os.urandom(8 << 20))
    seen: dict[str, int] = {"argv": 0, "environment": 0, "file": 0, "looks": 0}
    over = threading.Event()
    canary = PASSPHRASE.encode()

    def look() -> None:
        while not over.is_set():
            seen["looks"] += 1
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    seen["argv"] += canary in (process / "cmdline").read_bytes()
                    if process.name != str(os.getpid()):
                        seen["environment"] += canary in (process / "environ").read_bytes()
                except OSError:
                    continue
            for folder in (executor_folder(executor), tmp_path, Path("/run/cyborg")):
                # Not `rglob`, which fails on a folder that has just gone.
                for path in (Path(at, name) for at, _, names in os.walk(folder or "") for name in names):
                    try:
                        if path.is_file() and path.stat().st_size < 5 << 20:
                            seen["file"] += canary in path.read_bytes()
                    except OSError:
                        continue
            time.sleep(0.05)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        executor.execute(backup(work(borg_compression="lzma,6")), control)
    finally:
        over.set()
        watcher.join()
    assert control.outcomes[1].successful, control.outcomes[1].error
    assert seen["looks"] > 3
    assert (seen["argv"], seen["environment"], seen["file"]) == (0, 0, 0)
    assert PASSPHRASE not in repr(control.told)


def executor_folder(executor: AnsibleExecutor) -> Path | None:
    return executor._home.path if executor._home else None


def test_nothing_is_left_behind(control: Recorder, work: Works) -> None:
    executor = AnsibleExecutor()
    executor.execute(backup(work()), control)
    folder = executor_folder(executor)
    assert folder is not None
    # Of the run itself nothing; what waits for the next one knows nothing yet.
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["2", "s"]
    assert not any((folder / "2" / name).exists() for name in ("hosts.json", "variables.json", "token", "control"))
    executor.close()
    assert not folder.exists()
    executor.close()


def test_a_cancel_ends_borg_and_leaves_no_lock(
    executor: AnsibleExecutor, control: Recorder, work: Works, vault: Vault, source: Path
) -> None:
    (source / "large").write_bytes(os.urandom(100 << 20))
    # Slow, yet each chunk in a fraction of a second: Borg hears no signal within one.
    thread = threading.Thread(
        target=executor.execute, args=(backup(work(borg_compression="zstd,19")), control), daemon=True
    )
    thread.start()
    control.await_told("progress", 1)
    began = time.monotonic()
    assert running(str(source))
    control.cancels.add(1)
    control.await_told("ended", 1)
    # Five seconds are promised, on a machine that is not busy with other things.
    assert time.monotonic() - began < 60
    thread.join(120)
    assert failed(control.outcomes[1]) is ErrorCode.CANCELED
    assert not vault.locked
    assert not running(str(source))


def running(word: str) -> list[bytes]:
    """Command lines of `borg create` that hold a word."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line = (process / "cmdline").read_bytes()
        except OSError:
            continue
        if b"/borg\0create\0" in line and word.encode() in line:
            found.append(line)
    return found


def test_a_job_canceled_before_it_began(
    executor: AnsibleExecutor, control: Recorder, work: Works, vault: Vault
) -> None:
    control.cancels.add(1)
    executor.execute(backup(work()), control)
    assert failed(control.outcomes[1]) is ErrorCode.CANCELED
    assert ("started", 1) not in control.told
    assert vault.archives() == []


def leave(job: HostRun, control: Recorder) -> None:
    """Start a job, and go away while it is at work."""
    executor = AnsibleExecutor()
    thread = threading.Thread(target=executor.execute, args=(backup(job), control), daemon=True)
    thread.start()
    control.await_told("progress", 1)
    executor.close()
    thread.join(60)
    assert not thread.is_alive()


def test_closing_leaves_the_job_at_work(control: Recorder, work: Works, vault: Vault, source: Path) -> None:
    (source / "large").write_bytes(os.urandom(25 << 20))
    job = work(borg_compression="lzma,6")
    leave(job, control)
    assert control.outcomes == {}
    assert running(str(source))
    # Asked for again, it is followed to its end and not started a second time.
    second = AnsibleExecutor()
    again = attrs.evolve(job, variables={**job.variables, "cyborg_attach": True})
    second.execute(backup(again), control)
    second.close()
    assert control.outcomes[1].successful, control.outcomes[1].error
    assert vault.archives() == ["archive-1"]
    [archive] = control.outcomes[1].archives
    assert [root for root, _ in archive.roots] == [str(source)], "it was examined as the first run would have"


def test_a_job_canceled_while_nobody_followed_it(
    executor: AnsibleExecutor, control: Recorder, work: Works, vault: Vault, source: Path
) -> None:
    (source / "large").write_bytes(os.urandom(100 << 20))
    job = work(borg_compression="lzma,9")
    leave(job, control)
    assert running(str(source))
    # The cancel is known before the run that takes it over begins: Borg is ended all the same.
    control.cancels.add(1)
    executor.execute(backup(attrs.evolve(job, recover=True)), control)
    assert failed(control.outcomes[1]) is ErrorCode.CANCELED
    assert not running(str(source))
    assert not vault.locked


def test_one_that_was_closed_may_be_used_again(executor: AnsibleExecutor, control: Recorder, work: Works) -> None:
    executor.close()
    executor.execute(backup(work()), control)
    assert control.outcomes[1].successful, control.outcomes[1].error


def test_asking_for_a_job_that_nobody_knows(executor: AnsibleExecutor, control: Recorder, work: Works) -> None:
    executor.execute(backup(work(cyborg_attach=True)), control)
    assert failed(control.outcomes[1]) is ErrorCode.LOST


def test_a_timeout(executor: AnsibleExecutor, control: Recorder, work: Works, vault: Vault, source: Path) -> None:
    (source / "large").write_bytes(os.urandom(100 << 20))
    executor.execute(backup(attrs.evolve(work(borg_compression="lzma,9"), timeout=2)), control)
    assert failed(control.outcomes[1]) is ErrorCode.TIMEOUT
    assert not vault.locked


def test_fewer_than_no_files_may_be_unreadable(executor: AnsibleExecutor, control: Recorder, work: Works) -> None:
    executor.execute(backup(work(policy_folders_max_unreadable=-1)), control)
    assert control.outcomes[1].successful, control.outcomes[1].error


def test_a_role_that_does_nothing(executor: AnsibleExecutor, control: Recorder, work: Works, tmp_path: Path) -> None:
    tasks = tmp_path / "roles/policy_nothing/tasks"
    tasks.mkdir(parents=True)
    (tasks / "main.yml").write_text("---\n- name: Nothing\n  ansible.builtin.debug:\n    msg: nothing\n")
    mine = AnsibleExecutor(roles_path=[tmp_path / "roles"])
    run = Run(id="test", playbook="backup", hosts=(work(),), variables={"cyborg_role": "policy_nothing"})
    mine.execute(run, control)
    mine.close()
    assert failed(control.outcomes[1]) is ErrorCode.INTERNAL
    assert "without saying what came of the job" in str(control.outcomes[1].error)


def test_a_warning_of_several_lines_is_one(control: Recorder, work: Works, tmp_path: Path) -> None:
    tasks = tmp_path / "roles/policy_warns/tasks"
    tasks.mkdir(parents=True)
    warning = "- |-\n        as it stands\n          in a file\n"
    report = f"---\n- name: Report\n  cyborg.backup.report:\n    warnings:\n      {warning}"
    (tasks / "main.yml").write_text(report)
    mine = AnsibleExecutor(roles_path=[tmp_path / "roles"])
    mine.execute(Run(id="test", playbook="backup", hosts=(work(),), variables={"cyborg_role": "policy_warns"}), control)
    mine.close()
    assert control.outcomes[1].warnings == ("as it stands in a file",)


def test_a_role_that_is_not_there(executor: AnsibleExecutor, control: Recorder, work: Works) -> None:
    run = Run(id="test", playbook="backup", hosts=(work(),), variables={"cyborg_role": "policy_gone"})
    executor.execute(run, control)
    # No task of its began, so it is not asked how it stands.
    assert failed(control.outcomes[1]) is ErrorCode.INTERNAL
    assert "policy_gone" in str(control.outcomes[1].error)
    assert "started" not in [told[0] for told in control.told]


def test_a_job_twice_in_a_run(executor: AnsibleExecutor, control: Recorder, work: Works) -> None:
    with pytest.raises(ExecutorError, match="twice"):
        executor.execute(backup(work(), work()), control)


def test_ansible_runner_is_imported_only_for_a_run() -> None:
    program = (
        "import sys, cyborglib.ansible; cyborglib.ansible.AnsibleExecutor().close();\n"
        "assert 'ansible_runner' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_a_new_vault(executor: AnsibleExecutor, control: Recorder, local: Works, tmp_path: Path) -> None:
    book = tmp_path / "roles/policy_init/tasks"
    book.mkdir(parents=True)
    (book / "main.yml").write_text(
        "---\n- name: Make it\n  ansible.builtin.import_role:\n    name: cyborg.backup.borg\n    tasks_from: init\n"
        '- name: Tell\n  cyborg.backup.report:\n    facts: "{{ borg_vault.cyborg_facts }}"\n    warnings: [one]\n'
    )
    mine = AnsibleExecutor(roles_path=[tmp_path / "roles"])
    path = tmp_path / "new/vault"

    def init(job: int, **variables: object) -> Outcome:
        work = local(job, borg_repository=str(path), **variables)
        run = Run(id="test", playbook="backup", hosts=(work,), variables={"cyborg_role": "policy_init"})
        mine.execute(run, control)
        return control.outcomes[job]

    made = init(1)
    assert made.successful, made.error
    assert (made.facts["created"], made.facts["encryption"], made.warnings) == (True, "repokey-blake2", ("one",))
    assert Vault(path).id == made.facts["borg_id"]
    assert control.kept[1, "key_export"].startswith("BORG_KEY " + made.facts["borg_id"])
    again = init(2)
    assert (again.facts["created"], again.facts["borg_id"]) == (False, made.facts["borg_id"])
    pinned = init(3, borg_repository_id=made.facts["borg_id"])
    assert pinned.facts["borg_id"] == made.facts["borg_id"]
    assert failed(init(4, borg_repository_id="0" * 64)) is ErrorCode.VAULT_ID_CHANGED
    control.secrets = {"borg_passphrase": "another one, long enough"}
    assert failed(init(5)) is ErrorCode.VAULT_EXISTS
    assert failed(init(6, borg_repository_id=made.facts["borg_id"])) is ErrorCode.WRONG_PASSPHRASE
    mine.close()


def test_a_listing(executor: AnsibleExecutor, control: Recorder, local: Works, vault: Vault, source: Path) -> None:
    for name in ("one", "two"):
        vault.borg("create", f"::{name}", str(source))
    there = {"borg_repository": str(vault.path)}
    works = [
        local(1, **there),
        local(2, **there, borg_key_sha256="0" * 64),
        local(3, **there, borg_repository_id="1" * 64),
    ]
    executor.execute(play("catalog", *works), control)
    facts = control.outcomes[1].facts
    assert [entry["name"] for entry in facts["archives"]] == ["one", "two"]
    assert facts["borg_id"] == vault.id
    assert failed(control.outcomes[2]) is ErrorCode.VAULT_KEY_CHANGED
    assert failed(control.outcomes[3]) is ErrorCode.VAULT_ID_CHANGED


def test_how_much_room_there_is(executor: AnsibleExecutor, control: Recorder, local: Works, tmp_path: Path) -> None:
    run = Run(id="here", playbook="measure", hosts=(local(1, measure_path=str(tmp_path / "not" / "yet")),))
    executor.execute(run, control)
    outcome = control.outcomes[1]
    assert outcome.successful, outcome.error
    space = os.statvfs(tmp_path)
    assert outcome.facts["filesystem"] == f"{os.stat(tmp_path).st_dev:x}"
    assert outcome.facts["total"] == space.f_blocks * space.f_frsize
    assert 0 < outcome.facts["free"] <= outcome.facts["total"]


@pytest.mark.parametrize(
    ("many", "grave", "code"),
    [(200, False, None), (200, True, ErrorCode.BORG_FAILED), (60_000, True, ErrorCode.BORG_FAILED)],
    ids=["attributes only", "a file among them", "a file before more than the log holds"],
)
def test_a_restore_hears_each_warning(
    executor: AnsibleExecutor, control: Recorder, local: Works, vault: Vault, source: Path, tmp_path: Path,
    many: int, grave: bool, code: ErrorCode | None,
) -> None:  # fmt: skip
    (source / "a").write_text("a")
    vault.borg("create", "::one", str(source))
    line = '{"type": "log_message", "levelname": "WARNING", "name": "borg.archiver", "message": "%s"}'
    bad = line % "srv/a: write: [Errno 5] Input/output error"
    good = line % "srv/b: when setting extended attribute user.x: [Errno 95] Operation not supported"
    program = tmp_path / "program"
    program.write_text(
        f"""#!/bin/sh
case "$*" in *extract*) ;; *) exec /usr/bin/borg "$@";; esac
/usr/bin/borg "$@" || exit
{"echo '" + bad + "' >&2" if grave else ""}
yes '{good}' | head -n {many} >&2
exit 1
"""
    )
    program.chmod(0o755)
    there = {"borg_repository": str(vault.path), "borg_archive": "one", "borg_destination": str(tmp_path / "new")}
    executor.execute(play("restore", local(1, **there, borg_program=str(program))), control)
    outcome = control.outcomes[1]
    assert (outcome.error and outcome.error.code) == code, outcome
    if code is None:
        assert "extended attribute" in outcome.warnings[0]
    else:
        assert "Input/output error" in str(outcome.error)
        assert not (tmp_path / "new").exists()


def test_restores(
    executor: AnsibleExecutor, control: Recorder, local: Works, vault: Vault, source: Path, tmp_path: Path
) -> None:
    (source / "folder").mkdir()
    (source / "folder/a").write_text("a")
    (source / "folder/b").symlink_to("a")
    (source / "not \udcff UTF-8").write_text("a")
    vault.borg("create", "::one", str(source))
    borg_id = vault.borg("list", "--format", "{id}").stdout
    there = {"borg_repository": str(vault.path), "borg_archive": "one", "borg_archive_id": borg_id}
    full, empty, new = tmp_path / "full", tmp_path / "empty", tmp_path / "new"
    full.mkdir()
    empty.mkdir()
    (full / "x").touch()

    def restore(job: int, **variables: object) -> HostRun:
        return local(job, **{**there, **{f"borg_{name}": value for name, value in variables.items()}})

    works = [
        restore(1, destination=str(new)),
        restore(2, destination=str(full)),
        restore(3, destination=str(empty), paths=[str(source / "folder/a")]),
        restore(4, destination=str(tmp_path / "gone"), paths=[str(source / "nothing"), str(source / "file")]),
        restore(5, destination=str(tmp_path / "other"), archive_id="0" * 64),
        restore(6, destination=str(tmp_path / "other"), archive="two"),
        restore(7, destination="relative"),
        restore(8, destination=str(tmp_path / "no/such/folder")),
        restore(9, dry_run=True, paths=[str(source / "folder")]),
        restore(10, destination=str(tmp_path / "other"), paths=["/"]),
        restore(20, destination=str(tmp_path / "odd"), paths=[str(source / "not \udcff UTF-8")]),
    ]
    executor.execute(play("restore", *works), control)
    inside = str(source).lstrip("/")
    assert control.outcomes[1].successful, control.outcomes[1].error
    subprocess.run(["diff", "-r", "--no-dereference", source, new / inside], check=True)
    assert new.stat().st_mode & 0o777 == 0o700
    assert control.outcomes[3].successful, control.outcomes[3].error
    assert [path.name for path in (empty / inside / "folder").iterdir()] == ["a"]
    assert {job: failed(control.outcomes[job]) for job in (2, 4, 5, 6, 7, 8, 10)} == {
        2: ErrorCode.DESTINATION_EXISTS, 4: ErrorCode.PATH_NOT_FOUND, 5: ErrorCode.ARCHIVES_VANISHED,
        6: ErrorCode.ARCHIVES_VANISHED, 7: ErrorCode.BAD_ARGUMENTS, 8: ErrorCode.PATH_NOT_FOUND,
        10: ErrorCode.BAD_ARGUMENTS,
    }  # fmt: skip
    assert not (tmp_path / "gone").exists(), "what was half restored has gone again"
    assert not (tmp_path / "other").exists()
    assert control.outcomes[9].successful, control.outcomes[9].error
    assert control.outcomes[20].successful, control.outcomes[20].error
    assert [path.name for path in (tmp_path / "odd" / inside).iterdir()] == ["not \udcff UTF-8"]
    assert sorted(control.lines(9)) == [f"{inside}/folder{name}" for name in ("", "/a", "/b")]

    executor.execute(play("restore", restore(11, destination=str(full), overwrite=True)), control)
    assert control.outcomes[11].successful
    assert (full / "x").exists()
    assert (full / inside / "file").read_text() == "some text"
