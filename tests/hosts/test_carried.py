"""Restores to where the vault cannot be opened: Borg restores where it can, and the files are carried from there."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.hosts.trees import compare, listing
from tests.lab import Host
from tests.lab.host import PASSWORD, USER

pytestmark = [pytest.mark.hosts, pytest.mark.usefixtures("unlisted")]

#: Names that are commands, templates, options, or no text.
NAMES = ("new\nline", "{{ 7*7 }}", "-x", os.fsdecode(b"\xff"))


def accounts(host: Host, deploy: int, guest: int) -> None:
    """Two accounts, whose numbers differ from host to host; only ACLs name the guest."""
    for name, number in (("deploy", deploy), ("guest", guest)):
        host.run(["useradd", "--uid", str(number), "--no-create-home", name])


def fill(host: Host) -> Path:
    """Files with all that a file system can hold, on a host; gives their folder as this machine sees it."""
    accounts(host, 4711, 4800)
    data = host.root / "srv/data"
    data.mkdir(parents=True)
    (data / "file").write_bytes(b"content" * 5000)
    os.chown(data / "file", 4711, 4711)
    (data / "file").chmod(0o4750)
    os.link(data / "file", data / "hard")
    os.symlink("../nowhere", data / "soft")
    os.lchown(data / "soft", 4711, 4711)
    for name in NAMES:
        (data / name).mkdir(mode=0o700)
        (data / name / name).write_text(name, errors="surrogateescape")
    os.mkfifo(data / "fifo")
    (data / "sticky").mkdir()
    (data / "sticky").chmod(0o3777)
    with (data / "holes").open("wb") as file:
        file.truncate(100_000_000)
        file.write(b"begin")
    host.run(["setfacl", "-m", "u:deploy:r,u:guest:w,d:g:deploy:rwx", "/srv/data/sticky"])
    host.run(["setfacl", "-m", "u:deploy:rw", "/srv/data/holes"])
    host.run(["setfattr", "-n", "user.note", "-v", "kept", "/srv/data/file"])
    host.run(["setfattr", "-n", "trusted.note", "-v", "kept", "/srv/data/file"])
    for number, path in enumerate(data.rglob("*")):
        os.utime(path, ns=(1, 10**18 + number * 1_000_000_007), follow_symlinks=False)
    return data


def same(original: Path, restored: Path) -> None:
    """Byte by byte, to the nanosecond and the hole."""
    compare(original, restored)
    for path in original.rglob("*"):
        left, right = path.lstat(), (restored / path.relative_to(original)).lstat()
        assert (left.st_mtime_ns, left.st_nlink) == (right.st_mtime_ns, right.st_nlink), path
    assert (restored / "holes").stat().st_blocks * 512 < 50_000_000


def hear(host: Host) -> None:
    """Write down whatever is sent to Python on a host."""
    script = '#!/bin/sh\ntee -a /var/log/heard | /usr/bin/python3.11 "$@"\n'
    host.write("/var/log/heard", b"", 0o666)
    host.run(["rm", "/usr/bin/python3"])
    host.write("/usr/bin/python3", script, 0o755)


def ids(host: Host, job: cy.Job) -> tuple[str, str, str]:
    """The owner of a restored file by name and number, and the other number that an ACL names."""
    data = f"/var/tmp/cyborg-restore-{job.id}/srv/data"
    name, number = host.run(["stat", "-c", "%U %u", f"{data}/file"]).stdout.split()
    acl = re.findall(r"^user:(\d+):", host.run(["getfacl", "-n", f"{data}/sticky"]).stdout, re.MULTILINE)
    return name, number, next(one for one in acl if one != number)


def backed_up(fleet: Fleet, vault: cy.Repository, client: cy.Client, folder: str) -> cy.Archive:
    """An archive of a client's folder."""
    policy = cy.Policy("data", type="folders", repository=vault, clients=[client], extra_vars={"folders": [folder]})
    return fleet.only(fleet.run(fleet.cyborg.policies.add(policy))[0])


def left(*hosts: Host) -> list[str]:
    """What is left of carrying on hosts: files, FIFOs, processes."""
    found = []
    for host in hosts:
        listed = host.run(["sh", "-c", "ls -d /run/cyborg-carry-* /var/tmp/cyborg-* 2>/dev/null || true"]).stdout
        found += listed.split()
        ours = [argv for argv in host.processes() if argv[0] == "cat" or "-S" in argv or "borg" in argv[0]]
        found += [" ".join(argv)[:80] for argv in ours]
    return found


def test_a_vault_in_a_folder_of_a_client_to_the_controller_and_to_another_client(fleet: Fleet) -> None:
    """To the controller and, as a login that becomes root by a password at both ends, to another client."""
    disk = fleet.cyborg.repositories.add(cy.Repository("disk", "/srv/borg"))
    ways = {"user": USER, "user_sudo": "password", "become_password": PASSWORD}
    web1, web2 = fleet.client("web1", **ways), fleet.client("web2", borg=None, **ways)
    data = fill(fleet.hosts["web1"])
    accounts(fleet.hosts["web2"], 5000, 5800)
    archive = backed_up(fleet, disk, web1, "/srv/data")
    hosts = [fleet.hosts[name] for name in ("web1", "web2")]
    hear(hosts[1])

    back = fleet.folder / "back"
    job = fleet.restore(archive, ("/srv/data",), destination=back)
    assert job.status == "successful", fleet.said()
    assert job.warnings == (), job.warnings
    same(data, back / "srv/data")
    assert listing(back)[:2] == ["srv", "srv/data"]
    assert left(*hosts) == []

    job = fleet.restore(archive, to=web2, options={"special": True})
    assert job.status == "successful", fleet.said()
    assert job.warnings == (), job.warnings
    there = fleet.hosts["web2"].root / f"var/tmp/cyborg-restore-{job.id}"
    assert (there.stat().st_uid, there.stat().st_mode & 0o7777) == (0, 0o700)
    assert ids(fleet.hosts["web2"], job) == ("deploy", "5000", "5800")
    assert left(*hosts) == [f"/var/tmp/cyborg-restore-{job.id}"]
    fleet.hosts["web2"].run(["rm", "-r", f"/var/tmp/cyborg-restore-{job.id}"])

    # By number, over what is there; a path that is not in the archive; a destination that is there.
    (fleet.hosts["web2"].root / "srv/mine").mkdir()
    (fleet.hosts["web2"].root / "srv/mine/file").write_text("mine")
    arguments = {"to": web2, "destination": "/srv/mine", "options": {"numeric_ids": True, "special": True}}
    job = fleet.restore(archive, ("/srv/data",), **arguments)
    assert (job.status, job.error.code) == ("failed", "destination_exists"), fleet.said()
    job = fleet.restore(archive, ("/srv/data", "/srv/none"), overwrite=True, **arguments)
    assert (job.status, job.error.code) == ("failed", "path_not_found"), fleet.said()
    assert "srv/none" in str(job.error)
    assert listing(fleet.hosts["web2"].root / "srv/mine") == ["file"]
    job = fleet.restore(archive, ("/srv/data",), overwrite=True, **arguments)
    assert job.status == "successful", fleet.said()
    same(data, fleet.hosts["web2"].root / "srv/mine/srv/data")
    assert (fleet.hosts["web2"].root / "srv/mine/file").read_text() == "mine"

    # Nothing but a list.
    job = fleet.restore(archive, ("/srv/data",), to=web2, dry_run=True)
    assert job.status == "successful", fleet.said()
    assert any("srv/data/file" in line for line in fleet.cyborg.output(job))
    assert left(*hosts) == []

    # Where the files went, no secret of the vault was ever sent, nor a password by the way of the data.
    heard = hosts[1].read("/var/log/heard")
    assert b"carry_unpack" in heard
    [vault] = fleet.cyborg.vaults
    for secret in (vault.passphrase, vault.key_export):
        assert secret.reveal().split()[-1].encode() not in heard
    assert PASSWORD.encode() not in heard


def test_a_vault_that_only_the_controller_can_open_to_another_client(fleet: Fleet) -> None:
    """On a host without a shell; with the controller in between, which has other accounts than both."""
    fleet.hosts["box"] = box = fleet._make("box", borg="1.2")
    box.run(["useradd", "--create-home", "borg"])
    path = "/./backup/{client}"
    vault = fleet.cyborg.repositories.add(
        cy.Repository("box", f"ssh://borg@{box.address}:{box.port}{path}", managed=False, host_key=box.host_key)
    )
    web1, web2 = fleet.client("web1"), fleet.client("web2", borg=None)
    data = fill(fleet.hosts["web1"])
    accounts(fleet.hosts["web2"], 5000, 5800)
    policy = cy.Policy("data", type="folders", repository=vault, clients=[web1], extra_vars={"folders": ["/srv/data"]})
    policy = fleet.cyborg.policies.add(policy)
    # The first run makes the client's key; a person lets that in, and the controller's.
    assert fleet.cyborg.run(policy)[0].status == "skipped", fleet.said()
    keys = fleet.hosts["web1"].run(["sh", "-c", "cat /etc/cyborg/keys/*.pub"]).stdout + box.lab.public_key + "\n"
    box.write("/home/borg/.ssh/authorized_keys", keys, 0o600)
    box.run(["sh", "-c", "chown -R borg: /home/borg; chmod 0700 /home/borg/.ssh"])
    archive = fleet.only(fleet.run(policy)[0])
    job = fleet.restore(archive, ("/srv/data",), to=web2)
    assert job.status == "successful", fleet.said()
    # It is another host's, and nobody asked to keep what gives rights.
    [warning] = job.warnings
    assert "1 lost their set-id bits" in warning
    assert "srv/data/file" in warning
    # Nobody here knows what the guest is called, who owns nothing in the archive: that number stays.
    assert ids(fleet.hosts["web2"], job) == ("deploy", "5000", "4800")
    exactly = {"numeric_ids": True, "special": True}
    job = fleet.restore(archive, ("/srv/data",), to=web2, destination="/srv/numeric", options=exactly)
    assert job.status == "successful", fleet.said()
    same(data, fleet.hosts["web2"].root / "srv/numeric/srv/data")
    assert not list(Path("/var/tmp").glob(f"cyborg-carry-*.{job.id}.*"))


@pytest.mark.faults
def test_a_carry_that_comes_to_nothing_leaves_nothing(fleet: Fleet) -> None:
    """Canceled in the middle, no room at either end, no power; and an engine that goes away: then it is done again."""
    disk = fleet.cyborg.repositories.add(cy.Repository("disk", "/srv/borg"))
    web1, web2 = fleet.client("web1"), fleet.client("web2", borg=None)
    hosts = [fleet.hosts["web1"], fleet.hosts["web2"]]
    hosts[0].run(["sh", "-c", "mkdir /srv/big; for n in 1 2 3 4; do yes $n | head -c 100000000 > /srv/big/$n; done"])
    archive = backed_up(fleet, disk, web1, "/srv/big")

    def carrying(event: cy.JobProgressed) -> bool:
        return event.job.kind == "restore" and event.progress.original_bytes > 0

    @fleet.cyborg.on(cy.JobProgressed)
    def cancel(event: cy.JobProgressed) -> None:
        if carrying(event):
            fleet.cyborg.cancel(event.job)

    job = fleet.restore(archive, to=web2)
    assert job.status == "canceled", fleet.said()
    assert left(*hosts) == []

    second = fleet.reopen()
    archive = second.archives.get(archive.id)
    hosts[1].run(["sh", "-c", "mkdir /srv/small && mount -t tmpfs -o size=20m small /srv/small"])
    job = fleet.restore(archive, to=web2, destination="/srv/small/back")
    assert (job.status, job.error.code) == ("failed", "client_full"), fleet.said()
    assert "/srv/small/back lies on is full" in str(job.error)
    assert hosts[1].run(["ls", "-A", "/srv/small"]).stdout == ""
    assert left(*hosts) == []

    hosts[0].run(["mount", "-t", "tmpfs", "-o", "size=20m", "small", "/var/tmp"])
    job = fleet.restore(archive, to=web2)
    assert (job.status, job.error.code) == ("failed", "client_full"), fleet.said()
    assert "/var/tmp/cyborg-carry-" in str(job.error)
    assert left(*hosts) == []
    hosts[0].run(["umount", "/var/tmp"])

    @second.on(cy.JobProgressed)
    def pull(event: cy.JobProgressed) -> None:
        if carrying(event):
            hosts[0].stop()

    job = fleet.restore(archive, to=web2)
    assert (job.status, job.error.code) == ("failed", "unreachable"), fleet.said()
    assert "broke off on their way" in str(job.error)
    [warning] = job.warnings
    assert warning.startswith("On web1 not everything could be removed: look for what is called cyborg-carry-")
    assert left(hosts[1]) == []
    hosts[0].start()
    hosts[0].run(["sh", "-c", "rm -r /var/tmp/cyborg-carry-*"])

    third = fleet.reopen()
    archive = third.archives.get(archive.id)

    @third.on(cy.JobProgressed)
    def interrupt(event: cy.JobProgressed) -> None:
        if carrying(event):
            raise KeyboardInterrupt

    job = third.restore(archive, to=web2)
    with pytest.raises(KeyboardInterrupt):
        third.finish([job])
    fourth = fleet.reopen()
    fourth.work()
    job = fourth.jobs.get(job.id)
    assert job.status == "successful", fleet.said()
    assert left(*hosts) == [f"/var/tmp/cyborg-restore-{job.id}"]
    same_big = hosts[1].root / f"var/tmp/cyborg-restore-{job.id}/srv/big"
    compare(hosts[0].root / "srv/big", same_big)


def test_an_account_that_is_not_root_at_one_end_loses_no_owner_at_the_other(fleet: Fleet) -> None:
    """Where it is at the far end, the owners are lost, and that is told."""
    disk = fleet.cyborg.repositories.add(cy.Repository("disk", f"/home/{USER}/borg"))
    web1, web2 = (
        fleet.client(name, borg=borg, user=USER, user_sudo=True, become=False)
        for name, borg in (("web1", "1.2"), ("web2", None))
    )
    host = fleet.hosts["web1"]
    script = "mkdir -p /srv/data/d; echo x > /srv/data/x; chown daemon: /srv/data/x; ln /srv/data/x /srv/data/d"
    host.run(["sh", "-c", script])
    archive = backed_up(fleet, disk, web1, "/srv/data")
    back = fleet.folder / "back"
    job = fleet.restore(archive, destination=back)
    assert (job.status, job.warnings) == ("successful", ()), fleet.said()
    compare(host.root / "srv/data", back / "srv/data")
    job = fleet.restore(archive, to=web2)
    assert job.status == "successful", fleet.said()
    assert [warning.partition(" (")[0] for warning in job.warnings] == ["4 entries did not keep the owner"]
    assert listing(fleet.hosts["web2"].root / f"var/tmp/cyborg-restore-{job.id}/srv/data") == ["d", "d/x", "x"]
    assert left(*fleet.hosts.values()) == [f"/var/tmp/cyborg-restore-{job.id}"]
    script = "ls -d /home/ops/.local/state/cyborg-carry-* || true"
    assert [one.run(["sh", "-c", script]).stdout for one in fleet.hosts.values()] == ["", ""]
