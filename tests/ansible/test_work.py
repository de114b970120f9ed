"""What a run does with a key of the repository's host that was found only now."""

from __future__ import annotations

import attrs
import pytest

from cyborglib.ansible.work import _with_repository_key
from cyborglib.executor import Host, HostRun

NAS = Host(name="repository-1", address="nas", key_of="repository-1", host_key="ssh-ed25519 AAAA comment")
OTHER = Host(name="repository-2", address="other", key_of="repository-2", host_key="ssh-ed25519 BBBB")
WORK = HostRun(
    job=1, host=Host(name="job-1"), others=(OTHER, NAS),
    variables={"borg_known_hosts": "", "borg_known_hosts_of": "repository-1", "x": 1},
)  # fmt: skip


def test_borgs_ssh_gets_it() -> None:
    assert _with_repository_key(WORK) == {**WORK.variables, "borg_known_hosts": "* ssh-ed25519 AAAA"}


@pytest.mark.parametrize(
    "change",
    [
        {"variables": {"borg_known_hosts": "* ssh-ed25519 CCCC", "borg_known_hosts_of": "repository-1"}},
        {"variables": {"borg_known_hosts_of": ""}},
        {"variables": {"borg_known_hosts_of": "repository-9"}},
        {"others": ()},
    ],
)
def test_nothing_else_is_changed(change: dict[str, object]) -> None:
    work = attrs.evolve(WORK, **change)
    assert _with_repository_key(work) == work.variables
