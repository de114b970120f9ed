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
    facts = again.result("report")["facts"]
    assert facts.pop("free") > 0  # of the disk that all hosts here share
    assert facts == {name: value for name, value in dict(made, created=False).items() if name != "free"}


def test_24_clients_at_once(play: Player, host_factory: HostFactory) -> None:
    """Side by side on one host without Borg: it is installed once, and their keys work, each in its own vault only."""
    nas = host_factory("nas")
    web = host_factory("web", borg="1.2")
    # 24 names of one machine in the inventory: to the repository's host these are 24 clients with a key each.
    names = [f"client{number}" for number in range(1, 25)]
    variables = {name: {"ansible_host": web.name, "number": number} for number, name in enumerate(names, 1)}
    tasks = [
        {"cyborg.backup.client_key": {"name": "vault-{{ number }}"}, "register": "pair"},
        {
            "cyborg.backup.repository_host": {
                "vault": "{{ number }}",
                "account": "borg",
                "path": "/srv/borg/{{ inventory_hostname }}",
                "keys": [{"name": "client", "key": "{{ pair.public_key }}"}],
            },
            "delegate_to": nas.name,
        },
    ]
    done = play(web, tasks, others=[nas], host_vars=variables, names=names).good()
    results = [done.result("repository_host", name) for name in names]
    assert sum("make the account borg" in result["changes"] for result in results) == 1
    assert done.output.count("Setting up borgbackup") == 1
    lines = nas.read("/var/lib/borg/.ssh/authorized_keys").splitlines()
    assert len(lines) == 24
    assert len({line.split()[-4] for line in lines}) == 24

    rsh = "ssh -F none -o BatchMode=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    rsh += f" -o IdentitiesOnly=yes -p {nas.lab.port}"
    for number, name in ((1, "client1"), (13, "client13"), (24, "client24")):
        argv = [*rsh.split(), "-i", f"/etc/cyborg/keys/vault-{number}", f"borg@{nas.address}", "borg", "serve"]
        served = web.run(argv, input="", check=False)
        assert served.returncode == 0, (name, served.stderr)
    env = {"BORG_RSH": f"{rsh} -i /etc/cyborg/keys/vault-24"}
    base = f"ssh://borg@{nas.address}:{nas.lab.port}/srv/borg/"
    web.run(["borg", "init", "-e", "none", base + "client24"], env=env)
    other = web.run(["borg", "init", "-e", "none", base + "client23"], env=env, check=False)
    assert "not allowed" in other.stderr.lower()


def test_a_vault_on_the_client_itself(play: Player, host_factory: HostFactory) -> None:
    web = host_factory("web1", borg="1.2")
    variables = {web.name: {"borg_repository": "/srv/backup/web1", "borg_passphrase": "a passphrase of some length"}}
    assert play(web, "prepare_repository", host_vars=variables, check=True).good().result("report")["facts"]["created"]
    assert not web.exists("/srv/backup")
    made = play(web, "prepare_repository", host_vars=variables).good().result("report")["facts"]
    assert (made["created"], made["public_key"], made["repository_borg_version"]) == (True, "", "")
    assert web.exists("/srv/backup/web1/config")
    assert not web.exists("/etc/cyborg")
    assert play(web, "prepare_repository", host_vars=variables).good().changed == []


def test_a_host_that_takes_no_commands(play: Player, host_factory: HostFactory) -> None:
    """A storage box: the first run says which line to put there, and with it the second one goes well."""
    web, box = host_factory("web1", borg="1.2"), host_factory("box", borg="1.2")
    box.run(["useradd", "--create-home", "--shell", "/bin/sh", "borg"])
    variables = {web.name: dict(far(box, path="/./web 1"), prepare_repository_host="", prepare_repository_key="client")}
    done = play(web, "prepare_repository", others=[box], host_vars=variables)
    error = done.error("borg_init")
    assert error["code"] == "key_not_authorized"
    line = error["message"].partition("account: ")[2]
    assert line.startswith(
        "restrict,command=\"borg serve --append-only --restrict-to-repository './web 1'\" ssh-ed25519 "
    )
    box.write("/home/borg/.ssh/authorized_keys", line + "\n")
    made = play(web, "prepare_repository", others=[box], host_vars=variables).good().result("report")["facts"]
    assert made["created"]
    assert box.exists("/home/borg/web 1/config")


def test_a_hostile_client_changes_nothing_elsewhere(play: Player, host_factory: HostFactory) -> None:
    web, nas = host_factory("web1", borg="1.2"), host_factory("nas", borg="1.2")
    variables = {web.name: far(nas)}
    play(web, "prepare_repository", others=[nas], host_vars=variables).good()
    before = nas.read("/var/lib/borg/.ssh/authorized_keys")
    own = web.read("/etc/cyborg/keys/vault-1.pub")
    web.write("/etc/cyborg/keys/vault-1.pub", own + own)
    done = play(web, "prepare_repository", others=[nas], host_vars=variables)
    assert done.error("client_key")["code"] == "hostile_answer"
    # Facts are taken only if they are what they should be.
    web.write("/etc/os-release", 'ID=debian\nPRETTY_NAME="\x1b]0;you are mine\x07"\n')
    assert play(web, "prepare_client").error("client_facts")["code"] == "hostile_answer"
    assert nas.read("/var/lib/borg/.ssh/authorized_keys") == before
