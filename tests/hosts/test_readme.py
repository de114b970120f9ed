"""The README's examples, as printed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import HostFactory

pytestmark = pytest.mark.hosts

ROOT = Path(__file__).parents[2]


def example(name: str) -> str:
    """A block of Python in the README, found by the comment before it."""
    found = re.search(rf"<!-- example: {name} -->\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert found, name
    return found[1]


def test_the_fleet_example_runs_as_printed(host_factory: HostFactory, tmp_path: Path) -> None:
    web1, nas = host_factory("web1"), host_factory("nas")
    web1.write("/etc/hosts", f"127.0.0.1 localhost\n{nas.address} nas\n".encode(), 0o644)
    home = tmp_path / "ssh"
    home.mkdir(mode=0o700)
    named = {"web1.example.org": web1, "nas": nas}
    (home / "known_hosts").write_text(
        "".join(
            f"{name if host.port == 22 else f'[{name}]:{host.port}'} {host.host_key}\n" for name, host in named.items()
        )
    )
    (home / "config").write_text("".join(f"Host {name}\n  Port {host.port}\n" for name, host in named.items()))
    (tmp_path / "hosts").write_text(
        "127.0.0.1 localhost\n" + "".join(f"{host.address} {name}\n" for name, host in named.items())
    )
    script = tmp_path / "example.py"
    script.write_text(example("fleet"))
    lines = len([line for line in example("fleet").splitlines() if line.strip()])
    assert lines <= 15, "the contract's example is fifteen lines"
    real = Path.home() / ".ssh"
    real.mkdir(mode=0o700, exist_ok=True)
    # In a mount namespace of its own the names resolve, and the user's ssh set-up is this one.
    inside = f'mount --bind {tmp_path / "hosts"} /etc/hosts && mount --bind {home} {real} && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", inside, "sh", sys.executable, str(script)],
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "XDG_CONFIG_HOME": str(tmp_path / "config"),
            "XDG_STATE_HOME": str(tmp_path / "state"),
        },
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "confirmed by the controller: etc+web1.example.org+" in done.stdout, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("Archive("), done.stdout
    assert (tmp_path / "cyborg.db").stat().st_mode & 0o077 == 0
