"""What a host answers is believed only as far as it is of the right kind."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / ".ansible"))

from ansible_collections.cyborg.backup.plugins.action import client_facts  # noqa: E402
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_versions, host_action, public_key  # noqa: E402
from ansible_collections.cyborg.backup.plugins.plugin_utils.failure import Failure  # noqa: E402

FACTS: dict[str, Any] = {
    "uid": 0,
    "user": "root",
    "home": "/root",
    "python": {"path": "/usr/bin/python3", "version": "3.6.15"},
    "os": {"id": "debian", "version": "12", "name": "Debian GNU/Linux 12 (bookworm)", "like": ""},
    "kernel": "6.1.0-13-amd64",
    "machine": "x86_64",
    "hostname": "web1",
    "ip": "192.0.2.7",
    "addresses": ["192.0.2.7", "2001:db8::1"],
    "manager": "apt-get",
    "borg": "/usr/bin/borg",
    "borg_version": "1.2.4",
    "borg_problem": "",
    "systemd": True,
    "memory_folders": ["/run"],
    "tar": "/usr/bin/tar",
    "bash": "/usr/bin/bash",
    "ssh": "/usr/bin/ssh",
    "ssh_keygen": "",
    "sudo": "",
    "sudo_logs_input": None,
}


def test_facts_as_they_should_be() -> None:
    assert client_facts.checked(copy.deepcopy(FACTS)) == FACTS


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for name, item in value.items():
            found += places(item, (*path, name))
    return found


@pytest.mark.parametrize("where", places(FACTS), ids=str)
@pytest.mark.parametrize(
    "bad",
    ["x\ny", "\x1b[2J", "A" * 100_000, {"a": 1}, ["x"] * 1000, 10**30, -1, 1.5, "{{ x }}\0", "\udcff"],
    ids=lambda v: repr(v)[:12],
)
def test_facts_that_are_none(where: tuple[Any, ...], bad: Any) -> None:
    facts = copy.deepcopy(FACTS)
    target = facts
    for name in where[:-1]:
        target = target[name]
    target[where[-1]] = bad
    with pytest.raises(Failure) as failed:
        client_facts.checked(facts)
    assert failed.value.code == "hostile_answer"
    assert "\x1b" not in failed.value.message


def test_missing_facts() -> None:
    for name in FACTS.keys() - {"sudo_logs_input"}:
        facts = copy.deepcopy(FACTS)
        del facts[name]
        with pytest.raises(Failure):
            client_facts.checked(facts)
    for facts in (None, [], "x", 3):
        with pytest.raises(Failure):
            client_facts.checked(facts)


@given(st.text())
def test_what_is_shown_cannot_drive_a_terminal(value: str) -> None:
    assert not [
        letter
        for letter in host_action.clean(value)
        if (ord(letter) < 32 and letter not in "\t\n") or 0x7F <= ord(letter) < 0xA0
    ]


# -- public keys -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [["ed25519"], ["ecdsa", "-b", "256"], ["ecdsa", "-b", "384"], ["ecdsa", "-b", "521"]])
def test_keys_as_ssh_keygen_writes_them(tmp_path: Path, kind: list[str]) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", *kind, "-N", "", "-C", "root@web 1", "-f", tmp_path / "k"], check=True)
    content = (tmp_path / "k.pub").read_text()
    assert public_key.reduced(content, "web1") == " ".join(content.split()[:2])
    assert public_key.reduced(content.split("\n")[0], "web1") == " ".join(content.split()[:2])
    name, body = content.split()[:2]
    for bad in (
        content + content,
        " " + content,
        content + "\n",
        f"{name}\t{body}",
        f"{name} {body[:-8]}",
        f"{name} A{body}",
        f"ssh-rsa {body}",
        content.replace("\n", "\r\n"),
        content.rstrip("\n") + "\x85",
        content.rstrip("\n") + "\u2028x",
    ):
        with pytest.raises(Failure) as failed:
            public_key.reduced(bad, "web1")
        assert failed.value.code == "hostile_answer"
        assert body not in failed.value.message


@given(st.one_of(st.text(max_size=200), st.none(), st.integers(), st.text(alphabet="ssh-ed25519 A\n", max_size=200)))
def test_nothing_else_is_a_key(content: Any) -> None:
    with pytest.raises(Failure):
        public_key.reduced(content, "web1")


# -- versions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "names"),
    [
        ("1.2.0", ["CVE-2023-36811", "issue 6687", "issue 9854", "CVE-2026-62268"]),
        ("1.2.4", ["CVE-2023-36811", "issue 6687", "issue 9854", "CVE-2026-62268"]),
        ("1.2.5", ["issue 6687", "issue 9854", "CVE-2026-62268"]),
        ("1.2.9", ["issue 9854", "CVE-2026-62268"]),
        ("1.4.0b2", ["issue 8535", "issue 9854", "CVE-2026-62268"]),
        ("1.4.2", ["issue 8535", "issue 9854", "CVE-2026-62268"]),
        ("1.4.4", ["issue 9854", "CVE-2026-62268"]),
        ("1.4.5", []),
        ("1.4.10", []),
    ],
)
def test_faults_of_versions(version: str, names: list[str]) -> None:
    assert [name for name, _, _ in borg_versions.faults(version)] == names
    assert borg_versions.refused(version) == ""
    assert bool(borg_versions.warning(version)) == bool(names)


@pytest.mark.parametrize("version", ["0.29.0", "1.0.9", "1.1.18", "2.0.0", "2.0.0b21", "", "x"])
def test_versions_that_are_refused(version: str) -> None:
    assert borg_versions.refused(version)
