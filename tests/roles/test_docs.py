"""docs/roles.md is true: its files are written, and its commands are run as they are printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import cyborglib as cy
from cyborglib import content
from cyborglib.sealing import Sealer
from tests.lab import Lab
from tests.lab.hypervisor import Hypervisor
from tests.roles.conftest import ROOT, Plain

pytestmark = pytest.mark.hosts

PAGE = (ROOT / "docs/roles.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
PASSPHRASE = "correct horse battery staple"


@pytest.fixture(scope="module")
def checkout(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plain]:
    """Hosts without Borg, and the files of the page."""
    host, web2, nas = (lab.host(f"{name}.example.org") for name in ("web1", "web2", "nas"))
    # What a network's names and an administrator's known_hosts would be.
    for client in (host, web2):
        client.run(["sh", "-c", f"echo {nas.address} {nas.name} >> /etc/hosts"])
        client.write("/root/.ssh/known_hosts", nas.known_hosts)
    kvm1 = lab.host("kvm1.example.org", servers="hypervisor")
    Hypervisor(kvm1)
    made = Plain(tmp_path_factory.mktemp("checkout"), lab, host)
    (made.folder / "vault-password").write_text("x")
    for language, text in BLOCKS:
        if language != "sh":
            name = re.match("# (.+)\n", text)
            assert name
            (made.folder / name[1]).parent.mkdir(parents=True, exist_ok=True)
            (made.folder / name[1]).write_text(text)
    made.others = {"web2": web2, "nas": nas}
    yield made
    for one in (host, web2, nas, kvm1):
        one.remove()


def test_every_playbook_has_its_command() -> None:
    named = {f"{name}.yml" for name in re.findall(r"playbooks/(\w+)\.yml", PAGE)}
    assert named == {path.name for path in (ROOT / "playbooks").iterdir()}


def test_commands_as_printed(checkout: Plain) -> None:
    said = {}
    port = checkout.host.port
    for text in [text for language, text in BLOCKS if language == "sh"]:
        # Where this machine's own sshd takes port 22, its hosts listen at another.
        command = text if port == 22 else text.replace("@nas.example.org/", f"@nas.example.org:{port}/")
        done = checkout.sh(command)
        output = done.stdout + done.stderr
        assert done.returncode == 0, command + output
        assert PASSPHRASE not in output
        assert "deprecat" not in output.lower()
        for playbook in re.findall(r"playbooks/(\w+)\.yml", command):
            said[playbook] = output
    assert (checkout.folder / "secrets.yml").read_text().startswith("$ANSIBLE_VAULT")
    host = checkout.host
    env = {"BORG_PASSPHRASE": PASSPHRASE, "LANG": "C.UTF-8"}
    listed = json.loads(host.run(["borg", "list", "--json", "/srv/backup/web1"], env=env).stdout)
    assert [archive["name"] for archive in listed["archives"]] == ["etc-1", "users-1", "packages-1"]
    assert "etc-1" in said["catalog"]
    assert "Finished cryptographic data integrity verification" in said["check"]
    assert '"missing": []' in said["recover"]
    assert '"free": ' in said["measure"]
    assert host.read("/var/tmp/restored/etc/hostname") == host.read("/etc/hostname")
    assert host.read("/var/tmp/users").splitlines() == sorted(host.read("/etc/passwd").splitlines())
    assert b"install" in host.read("/var/lib/packages/selections")
    assert (checkout.folder / "restored/etc/hostname").read_bytes() == host.read("/etc/hostname")
    web2, nas = checkout.others["web2"], checkout.others["nas"]
    assert web2.read("/var/tmp/restored/etc/hostname") == host.read("/etc/hostname")
    assert not web2.exists("/etc/cyborg/keys/restore"), "it is let in no longer"
    assert not web2.exists("/etc/cyborg/keys/drill")
    assert '"how": "sample"' in said["drill"]
    for one in (host, web2):
        assert one.run(["ls", "-A", "/var/tmp/cyborg-drills"]).stdout == ""
    assert len(nas.run(["sh", "-c", "cat ~borg/.ssh/authorized_keys"]).stdout.split("ssh-ed25519 ")) == 2
    for one in (host, web2):
        assert one.run(["sh", "-c", "ls -d /var/tmp/cyborg-carry-* /run/cyborg-carry-* || true"]).stdout == ""


def test_the_type_of_ones_own_in_the_library(checkout: Plain, lab: Lab, tmp_path: Path) -> None:
    host, path = checkout.host, checkout.folder / "my-roles"
    assert "packages" in content.policy_types([path])
    known = {"address": host.address, "port": host.port, "host_key": host.host_key}
    with cy.Cyborg(
        f"sqlite:///{tmp_path}/cyborg.db", key=Sealer.generate_key(), state_dir=tmp_path / "state", roles_path=[path]
    ) as cyborg:
        client = cyborg.clients.add(cy.Client(host.name, **known))
        vault = cyborg.repositories.add(cy.Repository("vault", "/srv/backup/library"))
        with pytest.raises(cy.Invalid, match="needs 'folder'"):
            cyborg.policies.add(cy.Policy("packages", type="packages", repository=vault, clients=[client]))
        policy = cyborg.policies.add(
            cy.Policy(
                "packages",
                type="packages",
                repository=vault,
                clients=[client],
                extra_vars={"folder": "/var/lib/{{ 7*7 }}"},
            )
        )
        [job] = cyborg.run(policy)
        assert job.status == "successful", (job.error, job.reason, cyborg.output(job))
        assert cyborg.archives.get(job.archives[0]).files == 1
    assert b"install" in host.read("/var/lib/{{ 7*7 }}/selections")
