"""Secrets are where they are needed and nowhere else.

Nothing is left out of the looks at processes: no command line and no environment may hold a secret, not even
for an instant, whosever process it is. In memory and in pipes secrets have to be; those are not looked at.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import string
import subprocess
import time
from pathlib import Path

import attrs
import pytest

import cyborglib as cy
from cyborglib.console import describe
from cyborglib.secret import Secret
from tests.hosts.conftest import Fleet
from tests.hosts.watcher import Watch, watching
from tests.lab import Host
from tests.lab.host import USER

pytestmark = pytest.mark.hosts

#: Where this machine keeps what comes and goes; looked at for what changed since the test began.
PLACES = ("/dev/shm", "/run", "/tmp", "/var/tmp", "/var/log", "/root/.ansible", "/root/.config", "/root/.cache/borg")


KINDS = ("passphrase", "next passphrase", "sudo", "admin", "wrong passphrase", "wrong sudo")


def token() -> str:
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(24))


def canary(token: str) -> str:
    """A secret with a token in it, and with all that tempts somebody to encode, quote or expand it."""
    return f"ä\"'%2F {{{{ 7*7 }}}} $HOME {token} \\n`id`"


def job_folders(host: Host) -> list[str]:
    """Where a job's files lie on a host while it goes on: on tmpfs, that only its own processes see."""
    return [f"/proc/{host._init}/root/{place}" for place in ("run", "dev/shm", "tmp", "var/tmp")]


def test_the_watcher_sees_what_it_should(tmp_path: Path) -> None:
    seen, other = token(), token()
    with watching([seen], [str(tmp_path)]) as result:
        (tmp_path / "job").write_text(json.dumps({"password": f"ä{seen}"}))
        decoys = [
            subprocess.Popen(argv, env={"PATH": os.environ["PATH"], "Y": other, **env})
            for argv, env in ((["sleep", "4"], {"X": f"a{seen}b"}), (["sh", "-c", "sleep 4; :", f"-p{seen}"], {}))
        ]
        assert [decoy.wait() for decoy in decoys] == [0, 0]
    kinds = sorted(hit.split(":")[0] for hit in result["hits"])
    assert kinds == [str(tmp_path / "job"), "command line of sh", "environment of sleep"]
    assert seen not in str(result)
    encoded = Watch([seen])
    for at, data in enumerate(
        (
            subprocess.run(["base64", "-w0"], input=f"xy{seen}z".encode(), capture_output=True, check=True).stdout,
            subprocess.run(["base64", "-w0"], input=f"x{seen}z".encode(), capture_output=True, check=True).stdout,
            f"xy{seen}z".encode().hex().encode(),
        )
    ):
        encoded.search(f"form {at}", data)
    assert len(encoded.hits) == 3


def test_no_secret_is_seen_anywhere(
    fleet: Fleet, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    began = time.time() - 1
    tokens = {name: token() for name in KINDS}
    secret = {name: canary(text) for name, text in tokens.items()}
    # The administrator of the repository's host is one who becomes root by a password too.
    fleet.hosts["nas"] = nas = fleet._make("nas", borg="1.2", user_sudo="password")
    vault = fleet.repository(
        passphrase=secret["passphrase"], admin_user=USER, admin_become_password=secret["admin"]
    )
    client = fleet.client("web1", user_sudo="password", user=USER, become_password=secret["sudo"])
    target = fleet.client("web2")
    web1 = fleet.hosts["web1"]
    for host, name in ((nas, "admin"), (web1, "sudo")):
        host.run(["chpasswd"], input=f"{USER}:{secret[name]}\n")
    policy = fleet.cyborg.policies.add(cy.Policy("etc", type="config", repository=vault, clients=[client], retries=0))

    web2 = fleet.hosts["web2"]
    jobs = [*job_folders(nas), *job_folders(web1), *job_folders(web2)]
    folders = [*jobs, f"/dev/shm/cyborg-{os.getuid()}", str(fleet.folder)]
    with watching(tokens.values(), folders) as seen:
        [job] = fleet.run(policy)
        for where in ({"destination": fleet.folder / "back"}, {"to": client}):
            restored = fleet.restore(fleet.only(job), ("/etc/hosts",), **where)
            assert restored.status == "successful", fleet.said()
        # The vault is lent, and its passphrase changed because of that.
        [made] = fleet.cyborg.vaults
        fleet.cyborg._store.vaults.observe(made.id, next_passphrase=Secret(secret["next passphrase"]))
        fleet.cyborg.finish(fleet.cyborg.prepare(target))
        restored = fleet.restore(fleet.only(job), ("/etc/hosts",), to=fleet.cyborg.clients.get("web2"))
        assert restored.status == "successful", fleet.said()
        [made] = fleet.cyborg.vaults
        assert made.passphrase == Secret(secret["next passphrase"]), fleet.said()
        assert fleet.restore(fleet.only(job), destination=fleet.folder / "again").status == "successful", fleet.said()
        # Checked where it belongs, and proved here and on a host that is let in for it.
        done = fleet.cyborg.finish([*fleet.cyborg.check(vault, ("repository", "data")), *fleet.cyborg.drill(policy)])
        fleet.cyborg.policies.replace(attrs.evolve(fleet.cyborg.policies.get("etc"), drill={"host": target}))
        done += fleet.cyborg.finish(fleet.cyborg.drill("etc"))
        assert [job.status for job in done] == ["successful"] * 4, fleet.said()
        # What goes wrong says more, so a secret that is wrong must not be in what is said of it.
        fleet.cyborg._store.vaults.observe(made.id, passphrase=Secret(secret["wrong passphrase"]))
        [job] = fleet.cyborg.run(policy)
        assert job.error.code == "wrong_passphrase", fleet.said()
        web1.run(["chpasswd"], input=f"{USER}:{secret['wrong sudo']}\n")
        [job] = fleet.cyborg.run(policy)
        assert job.error.code == "become_failed", fleet.said()
    assert seen["hits"] == []
    assert seen["samples"] > 50
    assert {"sudo", "ssh", "a Borg that reads its passphrase from a pipe"} <= set(seen["seen"]), seen["seen"]

    for folder in (f"/proc/{web1._init}/root/run/cyborg", f"/dev/shm/cyborg-{os.getuid()}"):
        assert any(read.startswith(folder) for read in seen["folders"]), seen["folders"]

    # The controller's own ssh key may be a file in memory while a job of the controller goes on; not any longer.
    [made] = fleet.cyborg.vaults
    left = Watch([*tokens.values(), made.controller_key.reveal().splitlines()[2]])
    # All that was ever written on the hosts, and what lies in their memory.
    count = left.files([str(host.folder / "upper") for host in (nas, web1, web2)])
    assert count > 50, "the hosts' files were looked at"
    left.files(jobs)
    # The controller: database, its log, state, whatever is in other places.
    assert (fleet.folder / "cyborg.db").stat().st_size > 0
    left.files([str(fleet.folder)])
    left.files(PLACES, since=began)
    left.search("told", "\n".join(map(repr, fleet.told)).encode())
    left.search("printed", "\n".join(describe(event) or "" for event in fleet.told).encode())
    left.search("said", fleet.said().encode())
    for shelf in ("clients", "repositories", "policies", "jobs", "archives", "vaults", "proofs"):
        left.search(shelf, "\n".join(map(repr, getattr(fleet.cyborg, shelf))).encode())
    left.search("logging", "\n".join(f"{record.__dict__}" for record in caplog.records).encode())
    left.search("output of the tests", "".join(capfd.readouterr()).encode())
    fleet.cyborg.close()
    left.files([str(fleet.folder)])
    assert sorted(left.hits) == []
