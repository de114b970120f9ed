"""The program that serves a vault leaves the reserve alone: with this machine's Borg, on a small disk of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.agent.conftest import agent_module
from tests.preparation.test_pieces import ask

MB = 10**6


@pytest.fixture(scope="module")
def serve() -> ModuleType:
    """The program without its last line, which would begin to serve."""
    text, last = agent_module.whole("host_serve").rstrip("\n").rsplit("\n", 1)
    assert last == "main(sys.argv[1:])"
    module = ModuleType("host_serve")
    exec(compile(text, "host_serve", "exec"), module.__dict__)
    return module


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Path]:
    """A vault on 100 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "test", disk], check=True)
    try:
        borg(disk / "vault", "init", "--encryption=none", str(disk / "vault"))
        yield disk / "vault"
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def borg(vault: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "BORG_BASE_DIR": str(vault.parent.parent / "base"),
        "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
    }
    return subprocess.run(["borg", *argv], env=env, capture_output=True, text=True, check=True)


def store(vault: Path, megabytes: int) -> None:
    source = vault.parent.parent / f"source-{os.urandom(3).hex()}"
    source.write_bytes(os.urandom(megabytes * MB))
    borg(vault, "create", "--compression=none", f"{vault}::{source.name}", str(source))
    source.unlink()


def about(vault: Path, **more: int) -> dict[str, object]:
    return {"path": str(vault), "quota": 0, "reserve": 10**12, **more}


def test_what_a_client_may_fill_is_what_it_has_and_what_is_free_beyond_the_reserve(serve, vault, capfd):
    assert serve.stored(str(vault.parent)) == 0, "no vault has hints yet"
    assert 0 < serve.stored(str(vault)) < 1000, "an empty one has its manifest"
    store(vault, 20)
    used = serve.stored(str(vault))
    assert 20 * MB <= used <= 20.2 * MB, "Borg's own count"
    space = os.statvfs(vault)
    total, free = space.f_blocks * space.f_frsize, space.f_bavail * space.f_frsize
    # A twentieth is the most that is kept, whatever was asked for.
    assert serve.bound(about(vault)) == used + free - total // 20
    assert serve.bound(about(vault, reserve=MB)) == used + free - MB
    assert serve.bound(about(vault, quota=30 * MB)) == 30 * MB, "the quota is less"
    assert serve.bound(about(vault, reserve=0)) == 0, "nothing bounds it"
    assert capfd.readouterr().err.count("cyborg: reserve: ") == 2, "where it is the reserve that bounds"
    # Somebody else fills the disk: nothing more may come into this vault, and its client hears why.
    (vault.parent / "filler").write_bytes(bytes(free - total // 20 + 1000))
    assert serve.bound(about(vault, quota=90 * MB)) == used
    assert "cyborg: reserve: " in capfd.readouterr().err
    borg(vault, "compact", str(vault))  # has room


def test_nobody_is_stopped_by_hints_that_cannot_be_read(serve, vault, capfd):
    (vault / "hints.7").write_bytes(b"\x85no such key")
    assert serve.stored(str(vault)) is None
    assert serve.bound(about(vault, quota=30 * MB)) == 30 * MB
    for number, packed in {5: b"\x05", 200: b"\xcc\xc8", 2**40: b"\xcf" + (2**40).to_bytes(8, "big")}.items():
        (vault / "hints.8").write_bytes(b"\x85\xb1storage_quota_use" + packed + b"\xacshadow_index\x80")
        assert serve.stored(str(vault)) == number
    for cut in (b"", b"\xcf\x00", b"\xa3abc"):
        (vault / "hints.8").write_bytes(b"\x85\xb1storage_quota_use" + cut)
        assert serve.stored(str(vault)) is None
    assert serve.bound(about(Path("/nowhere"), quota=5)) == 5


def test_room_is_what_the_disk_says(vault):
    found = ask(sys.executable, "host_space", path=str(vault / "not" / "there" / "yet"))
    space = os.statvfs(vault)
    assert found["total"] == space.f_blocks * space.f_frsize
    assert abs(found["free"] - space.f_bavail * space.f_frsize) < MB
    assert found["filesystem"] == f"{os.stat(vault).st_dev:x}"
    assert found["filesystem"] != ask(sys.executable, "host_space", path="/")["filesystem"]
    assert ask(sys.executable, "host_space", path="relative")["error"]["code"] == "invalid"
