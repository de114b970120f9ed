"""The playbooks, by plain ansible-playbook: from nothing, again, and in check mode."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import HostFactory
from tests.lab import Host
from tests.preparation.conftest import Player

pytestmark = pytest.mark.hosts


def far(nas: Host, number: int = 1, path: str = "/srv/borg/web1") -> dict[str, Any]:
    """The variables of a vault on another host."""
    return {
        "prepare_repository_vault": number,
        "prepare_repository_key": f"vault-{number}",
        "prepare_repository_host": nas.name,
        "prepare_repository_user": "borg",
        "prepare_repository_folder": path,
        "borg_repository": f"ssh://borg@{nas.address}:{nas.lab.port}{path}",
        "borg_known_hosts": f"* {nas.host_key}",
        "borg_passphrase": "a passphrase of some length",
    }


def test_from_nothing_to_a_vault(play: Player, host_factory: HostFactory) -> None:
    web, nas = host_factory("web1"), host_factory("nas")
    variables = {web.name: far(nas)}

    checked = play(web, "prepare_client", check=True).good()
    assert "install Borg" in checked.result("client_borg")["changes"][0]
    assert not web.exists("/etc/cyborg")
    assert not web.exists("/usr/bin/borg")
    play(web, "prepare_repository", others=[nas], host_vars=variables, check=True).good()
    assert not nas.exists("/var/lib/cyborg")

    first = play(web, "prepare_client").good().result("report")["facts"]
    assert first["ip"] == web.address
    assert (first["uid"], first["become"], first["keys"]) == (0, False, "/etc/cyborg/keys")
    assert (first["borg"], first["borg_version"]) == ("/usr/bin/borg", "1.2.4")
    assert (first["os"]["id"], first["systemd"], first["python"]) == ("debian", False, "/usr/bin/python3")
    assert first["public_key"].startswith("ssh-ed25519 ")

    made = play(web, "prepare_repository", others=[nas], host_vars=variables).good().result("report")["facts"]
    assert len(made["borg_id"]) == 64
    assert (made["encryption"], made["created"], made["repository_borg_version"]) == ("repokey-blake2", True, "1.2.4")
    assert made["public_key"] != first["public_key"]
    assert nas.exists("/srv/borg/web1/config")

    for check in (True, False):
        again = play(web, "prepare_client", check=check).good()
        assert again.changed == []
        assert again.result("report")["facts"] == first
        again = play(web, "prepare_repository", others=[nas], host_vars=variables, check=check).good()
        assert again.changed == []
        assert again.result("report")["facts"]["public_key"] == made["public_key"]
    assert again.result("report")["facts"] == dict(made, created=False)
