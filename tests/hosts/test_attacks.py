"""What a client can do that was broken into: it is root there, with its key and its vault's passphrase.

That a client cannot break a lock while the controller is at work is in tests/preparation/test_repository_host.py.
"""

from __future__ import annotations

import json
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.hosts.pages import steps
from tests.hosts.trees import compare
from tests.lab import Host

pytestmark = pytest.mark.hosts

#: The address of a vault as the pages write it.
EXAMPLE = "ssh://borg@nas/srv/borg/web1.example.org-1"


class Intruder:
    """Root on a client, with all that lies there and was said there."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self.host = fleet.hosts[name]
        client = fleet.cyborg.clients.get(name)
        [self.vault] = fleet.cyborg.vaults.find(client=client.id)
        self.ssh = [
            "ssh", "-F", "none", "-i", f"/etc/cyborg/keys/vault-{self.vault.id}", "-o", "IdentitiesOnly=yes",
            "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
            "-p", str(self.vault.where.port or 22),
        ]  # fmt: skip

    def borg(self, *words: str, passphrase: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        """Borg with the stolen key; {} in the words is the vault's own address."""
        assert self.vault.passphrase is not None
        variables = {
            "HOME": "/root",
            "BORG_RSH": " ".join(self.ssh),
            "BORG_PASSPHRASE": passphrase or self.vault.passphrase.reveal(),
            "BORG_RELOCATED_REPO_ACCESS_IS_OK": "yes",
            "BORG_DELETE_I_KNOW_WHAT_I_AM_DOING": "YES",
            **env,
        }
        argv = ["borg", *(word.replace("{}", self.vault.location) for word in words)]
        return self.host.run(argv, env=variables, check=False)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Whatever one likes, over ssh with the stolen key."""
        where = f"{self.vault.where.user}@{self.vault.where.host}"
        return self.host.run([*self.ssh, where, *words], check=False)


def etc(fleet: Fleet, *names: str) -> cy.Policy:
    """A config policy of some clients, backed up once."""
    vault = fleet.repository()
    clients = [fleet.client(name) for name in names]
    policy = fleet.cyborg.policies.add(cy.Policy("etc", "config", repository=vault, clients=clients, retries=0))
    fleet.run(policy)
    return policy


def catalog(fleet: Fleet) -> cy.Job:
    """The controller's look into the only vault."""
    [job] = fleet.cyborg.finish(fleet.cyborg.catalog("vault"))
    return job


def suspected(fleet: Fleet) -> list[str]:
    return [event.reason for event in fleet.told if isinstance(event, cy.VaultSuspected)]


def test_a_clients_key_and_passphrase_open_its_own_vault_only(fleet: Fleet) -> None:
    etc(fleet, "web1", "web2")
    one, two, nas = Intruder(fleet, "web1"), Intruder(fleet, "web2"), fleet.hosts["nas"]
    assert one.vault.passphrase is not None
    assert two.vault.passphrase is not None
    assert one.borg("list", "{}").returncode == 0, "the intruder does it right"
    # The other vault's address, with all that this client has.
    for words in (("list", two.vault.location), ("delete", two.vault.location), ("break-lock", two.vault.location)):
        done = one.borg(*words)
        assert done.returncode not in (0, 1), done
        assert "not allowed" in done.stderr.lower(), done
    # And without Borg.
    config = f"{two.vault.where.path}/config"
    for line in (["cat", config], ["sh"], [f"borg serve; cat {config}"], ["scp", "-f", config], ["rsync", "--server"]):
        done = one.run(*line)
        assert done.returncode not in (0, 1), done
        assert "[repository]" not in done.stdout
    # What it asks of its own `borg serve` does not widen what it may.
    for words in ("--restrict-to-path / ", f"--restrict-to-repository {two.vault.where.path}", "--umask 000"):
        done = one.borg("list", two.vault.location, BORG_REMOTE_PATH=f"borg serve {words};borg")
        assert done.returncode not in (0, 1), done
    forward = one.host.run([*one.ssh, "-o", "ExitOnForwardFailure=yes", "-N", "-R", "0:127.0.0.1:22",
                            f"borg@{nas.address}"], check=False)  # fmt: skip
    assert "forwarding failed" in forward.stderr
    # A thief of the other vault's folder needs the other's passphrase: each has its own.
    stolen = one.host.root / "var/tmp/stolen"
    subprocess.run(["cp", "-a", str(nas.root / two.vault.where.path.lstrip("/")), str(stolen)], check=True)
    subprocess.run(["chown", "-R", "0:0", str(stolen)], check=True)
    done = one.borg("list", "/var/tmp/stolen")
    assert done.returncode not in (0, 1), done
    assert "passphrase" in done.stderr.lower()
    done = one.borg("list", "--short", "/var/tmp/stolen", passphrase=two.vault.passphrase.reveal())
    assert done.stdout.startswith("etc+web2+"), "with the right one it opens"
    # Nothing of the other lies here.
    assert sorted(one.host.run(["ls", "/etc/cyborg/keys"]).stdout.split()) == [
        "client", "client.pub", f"vault-{one.vault.id}", f"vault-{one.vault.id}.pub",
    ]  # fmt: skip


def test_deleted_archives_are_noticed_and_come_back_by_the_printed_steps(fleet: Fleet) -> None:
    policy = etc(fleet, "web1")
    fleet.hosts["web1"].write("/etc/second", b"only in the second archive")
    fleet.run(policy)
    first, second = fleet.cyborg.archives
    intruder = Intruder(fleet, "web1")
    for words in (("prune", "--keep-last", "1", "{}"), ("delete", f"{{}}::{second.name}"), ("compact", "{}")):
        done = intruder.borg(*words)
        assert done.returncode == 0, done
    assert intruder.borg("list", "--short", "{}").stdout == ""

    job = catalog(fleet)
    assert (job.status, job.error.code) == ("failed", "archives_vanished"), fleet.said()
    assert first.name in str(job.error)
    assert second.name in str(job.error)
    [vault] = fleet.cyborg.vaults
    assert vault.suspect in suspected(fleet)
    [refused] = fleet.cyborg.run(policy)
    assert (refused.status, refused.error.code) == ("failed", "vault_damaged"), fleet.said()
    assert fleet.restore(second, destination=fleet.folder / "no").error.code == "vault_damaged"

    printed = follow_append_only(fleet, vault, second)
    assert first.name + " MISSING" in printed
    assert "catalog of web1 successful None ()" in printed
    back = fleet.folder / "back"
    assert fleet.restore(second, destination=back).status == "successful", fleet.said()
    compare(fleet.hosts["web1"].root / "etc", back / "etc")
    older = fleet.folder / "older"
    assert fleet.restore(first, ("/etc/hosts",), destination=older).status == "successful", fleet.said()
    # The client is let in again, and its next backup is confirmed.
    [job] = fleet.run(policy)
    assert fleet.only(job).confirmed_at
    assert [archive.missing_at for archive in fleet.cyborg.archives] == [None] * 3
    done = fleet.hosts["nas"].run(["runuser", "-u", "borg", "--", "borg", "check", "--repository-only",
                                   vault.where.path], env={"HOME": "/tmp"}, check=False)  # fmt: skip
    assert done.returncode == 0, done


def follow_append_only(fleet: Fleet, vault: cy.Vault, trusted: cy.Archive) -> str:
    """Do what docs/append-only.md says, block by block. Gives what the Python blocks printed."""
    nas, web1 = fleet.hosts["nas"], fleet.hosts["web1"]
    path, printed = "/srv/borg/web1.example.org-1", []
    names = {"cyborg": fleet.cyborg, "print": lambda *words: printed.append(" ".join(map(str, words)))}
    last = ""
    page = steps("append-only.md")
    assert [step.heading.split(",")[0] for step in page if step.language == "sh"] == [
        "On the repository's host", "On the repository's host", "On the controller", "On the client",
        "On the repository's host",
    ]  # fmt: skip
    for step in page:
        if step.language == "python":
            exec(step.text, names)
        elif step.heading == "On the controller":
            folder = fleet.folder / "state/borg"
            assert list(folder.iterdir())
            text = step.with_({"~/.local/state/cyborglib": str(fleet.folder / "state"), "vault-7": f"vault-{vault.id}"})
            subprocess.run(["sh", "-eu", "-c", text], check=True)
            assert not list(folder.iterdir()), "that is where the controller's Borg remembers"
        elif step.heading == "On the client, as root":
            assert web1.exists(f"/root/.cache/borg/{vault.borg_id}")
            web1.run(["sh", "-eu", "-c", step.with_({"0" * 64: vault.borg_id})], env={"HOME": "/root"})
        else:
            assert step.heading == "On the repository's host, as root"
            replaced = {path: vault.where.path} | ({"LAST=7": f"LAST={last}"} if "LAST" in step.text else {})
            said = nas.run(["sh", "-eu", "-c", step.with_(replaced)]).stdout
            if "transaction" in said:
                last = good_until(said, trusted)
                assert not said.rstrip().splitlines()[-1].startswith(f"transaction {last},"), "the attack came later"
        if "LAST" in step.text:
            intruder = Intruder(fleet, "web1")
            assert "vault closed" in intruder.borg("list", "{}").stderr, "until the end it is closed to the intruder"
    return "\n".join(printed)


def good_until(transactions: str, trusted: cy.Archive) -> str:
    """The number of the last transaction that is not later than an archive's `recorded_at`."""
    found = ""
    for line in transactions.splitlines():
        number, moment = line.removeprefix("transaction ").split(", UTC time ")
        assert trusted.recorded_at is not None
        if datetime.fromisoformat(moment + "+00:00") <= trusted.recorded_at:
            found = number
    return found


def test_a_changed_key_is_said_as_such_and_mended_by_the_printed_steps(fleet: Fleet) -> None:
    policy = etc(fleet, "web1")
    kit = fleet.cyborg.recovery_kit(fleet.folder / "kit.txt").read_text()
    intruder = Intruder(fleet, "web1")
    done = intruder.borg("key", "change-passphrase", "{}", BORG_NEW_PASSPHRASE="mine now")
    assert done.returncode == 0, done
    # The client's Borg can only say that the passphrase is wrong; the library says where to look.
    [job] = fleet.cyborg.run(policy)
    assert (job.status, job.error.code) == ("failed", "wrong_passphrase"), fleet.said()
    assert "catalog(repository)" in str(job.error)
    job = catalog(fleet)
    assert (job.status, job.error.code) == ("failed", "vault_key_changed"), fleet.said()
    [vault] = fleet.cyborg.vaults
    assert vault.suspect in suspected(fleet)

    rescue = kit_on(fleet._make("rescue", borg="1.2"), kit, vault)
    [step] = [step for step in steps("recovery.md") if step.heading == "The key in the vault was changed"]
    [before] = [step for step in steps("recovery.md") if step.heading == "Restore without this library"]
    variables = "".join(line for line in before.text.splitlines(True) if line.startswith("export "))
    variables = variables.replace("the passphrase of the vault", vault.passphrase.reveal())
    rescue.run(["sh", "-eu", "-c", f"cd /root/rescue\n{variables}\n{step.with_({EXAMPLE: vault.location})}"],
               env={"HOME": "/root"})  # fmt: skip
    assert catalog(fleet).status == "successful", fleet.said()
    fleet.cyborg.set_ready(vault)
    [job] = fleet.run(policy)
    back = fleet.folder / "back"
    assert fleet.restore(fleet.only(job), destination=back).status == "successful", fleet.said()
    compare(fleet.hosts["web1"].root / "etc", back / "etc")


def kit_on(host: Host, kit: str, vault: cy.Vault) -> Host:
    """Put the values of one vault of an opened kit into files on a host, as recovery.md tells a person to."""
    [part] = [part for part in kit.split("=" * 78) if f"repository:  {vault.location}\n" in part]
    key = part[part.index("-----BEGIN") : part.index("Borg key, as exported:")]
    [hosts] = [line.split(":", 1)[1].strip() for line in part.splitlines() if line.startswith("host key:")]
    host.write("/root/rescue/vault.key", key, 0o600)
    host.write("/root/rescue/vault.hosts", hosts + "\n")
    host.write("/root/rescue/borg.key", part[part.index("BORG_KEY ") :])
    return host


LIAR = """#!/usr/bin/python3
# Answers as Borg does, and writes nothing into the vault.
import json, os, subprocess, sys
if "create" not in sys.argv:
    os.execv("/usr/bin/borg.real", ["/usr/bin/borg.real", *sys.argv[1:]])
about = json.load(open("/root/liar.json"))
env = dict(os.environ, BORG_REPO="/var/tmp/decoy", BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK="yes")
real = ["/usr/bin/borg.real", *sys.argv[1:]]
done = subprocess.run(real, env=env, stdout=subprocess.PIPE, close_fds=False, universal_newlines=True)
answer = json.loads(done.stdout)
answer["repository"].update(id=about["vault"], location=about["location"])
if about["archive"]:
    answer["archive"]["id"] = about["archive"]
print(json.dumps(answer))
sys.exit(done.returncode)
"""


def make_liar(fleet: Fleet, archive: str) -> None:
    """The client's Borg only says that it backs up, and names an archive's id if there is one to name."""
    host = fleet.hosts["web1"]
    [vault] = fleet.cyborg.vaults
    host.run(["borg", "init", "-e", "none", "/var/tmp/decoy"], env={"HOME": "/root"})
    host.write("/root/liar.json", json.dumps({"vault": vault.borg_id, "location": vault.location, "archive": archive}))
    host.run(["mv", "/usr/bin/borg", "/usr/bin/borg.real"])
    host.write("/usr/bin/borg", LIAR, 0o755)


def test_a_borg_that_only_says_so_is_not_believed(fleet: Fleet) -> None:
    policy = etc(fleet, "web1")
    make_liar(fleet, archive="")
    [job] = fleet.cyborg.run(policy)
    assert job.status == "successful", fleet.said()
    lie = fleet.only(job)
    assert lie.confirmed_at is None
    assert lie.missing_at is not None
    looked = fleet.cyborg.jobs.find(kind=cy.JobKind.CATALOG)[-1]
    assert (looked.status, looked.error.code) == ("failed", "not_confirmed"), fleet.said()
    [vault] = fleet.cyborg.vaults
    assert vault.suspect in suspected(fleet)
    assert fleet.cyborg.archives.get(1).confirmed_at, "what was there before still is"
    [again] = fleet.cyborg.run(policy)
    assert (again.status, again.error.code) == ("failed", "vault_damaged")


def test_a_borg_that_shows_yesterdays_archive_is_not_believed(fleet: Fleet) -> None:
    policy = etc(fleet, "web1")
    [yesterday] = fleet.cyborg.archives
    make_liar(fleet, archive=yesterday.borg_id)
    [job] = fleet.cyborg.run(policy)
    assert job.status == "failed", fleet.said()
    assert yesterday.borg_id in str(job.error)
    assert [archive.id for archive in fleet.cyborg.archives] == [yesterday.id]
    assert Path(fleet.hosts["web1"].root / "var/tmp/decoy/data").exists(), "the liar was asked"
