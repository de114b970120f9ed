"""The ready hook, against a small real server."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.preparation.conftest import Player

TOKEN = "canary-0123456789abcdefghijklmnopqrstuvwxyzABCDEF"


class Hook:
    """A server that keeps what it was sent, and answers what it is told to."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.status, self.headers = 200, {}
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                hook.requests.append((self.command, self.path, dict(self.headers), body))
                self.send_response(hook.status)
                for name, value in hook.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *_: Any) -> None:
                """Nothing on the test's output."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/ready"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def hook() -> Iterator[Hook]:
    opened = Hook()
    yield opened
    opened.close()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "my invitation"
    path.write_text(f"Authorization: Bearer {TOKEN}\n")
    path.chmod(0o600)
    return path


def task(url: str, **more: Any) -> dict[str, Any]:
    return {"cyborg.backup.ready_hook": {"url": url, "hostname": "web1", **more}}


def local(play: Player, *tasks: dict[str, Any], check: bool = False) -> Any:
    """On the controller only: no host is asked."""
    variables = {"nowhere": {"ansible_host": "192.0.2.9"}}
    return play([], list(tasks), "-vvvv", names=["nowhere"], host_vars=variables, check=check)


def test_it_is_told_once(play: Player, hook: Hook, token_file: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.write_text(TOKEN)
    bare.chmod(0o600)
    tasks = [
        task(hook.url, token_file=str(token_file)),
        task(hook.url, token_file=str(bare)),
        dict(task(hook.url, token="{{ secret }}"), vars={"secret": TOKEN}),
        task(hook.url, token_file=str(token_file), state="checked"),
    ]
    done = local(play, *tasks).good()
    assert len(hook.requests) == 3
    for method, path, headers, body in hook.requests:
        assert (method, path, headers["Authorization"]) == ("POST", "/hooks/ready", f"Bearer {TOKEN}")
        assert json.loads(body) == {"hostname": "web1"}
    assert TOKEN not in done.output
    assert TOKEN not in json.dumps(done.entries)
    local(play, tasks[0], check=True).good()
    assert len(hook.requests) == 3


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("status", [None, 500, 401, 302])
def test_the_printed_command_tells_it_later(
    play: Player, hook: Hook, token_file: Path, status: int | None, header: bool
) -> None:
    if not header:
        token_file.write_text(TOKEN)
    hook.status, hook.headers = status or 200, {"Location": hook.url + "/elsewhere"} if status == 302 else {}
    url = hook.url
    if status is None:
        # Nobody listens there now.
        hook.server.socket.close()
    done = local(play, task(url, token_file=str(token_file))).good()
    result = done.result("ready_hook")
    assert result["told"] is False
    assert result["command"] in done.output
    assert TOKEN not in done.output
    assert [path for _, path, _, _ in hook.requests] == ([] if status is None else ["/hooks/ready"])
    if status == 500:
        hook.status = 204
        env = {"PATH": os.environ["PATH"], "no_proxy": "*"}
        subprocess.run(["sh", "-c", result["command"]], check=True, env=env, capture_output=True, timeout=60)
        method, path, headers, body = hook.requests[-1]
        assert (method, path, headers["Authorization"]) == ("POST", "/hooks/ready", f"Bearer {TOKEN}")
        assert json.loads(body) == {"hostname": "web1"}


@pytest.mark.parametrize(
    "url",
    [
        "http://backup.example.org/x",
        "http://127.0.0.1.example.org/x",
        "http://localhost@example.org/x",
        "https://me:secret@example.org/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "http://127.0.0.1/x y",
        "http://127.0.0.1/'x",
        "http://127.0.0.1:99999/",
        "/x",
    ],
)
def test_where_a_token_may_not_go(play: Player, token_file: Path, url: str) -> None:
    error = local(play, task(url, token_file=str(token_file), state="checked")).error("ready_hook")
    assert error["code"] == "bad_arguments"
    assert "cannot be used" in error["message"]


def test_a_token_file_that_others_can_read(play: Player, hook: Hook, token_file: Path, tmp_path: Path) -> None:
    token_file.chmod(0o644)
    nothing = tmp_path / "nothing"
    nothing.touch(0o600)
    tasks = [task(hook.url, token_file=str(path)) for path in (token_file, nothing, tmp_path, tmp_path / "none")]
    done = local(play, *tasks).good()
    messages = [entry["result"]["msg"] for entry in done.entries]
    assert "chmod 0600" in messages[0]
    assert "It is not a token" in messages[1]
    assert "must be a file of yours alone" in messages[2]
    assert "cannot be read" in messages[3]
    assert hook.requests == []
    assert local(play, task(hook.url)).error("ready_hook")["code"] == "bad_arguments"
