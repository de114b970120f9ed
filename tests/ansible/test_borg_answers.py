"""What Borg's answers are taken for: recorded ones of Borg 1.2.4 and 1.4.5, read by the agent as in life."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cyborg.backup.plugins.module_utils.agent.target.reading import Reading
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_answers
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure

RECORDINGS = Path(__file__).parent / "recordings"
VERSIONS = ("1.2.4", "1.4.5")
HERE, THERE = "/srv/vault", "ssh://borg@nas.example.org/srv/vault"


def result(log: str, rc: int = 2, **more: Any) -> dict[str, Any]:
    """What the agent tells of a command that wrote this to its standard error."""
    reading = Reading()
    for line in log.splitlines():
        reading.line(line.encode())
    return {"rc": rc, "signal": None, "timed_out": False, "exec_error": None, **reading.summary(), **more}


def recorded(version: str, name: str) -> tuple[dict[str, Any], str]:
    """An agent's result of a recorded call, and its output."""
    found = json.loads((RECORDINGS / f"borg-{version}.json").read_text())[name]
    return result(found["log"], found["rc"]), found["out"]


def refusal(answer: dict[str, Any], repository: str = HERE) -> Failure:
    with pytest.raises(Failure) as caught:
        borg_answers.check(answer, repository)
    return caught.value


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("init-exists", "vault_exists"),
        ("create-exists", "bad_arguments"),
        ("wrong-passphrase", "wrong_passphrase"),
        ("repository-missing", "vault_missing"),
        ("repository-none", "vault_missing"),
        ("archive-missing", "archives_vanished"),
        ("locked", "lock_held"),
        ("usage", "bad_arguments"),
        ("ssh-refused", "unreachable"),
    ],
)
def test_recorded_errors(version: str, name: str, code: str) -> None:
    answer, _ = recorded(version, name)
    failure = refusal(answer)
    assert failure.code == code
    assert failure.message.endswith((".", "nonsense", "refused", "server?"))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["init", "info", "create", "list", "extract-dry", "missing-source", "extract-missing"])
def test_recorded_successes_and_warnings(version: str, name: str) -> None:
    borg_answers.check(recorded(version, name)[0], HERE)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_archive(version: str) -> None:
    _, out = recorded(version, "create")
    made = borg_answers.created(out, "one", HERE, "")
    assert made["stats"]["files"] == 2
    assert len(made["borg_id"]) == 64
    pinned = json.loads(out)["repository"]["id"]
    assert borg_answers.created(out, "one", HERE, pinned) == made
    with pytest.raises(Failure) as caught:
        borg_answers.created(out, "one", HERE, "0" * 64)
    assert caught.value.code == "vault_id_changed"
    with pytest.raises(Failure) as caught:
        borg_answers.created(out, "another", HERE, pinned)
    assert caught.value.code == "hostile_answer"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_listing(version: str) -> None:
    _, out = recorded(version, "list")
    listed = borg_answers.listed(out, HERE, "")
    assert [entry["name"] for entry in listed["archives"]] == ["one"]
    assert listed["archives"][0]["time"].startswith("2024-01-02T03:04:05")
    assert listed["encryption"] == "repokey-blake2"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_half_an_answer_is_none(version: str, cut: int) -> None:
    _, out = recorded(version, "create")
    for text in (out.rstrip()[:cut], "[]", "null", '{"repository": {"id": 7}}', '{"repository": []}'):
        with pytest.raises(Failure) as caught:
            borg_answers.created(text, "one", HERE, "")
        assert caught.value.code == "unparsable"


def test_figures_that_are_none() -> None:
    _, out = recorded("1.2.4", "create")
    answer = json.loads(out)
    answer["archive"]["stats"]["nfiles"] = "many"
    with pytest.raises(Failure) as caught:
        borg_answers.created(json.dumps(answer), "one", HERE, "")
    assert caught.value.code == "unparsable"


def log(msgid: str, message: str = "it went wrong", *remote: str) -> str:
    lines = [
        {"type": "log_message", "message": f"Remote: {text}", "levelname": "WARNING", "name": "root"} for text in remote
    ]
    lines.append({"type": "log_message", "message": message, "levelname": "ERROR", "name": "b", "msgid": msgid})
    return "\n".join(json.dumps(line) for line in lines)


@pytest.mark.parametrize(
    ("remote", "code"),
    [
        ("nobody@nas: Permission denied (publickey).", "key_not_authorized"),
        ("Host key verification failed.", "host_key_changed"),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", "host_key_changed"),
        ("ssh: Could not resolve hostname nas: Name or service not known", "unreachable"),
        ("ssh: connect to host nas port 22: Connection timed out", "unreachable"),
        ("bash: line 1: borg: command not found", "borg_missing"),
        ("cyborg: vault busy: another Borg has been at work on it", "lock_held"),
        ("cyborg: vault closed: it is closed to its clients", "lock_held"),
        ("cyborg: the vault of this key is not known on this host", "key_not_authorized"),
        ("something nobody has seen before", "unreachable"),
    ],
)
@pytest.mark.parametrize("msgid", ["ConnectionClosedWithHint", "ConnectionClosed"])
def test_what_is_said_on_the_way(msgid: str, remote: str, code: str) -> None:
    assert refusal(result(log(msgid, "Connection closed by remote host.", remote)), THERE).code == code


@pytest.mark.parametrize(
    ("msgid", "code"),
    [
        ("Cache.RepositoryReplay", "vault_damaged"),
        ("Repository.StorageQuotaExceeded", "quota_reached"),
        ("StorageQuotaExceeded", "quota_reached"),
        ("Repository.InsufficientFreeSpaceError", "vault_full"),
        ("PathNotAllowed", "key_not_authorized"),
        ("Repository.CheckNeeded", "vault_damaged"),
        ("IntegrityError", "vault_damaged"),
        ("NoManifestError", "vault_damaged"),
        ("Cache.RepositoryAccessAborted", "vault_id_changed"),
        ("LockErrorT", "lock_held"),
        ("SomethingNew", "borg_failed"),
    ],
)
def test_message_ids(msgid: str, code: str) -> None:
    failure = refusal(result(log(msgid)), THERE)
    assert failure.code == code
    assert "{" not in failure.message


@pytest.mark.parametrize(
    ("repository", "text", "code"),
    [
        (HERE, "OSError: [Errno 28] No space left on device: '/srv/vault/data/0/9'", "vault_full"),
        (HERE, "OSError: [Errno 28] No space left on device: '/root/.cache/borg/ab/chunks'", "client_full"),
        (THERE, "Remote Exception (see remote log)\nRemote: [Errno 28] No space left on device", "vault_full"),
        (THERE, "OSError: [Errno 28] No space left on device: '/root/.cache/borg/ab/files'", "client_full"),
    ],
)
def test_which_disk_is_full(repository: str, text: str, code: str) -> None:
    assert refusal(result(log("Exception", text)), repository).code == code


def test_a_restore_fills_the_disk_that_it_restores_to() -> None:
    """Not the vault's, for which all its backups would wait; what single files had no room is for the caller."""
    text = "srv/www/a: write: [Errno 28] No space left on device"
    borg_answers.check(result(log("", text), 1), HERE, restores=True)
    said = "OSError: [Errno 28] No space left on device: '/var/tmp/back/srv'"
    failures = []
    for repository, ended in (
        (HERE, result(log("Exception", said), 2)),
        (THERE, result(log("Exception", said), 2)),
        (HERE, result(log("Exception", f"OSError: [Errno 28] No space left on device: '{HERE}/lock.exclusive'"), 2)),
        (THERE, result(log("Exception", "Remote: [Errno 28] No space left on device"), 2)),
    ):
        with pytest.raises(Failure) as caught:
            borg_answers.check(ended, repository, restores=True)
        failures.append(caught.value.code)
    assert failures == ["client_full", "client_full", "vault_full", "vault_full"]


def test_the_reserve_of_a_disk_is_no_quota() -> None:
    said = log("StorageQuotaExceeded", "The quota has been exceeded", "Remote: cyborg: reserve: of 9 bytes")
    failure = refusal(result(said), THERE)
    assert (failure.code, "reserve" in failure.message) == ("vault_full", True)


def test_a_full_repository_is_not_taken_for_a_file_that_cannot_be_read() -> None:
    """As Borg 1.4.0 to 1.4.4 may say it, with a warning only; a file that is called like that is none of it."""
    text = "/etc/passwd: read: [Errno 28] No space left on device"
    assert refusal(result(log("", text), 1), THERE).code == "client_full"
    far = result(log("", text, "Remote: OSError: [Errno 28] No space left on device"), 1)
    assert refusal(far, THERE).code == "vault_full"
    name = "/srv/No space left on device: file changed while we backed it up"
    borg_answers.check(result(log("", name), 1), THERE)


def test_ends_without_borgs_own_words() -> None:
    assert refusal(result("", None, signal=9)).code == "borg_failed"
    assert refusal(result("", 2, timed_out=True)).code == "timeout"
    assert refusal(result("", 127, exec_error="No such file or directory")).code == "borg_missing"
    assert "it said nothing" in refusal(result("", 2)).message


def test_warnings_in_words() -> None:
    log = "\n".join(
        json.dumps(line)
        for line in [
            {"type": "file_status", "status": "E", "path": "/etc/secret"},
            {"type": "log_message", "levelname": "WARNING", "name": "b",
             "message": "/etc/secret: open: [Errno 13] Permission denied: 'secret'"},
            {"type": "file_status", "status": "C", "path": "/var/log/x"},
            {"type": "log_message", "levelname": "WARNING", "name": "b", "message": "The clock is odd."},
        ]
    )  # fmt: skip
    left_out = [{"path": "/mnt/nas", "type": "nfs4", "source": "nas:/x", "reason": "network"}]
    unreadable, changed, left, odd = borg_answers.warnings({"left_out": left_out}, result(log, 1))
    assert "1 file could not be read (Permission denied): /etc/secret" in unreadable
    assert "1 file changed" in changed
    assert "/var/log/x" in changed
    assert "/mnt/nas" in left
    assert odd == "Borg warns: The clock is odd."


def test_of_a_traceback_the_end_is_told() -> None:
    text = 'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    f()\nOSError: it is broken\n'
    said = {"type": "log_message", "levelname": "ERROR", "message": f"{text}\nPlatform: Linux web1\nsys.argv: []"}
    assert refusal(result(json.dumps(said))).message == "Borg failed with exit code 2: OSError: it is broken"


@pytest.mark.parametrize(
    ("msgid", "message", "code", "said"),
    [
        ("Cache.CacheInitAbortedError", "Cache initialization aborted", "unsupported", "is not encrypted"),
        ("KeyfileNotFoundError", "No key file for repository x found in y.", "wrong_passphrase", "key="),
        ("PassphraseWrong", "passphrase supplied is incorrect", "wrong_passphrase", "was not adopted"),
        ("Cache.RepositoryReplay", "replay", "vault_damaged", "earlier state"),
    ],
)
def test_why_a_repository_of_others_is_not_adopted(msgid: str, message: str, code: str, said: str) -> None:
    line = {"type": "log_message", "levelname": "ERROR", "message": message, "msgid": msgid}
    failure = refusal(result(json.dumps(line)))
    found = borg_answers.refused_adoption(failure.code, failure.message, HERE)
    assert found[0] == code
    assert said in found[1]
    assert HERE in found[1]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("part", ["repository", "slice", "archives", "data"])
def test_a_check_goes_by_words(version: str, part: str) -> None:
    scope = {"slice": "repository"}.get(part, part)
    good, _ = recorded(version, f"check-{part}")
    assert good["rc"] == 0
    borg_answers.check(good, HERE)
    assert borg_answers.checked(borg_answers.texts_of(good["tail"]), scope, HERE) is True
    bad, _ = recorded(version, f"check-{part}-damaged")
    borg_answers.check(bad, HERE)  # Its exit code is that of a warning.
    texts = borg_answers.texts_of(bad["tail"])
    if part == "archives":
        # What lies in a damaged chunk of data, a check of archives does not see.
        assert borg_answers.checked(texts, scope, HERE) is True
        return
    with pytest.raises(Failure) as caught:
        borg_answers.checked(texts, scope, HERE)
    assert caught.value.code == "vault_damaged"
    assert "Data integrity error: Segment entry checksum mismatch [segment 2, offset" in caught.value.message
    assert "docs/checks.md" in caught.value.message


def test_a_check_without_its_last_words_is_none() -> None:
    texts = ["Starting repository check", "finished segment check at segment 9"]
    for scope in ("repository", "archives", "data"):
        with pytest.raises(Failure) as caught:
            borg_answers.checked(texts, scope, HERE)
        assert caught.value.code == "unparsable"
    partial = ["finished partial segment check at segment 4", "Finished partial repository check, no problems found."]
    assert borg_answers.checked(partial, "repository", HERE) is False
    with pytest.raises(Failure, match="did not say that it verified the data"):
        borg_answers.checked(["Archive consistency check complete, no problems found."], "data", HERE)
