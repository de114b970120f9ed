"""The control socket, spoken to by the client that tasks use, and by peers that mean no good."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from ansible_collections.cyborg.backup.plugins.plugin_utils.control import Control, ControlError, Watch
from attrs import define

from cyborglib.ansible import server as server_module
from cyborglib.ansible.acknowledging import Acknowledging
from cyborglib.ansible.ledger import Ledger
from cyborglib.ansible.redaction import Redactor
from cyborglib.ansible.server import Server
from cyborglib.errors import ErrorCode, InvalidTransition, StoreError
from cyborglib.executor import Host, HostRun, Run
from tests.ansible.conftest import Recorder

SECRETS = {"borg_passphrase": "a long passphrase", "become_password": "root's password"}


@define
class Socket:
    folder: Path
    recorder: Recorder
    ledger: Ledger
    server: Server

    @property
    def path(self) -> str:
        return str(self.folder / "control")

    @property
    def token(self) -> str:
        return (self.folder / "token").read_text()

    def raw(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(10)
        connection.connect(self.path)
        return connection


def run() -> Run:
    works = [HostRun(job=job, attempt=2, host=Host(name=f"job-{job}"), secrets=tuple(SECRETS)) for job in (41, 42)]
    works.append(HostRun(job=43, attempt=1, host=Host(name="job-43")))
    return Run(id="r", playbook="backup", hosts=tuple(works))


@pytest.fixture
def control(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Socket]:
    recorder, redactor = Recorder(SECRETS), Redactor()
    ledger = Ledger(run(), recorder, redactor)
    made = Socket(tmp_path, recorder, ledger, Server(tmp_path, ledger, recorder, redactor, Acknowledging()))
    made.server.start()
    monkeypatch.setenv("CYBORG_CONTROL", made.path)
    yield made
    for connection in CONNECTED:
        connection.close()
    CONNECTED.clear()
    made.server.close()


CONNECTED: list[Control] = []


def connect(job: int = 42, attempt: int = 2) -> Control:
    made = Control.connect(job, attempt)
    assert made is not None
    CONNECTED.append(made)
    return made


def test_files_are_ours_alone(control: Socket) -> None:
    for name in ("control", "token"):
        assert (control.folder / name).stat().st_mode & 0o777 == 0o600


def test_without_the_library_there_is_no_connection(control: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Control.connect(None, None) is None
    monkeypatch.delenv("CYBORG_CONTROL")
    assert Control.connect(42, 2) is None


def test_a_job_tells(control: Socket) -> None:
    job = connect()
    job.started()
    job.progress({"files": 7, "original_bytes": 100, "path": "etc/x\x1b[2J", "seconds": 1.5})
    job.output(["a line", "evil \x1b[2J \udcff \ud800 \0", "a long passphrase nobody was given yet"])
    job.keep("key_export", "BORG_KEY xyz and so on")
    outcome = {"warnings": ["a"], "facts": {"x": [1, None]}, "stats": {"files": 7, "seconds": 2}}
    assert job.secret("borg_passphrase") == "a long passphrase"
    job.output(["with a long passphrase in it"])
    assert job.ended(outcome) == (True, True)
    job.close()
    told = control.recorder
    assert told.told[0] == ("started", 42)
    progress = told.told[1][2]
    assert (progress.files, progress.original_bytes, progress.seconds) == (7, 100, 1.5)
    assert progress.path == "etc/x\N{REPLACEMENT CHARACTER}[2J"
    assert told.lines(42)[0] == "a line"
    assert told.lines(42)[1] == "evil \N{REPLACEMENT CHARACTER}[2J " + told.lines(42)[1][10:]
    assert told.lines(42)[1].encode().isascii() is False
    assert told.lines(42)[-1] == "with *** in it"
    assert told.kept == {(42, "key_export"): "BORG_KEY xyz and so on"}
    assert told.outcomes[42].facts == {"x": [1, None]}
    assert told.outcomes[42].stats is not None


def test_an_end_that_is_not_committed_is_not_acknowledged(control: Socket) -> None:
    control.recorder.commits = False
    assert connect().ended({}) == (False, False)


def test_a_job_ends_once(control: Socket) -> None:
    job, other = connect(), connect()
    assert job.ended({})[0] is True
    for connection in (job, other):
        with pytest.raises(ControlError) as caught:
            connection.ended({})
        assert caught.value.code == "ended"
    with pytest.raises(ControlError):
        connect()


@pytest.mark.parametrize(("job", "attempt"), [(42, 1), (99, 2), (43, 2)])
def test_only_jobs_of_this_run_and_attempt(control: Socket, job: int, attempt: int) -> None:
    with pytest.raises(ControlError) as caught:
        connect(job, attempt)
    assert caught.value.code == "ended"


def test_a_secret_is_given_once_and_only_to_its_job(control: Socket) -> None:
    connect().secret("borg_passphrase")
    with pytest.raises(ControlError, match="already given"):
        connect().secret("borg_passphrase")
    assert connect(41).secret("borg_passphrase")
    for name in ("nothing", None, ["borg_passphrase"]):
        with pytest.raises(ControlError, match="has no secret"):
            connect().secret(name)
    with pytest.raises(ControlError, match="has no secret"):
        connect(43, 1).secret("borg_passphrase")


def test_a_become_password_is_given_to_every_task(control: Socket) -> None:
    assert {connect().secret("become_password") for _ in range(3)} == {"root's password"}


def test_what_the_engine_does_not_know_is_refused(control: Socket) -> None:
    control.recorder.secrets = {}
    with pytest.raises(ControlError, match="no secret"):
        connect().secret("borg_passphrase")


def test_a_cancel_is_pushed(control: Socket) -> None:
    heard = threading.Event()
    job = connect()
    watch = job.watch(heard.set, lambda: pytest.fail("it is there"))
    assert not heard.wait(0.3)
    control.recorder.cancels.add(42)
    assert heard.wait(5)
    watch.stop()
    assert connect().canceled
    assert not connect(41).canceled


def test_a_watch_can_be_stopped(control: Socket) -> None:
    heard = threading.Event()
    watch = connect().watch(lambda: pytest.fail("nobody canceled"), heard.set)
    watch.stop()
    assert not heard.is_set()


def test_a_library_that_is_gone_is_heard_of() -> None:
    heard = threading.Event()
    mine, other = socket.socketpair()
    watch = Watch(mine, lambda: pytest.fail("nobody canceled"), heard.set)
    other.close()
    assert heard.wait(5)
    watch.stop()


def hostile(control: Socket, data: bytes) -> bytes:
    """Everything that comes back until the connection is ended."""
    with control.raw() as connection:
        connection.sendall(data)
        got = b""
        while piece := connection.recv(4096):
            got += piece
        return got


def frame(value: object) -> bytes:
    data = json.dumps(value).encode()
    return struct.pack(">I", len(data)) + data


@pytest.mark.parametrize(
    "data",
    [
        frame({"do": "hello", "token": "another run's token", "job": 42, "attempt": 2}),
        frame({"do": "hello", "token": None, "job": 42}),
        frame({"do": "hello", "job": 42, "attempt": 2}),
        frame({"do": "secret", "name": "borg_passphrase"}),
        frame([1, 2]),
        struct.pack(">I", 4097) + b"x",
        struct.pack(">I", 0xFFFFFFFF),
        struct.pack(">I", 5) + b"{{{{{",
        struct.pack(">I", 4000) + b"[" * 4000,
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_strangers_are_hung_up_on(control: Socket, data: bytes) -> None:
    assert hostile(control, data) == b""
    assert not control.recorder.told
    assert connect().secret("borg_passphrase")


def test_who_says_nothing_is_hung_up_on(control: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "PATIENCE", 0.1)
    with control.raw() as connection:
        assert connection.recv(1) == b""


def test_a_frame_may_come_in_pieces(control: Socket) -> None:
    data = frame({"do": "hello", "token": control.token, "job": 42, "attempt": 2})
    with control.raw() as connection:
        for n in range(len(data)):
            connection.send(data[n : n + 1])
        assert json.loads(connection.recv(4096)[4:]) == {"ok": True, "canceled": False}


def test_too_long_a_frame_of_a_job_ends_it(control: Socket) -> None:
    hello = frame({"do": "hello", "token": control.token, "job": 42, "attempt": 2})
    with control.raw() as connection:
        connection.sendall(hello)
        assert json.loads(connection.recv(4096)[4:])["ok"] is True
        connection.sendall(struct.pack(">I", 16 * 1024 * 1024 + 1))
        assert connection.recv(1) == b""


def test_a_large_frame_arrives(control: Socket) -> None:
    archives = [{"name": f"archive-{n}", "id": "0" * 64, "time": ""} for n in range(50_000)]
    assert connect().ended({"facts": {"archives": archives}})[0]
    assert control.recorder.outcomes[42].facts["archives"] == archives


@pytest.mark.parametrize(
    "outcome",
    [
        None, [], {"archives": [{"borg_id": "x"}]}, {"archives": 7}, {"stats": {"files": -1}}, {"warnings": "text"},
        {"stats": {"files": True}}, {"stats": []}, {"facts": []}, {"error": "text"}, {"archives": [{"borg_id": None}]},
        *({"archives": [{"borg_id": "0" * 64, "part": part}]} for part in ("a\0", "\udcff", "x" * 1001, 7)),
    ],
)  # fmt: skip
def test_an_end_that_cannot_be_believed_is_an_error(control: Socket, outcome: object) -> None:
    assert connect().ended(outcome)[0]
    error = control.recorder.outcomes[42].error
    assert error is not None
    assert error.code is ErrorCode.HOSTILE_ANSWER


def test_bad_messages_do_not_end_the_server(control: Socket) -> None:
    job = connect()
    for message in ({"do": "progress", "progress": "x"}, {"do": "output"}, {"do": "keep", "name": 1}, {"do": 7}, {}):
        with pytest.raises(ControlError):
            job._call(message)
    job.started()


def test_a_failing_engine_does_not_end_the_server(
    control: Socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_job: int) -> None:
        raise RuntimeError("database is gone")

    monkeypatch.setattr(Recorder, "started", lambda self, job: broken(job))
    with pytest.raises(ControlError) as caught:
        connect().started()
    assert caught.value.code == "internal"
    assert "database" not in str(caught.value)
    assert "database is gone" in caplog.text
    assert connect(41).secret("become_password")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_other_users_are_refused_even_with_the_token(control: Socket) -> None:
    for path in (control.folder, *control.folder.parents):
        if path.stat().st_uid == os.geteuid() and len(path.parts) > 2:
            path.chmod(0o755)
    (control.folder / "control").chmod(0o666)
    program = (
        "import socket, sys, os; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]);\n"
        "s.settimeout(10)\n"
        "try: s.sendall(bytes.fromhex(sys.argv[2])); print(repr(s.recv(100)))\n"
        "except (BrokenPipeError, ConnectionResetError): print(repr(b''))"
    )
    hello = frame({"do": "hello", "token": control.token, "job": 42, "attempt": 2})
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, control.path, hello.hex()], capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() == "b''", done.stderr


def test_things_are_done_in_order(control: Socket) -> None:
    done: list[int] = []
    for n in range(1000):
        control.server.call(lambda n=n: done.append(n))
    for _ in range(100):
        if len(done) == 1000:
            break
        time.sleep(0.05)
    assert done == list(range(1000))


ARCHIVE = "0123456789abcdef" * 4
ENTRY = "0123456789abcdef\t1\t2025-11-27T18:10:00.000000\t'{path}'\t''\t--rw-r--r--\t0\t0\t'root'\t'root'\t\t"


def entries(*paths: str) -> str:
    return "".join(ENTRY.format(path=path) for path in paths)


def test_a_listing_comes_in_pieces_and_is_whole_or_nothing(control: Socket) -> None:
    job, got = connect(), control.recorder.received
    control.recorder.unwanted = {6}
    assert job.contents_begin(6, ARCHIVE) is False
    assert job.contents_begin(7, ARCHIVE) is True
    text = entries("a", "b")
    job.contents(7, text[:100])
    job.contents(7, text[100:])
    job.output(["said in between"])
    assert job.contents_end(7)["entries"] == 2
    assert ([item.path for item in got[7].items], got[7].end) == (["a", "b"], "finished")
    # Cut, of another archive, or no listing at all.
    for wrong in (text[:-5], text.replace("0123", "3210"), "Traceback"):
        job.contents_begin(8, ARCHIVE)
        job.contents(8, wrong)
        for _ in range(4):
            job.contents(8, text[:-5])
        with pytest.raises(ControlError) as refused:
            job.contents_end(8)
        job.output(["goes on"])
        assert (refused.value.code, got[8].end) == ("unparsable", "abandoned")
        with pytest.raises(ControlError):
            job.contents_end(8)
    for archive, borg_id in ((9, "not an id"), ("9", ARCHIVE)):
        with pytest.raises(ControlError):
            job.contents_begin(archive, borg_id)


def test_what_was_not_handed_over_whole_does_not_stay(control: Socket) -> None:
    got = control.recorder.received
    job = connect()
    job.contents_begin(7, ARCHIVE)
    job.contents_abandon(7)
    assert got[7].end == "abandoned"
    job.contents_begin(8, ARCHIVE)
    job.contents(8, entries("a"))
    job.close()
    until = time.monotonic() + 10
    while got[8].end != "abandoned":
        assert time.monotonic() < until
        time.sleep(0.02)


def test_others_are_answered_while_a_listing_is_taken_in(control: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    go = threading.Event()
    monkeypatch.setattr("tests.ansible.conftest.Received.take", lambda self, items: go.wait(20))
    job, other = connect(), connect(41)
    job.contents_begin(7, ARCHIVE)
    job.contents(7, entries("a"))
    other.output(["still here"])
    assert control.recorder.lines(41) == ["still here"]
    go.set()
    job.contents_end(7)


def test_a_listing_that_the_store_cannot_take_now_is_refused(control: Socket, monkeypatch: pytest.MonkeyPatch) -> None:
    job = connect()
    for problem, code in (
        (StoreError("away"), "internal"),
        (InvalidTransition("another's"), "ended"),
        (ValueError("x"), "internal"),
    ):

        def broken(self: object, items: object, problem: Exception = problem) -> None:
            raise problem

        monkeypatch.setattr("tests.ansible.conftest.Received.take", broken)
        job.contents_begin(7, ARCHIVE)
        job.contents(7, entries("a"))
        with pytest.raises(ControlError) as refused:
            job.contents_end(7)
        assert refused.value.code == code
