"""Clients from nothing: facts, Borg, the client's key."""

from __future__ import annotations

import pytest

from tests.conftest import HostFactory
from tests.preparation.conftest import Player

pytestmark = pytest.mark.hosts

FACTS = {"cyborg.backup.client_facts": {}}
BORG = {"cyborg.backup.client_borg": {}}
KEY = {"cyborg.backup.client_key": {"name": "client"}}


def test_a_host_from_nothing(play: Player, host_factory: HostFactory) -> None:
    web = host_factory()
    first = play(web, [FACTS, BORG, KEY]).good()
    facts = first.result("client_facts")["facts"]
    assert facts["ip"] == web.address
    assert (facts["uid"], facts["os"]["id"], facts["manager"], facts["borg"]) == (0, "debian", "apt-get", "")
    borg = first.result("client_borg")
    assert (borg["borg"], borg["borg_version"], borg["changed"]) == ("/usr/bin/borg", "1.2.4", True)
    assert "CVE-2023-36811" in borg["notes"][0]
    key = first.result("client_key")
    assert key["key"] == "/etc/cyborg/keys/client"
    assert web.read("/etc/cyborg/keys/client.pub").decode().split()[:2] == key["public_key"].split()
    assert web.run(["stat", "-c", "%a %U", "/etc/cyborg/keys", "/etc/cyborg/keys/client"]).stdout == "700 root\n600 root\n"

    second = play(web, [FACTS, BORG, KEY]).good()
    assert second.changed == []
    assert second.result("client_key")["public_key"] == key["public_key"]
