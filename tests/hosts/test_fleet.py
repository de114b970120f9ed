"""From hosts with nothing on them to a verified restore."""

from __future__ import annotations

import subprocess

import pytest

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.hosts.trees import compare, listing

pytestmark = pytest.mark.hosts


def test_from_nothing_to_a_verified_restore(fleet: Fleet) -> None:
    vault = fleet.repository(borg=None)
    clients = [fleet.client(name, borg=None) for name in ("web1", "web2", "db1")]
    policy = fleet.cyborg.policies.add(cy.Policy("etc", type="config", repository=vault, clients=clients))
    jobs = fleet.run(policy)
    assert all(fleet.only(job).confirmed_at for job in jobs)
    for client in fleet.cyborg.clients:
        assert client.ready
        assert client.borg_version.startswith("1.2")
        assert client.ip == client.address
        assert client.public_key.startswith("ssh-ed25519 ")
        assert client.facts["os"]["id"] == "debian"
    # To the controller, byte by byte, with owners, modes, links and times.
    for job in jobs:
        back = fleet.folder / f"back-{job.client_name}"
        assert fleet.restore(fleet.only(job), destination=back).status == "successful", fleet.said()
        compare(fleet.hosts[job.client_name].root / "etc", back / "etc")
    # To the client itself, into a new folder.
    web1 = fleet.cyborg.clients.get("web1")
    job = fleet.restore(fleet.only(jobs[0]), ("/etc/ssh", "/etc/hostname"), to=web1)
    assert job.status == "successful", fleet.said()
    there = fleet.hosts["web1"].root / f"var/tmp/cyborg-restore-{job.id}"
    assert sorted(path.name for path in (there / "etc").iterdir()) == ["hostname", "ssh"]
    compare(fleet.hosts["web1"].root / "etc/ssh", there / "etc/ssh")
    # The second backup is deduplicated.
    again = fleet.run(policy)
    assert len(fleet.cyborg.jobs) == 3 + 3 + 3 + 3 + 4 + 6, "nothing was prepared again"
    for first, second in zip(jobs, again, strict=True):
        assert fleet.only(second).deduplicated_bytes < fleet.only(first).deduplicated_bytes / 10


@pytest.mark.usefixtures("unlisted")
def test_a_folder_called_like_a_template_and_a_command(fleet: Fleet) -> None:
    name = "{{ 7*7 }}; touch x"
    vault, client = fleet.repository(), fleet.client("web1")
    root = fleet.hosts["web1"].root
    for folder in (f"srv/{name}", "srv/-x", "srv/re:.*", "srv/{now}", "srv/a'b\"c"):
        (root / folder).mkdir(parents=True)
        (root / folder / "file").write_text(folder)
    made = ["find", "/", "-xdev", "-name", "x"]
    before = fleet.hosts["web1"].run(made).stdout
    policy = fleet.cyborg.policies.add(
        cy.Policy(
            "odd",
            type="folders",
            repository=vault,
            clients=[client],
            extra_vars={
                "folders": [f"/srv/{name}", "/srv/-x", "/srv/re:.*", "/srv/{now}", "/srv/a'b\"c"],
                "exclude": ["/srv/nothing{{ 1 }}"],
            },
        )
    )
    [job] = fleet.run(policy)
    back = fleet.folder / "back"
    assert fleet.restore(fleet.only(job), destination=back).status == "successful", fleet.said()
    assert listing(root / "srv") == listing(back / "srv")
    for folder in (root / "srv").iterdir():
        compare(folder, back / "srv" / folder.name)
    one = fleet.folder / "one"
    assert fleet.restore(fleet.only(job), ("/srv/re:.*",), destination=one).status == "successful", fleet.said()
    assert listing(one) == ["srv", "srv/re:.*", "srv/re:.*/file"]
    assert fleet.hosts["web1"].run(made).stdout == before, "nothing was run on the client"


@pytest.mark.usefixtures("unlisted")
def test_a_path_that_matches_nothing_fails_the_restore(fleet: Fleet) -> None:
    vault, client = fleet.repository(), fleet.client("web1")
    policy = fleet.cyborg.policies.add(cy.Policy("etc", type="config", repository=vault, clients=[client]))
    archive = fleet.only(fleet.run(policy)[0])
    job = fleet.restore(archive, ("/etc/hosts", "/etc/nothing-here"), destination=fleet.folder / "back")
    assert (job.status, job.error.code) == ("failed", "path_not_found")
    assert "/etc/nothing-here" in str(job.error) or "etc/nothing-here" in str(job.error)
    full = fleet.folder / "full"
    full.mkdir()
    (full / "mine").write_text("not to be touched")
    job = fleet.restore(archive, ("/etc/hosts",), destination=full)
    assert (job.status, job.error.code) == ("failed", "destination_exists")
    assert listing(full) == ["mine"]
    assert fleet.restore(archive, ("/etc/hosts",), destination=full, overwrite=True).status == "successful"
    assert (full / "etc/hosts").read_bytes() == fleet.hosts["web1"].read("/etc/hosts")
    job = fleet.restore(archive, ("/etc/hosts",), destination=fleet.folder / "dry", dry_run=True)
    assert job.status == "successful"
    assert any("etc/hosts" in line for line in fleet.cyborg.output(job))
    assert not (fleet.folder / "dry").exists()


# Both of 1.2 is what all other tests have; those of checks and of a storage box have the others, too.
@pytest.mark.parametrize(
    "borg",
    [
        pytest.param(("1.4", "1.4"), marks=pytest.mark.faults, id="1.4-1.4"),
        pytest.param(("1.2", "1.4"), marks=pytest.mark.faults, id="1.2-1.4"),
        pytest.param(("1.4", "1.2"), id="1.4-1.2"),
    ],
)
def test_both_borgs_and_crosswise(fleet: Fleet, borg: tuple[str, str]) -> None:
    vault, client = fleet.repository(borg=borg[1]), fleet.client("web1", borg=borg[0])
    policy = fleet.cyborg.policies.add(cy.Policy("etc", type="config", repository=vault, clients=[client]))
    [job] = fleet.run(policy)
    back = fleet.folder / "back"
    assert fleet.restore(fleet.only(job), destination=back).status == "successful", fleet.said()
    compare(fleet.hosts["web1"].root / "etc", back / "etc")
    assert fleet.cyborg.clients.get("web1").borg_version.startswith(borg[0])


@pytest.mark.usefixtures("unlisted")
@pytest.mark.parametrize("sudo", [True, "password"], ids=["without a password", "with one"])
def test_a_login_that_is_not_root_becomes_root(fleet: Fleet, sudo: bool | str) -> None:
    from tests.lab.host import PASSWORD, USER

    vault = fleet.repository()
    password = {"become_password": PASSWORD} if sudo == "password" else {}
    client = fleet.client("web1", user_sudo=sudo, user=USER, **password)
    policy = fleet.cyborg.policies.add(cy.Policy("etc", type="config", repository=vault, clients=[client]))
    [job] = fleet.run(policy)
    back = fleet.folder / "back"
    assert fleet.restore(fleet.only(job), ("/etc/shadow",), destination=back).status == "successful", fleet.said()
    assert (back / "etc/shadow").read_bytes() == fleet.hosts["web1"].read("/etc/shadow")


@pytest.mark.usefixtures("unlisted")
def test_every_type_brings_back_what_it_took(fleet: Fleet) -> None:
    vault, client = fleet.repository(), fleet.client("web1")
    host = fleet.hosts["web1"]
    host.write("/var/mail/anna", b"From anna\n", 0o600)
    host.run(["setfacl", "-m", "u:nobody:r", "/var/mail/anna"])
    (host.root / "srv/data").mkdir(parents=True)
    host.write("/srv/data/a", b"a" * 100_000, 0o640)
    host.run(["ln", "/srv/data/a", "/srv/data/hard"])
    host.run(["ln", "-s", "a", "/srv/data/soft"])
    host.run(["chown", "nobody:nogroup", "/srv/data/a"])
    host.run(["setfattr", "-n", "user.note", "-v", "kept", "/srv/data/a"])
    host.run(["ln", "-s", "/srv/data", "/srv/link"])
    for kind, options, folder in (
        ("mail", {}, "var/mail"),
        ("folders", {"folders": ["/srv/link"]}, "srv/data"),
        ("rootfs", {"exclude": ["/usr"]}, "srv/data"),
    ):
        policy = fleet.cyborg.policies.add(
            cy.Policy(kind, type=kind, repository=vault, clients=[client], extra_vars=options)
        )
        [job] = fleet.run(policy)
        back = fleet.folder / kind
        assert fleet.restore(fleet.only(job), (f"/{folder}",), destination=back).status == "successful", fleet.said()
        compare(host.root / folder, back / folder)
    assert (
        "user.note"
        in subprocess.run(
            ["getfattr", "-d", str(fleet.folder / "rootfs/srv/data/a")], capture_output=True, text=True, check=True
        ).stdout
    )


def test_a_restore_onto_another_client_lends_it_the_vault_and_takes_it_back(fleet: Fleet) -> None:
    vault, clients = fleet.repository(), [fleet.client("web1"), fleet.client("web2")]
    policy = fleet.cyborg.policies.add(cy.Policy("etc", type="config", repository=vault, clients=clients))
    fleet.hosts["web1"].write("/etc/setid/tool", b"#!/bin/sh\n", 0o4755)
    archive = fleet.only(fleet.run(policy)[0])
    lines = fleet.hosts["nas"].run(["sh", "-c", "cat ~borg/.ssh/authorized_keys"]).stdout
    keys = fleet.hosts["web2"].run(["ls", "/etc/cyborg/keys"]).stdout
    target = fleet.cyborg.clients.get("web2")
    job = fleet.restore(archive, ("/etc/hostname", "/etc/ssh"), to=target)
    assert job.status == "successful", fleet.said()
    there = fleet.hosts["web2"].root / f"var/tmp/cyborg-restore-{job.id}"
    assert (there / "etc/hostname").read_text() == "web1\n"
    compare(fleet.hosts["web1"].root / "etc/ssh", there / "etc/ssh")
    # What gives rights on its own host does so on another one only where that is asked for.
    for options, mode in (({}, 0o755), ({"special": True}, 0o4755)):
        job = fleet.restore(archive, ("/etc/setid",), to=target, options=options)
        assert job.status == "successful", fleet.said()
        there = fleet.hosts["web2"].root / f"var/tmp/cyborg-restore-{job.id}"
        assert (there / "etc/setid/tool").stat().st_mode & 0o7777 == mode
        assert any("set-id bits" in warning for warning in job.warnings) is not bool(options)
    full = fleet.restore(archive, ("/etc/setid",), to=target, destination="/etc", overwrite=True)
    assert (full.status, full.error.code) == ("failed", "destination_exists")
    missing = fleet.restore(archive, ("/etc/none",), to=target)
    assert (missing.status, missing.error.code) == ("failed", "path_not_found")
    assert fleet.hosts["nas"].run(["sh", "-c", "cat ~borg/.ssh/authorized_keys"]).stdout == lines
    assert fleet.hosts["web2"].run(["ls", "/etc/cyborg/keys"]).stdout == keys
