"""The controller's listings as an account without rights: what of them runs as root, what they leave, what stops them.

On this machine itself, with an account that each test makes and removes.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
import pytest

import cyborglib as cy
from tests.accounts import local_account, processes, statuses, uids_of
from tests.bombs import write_manifest
from tests.hosts.conftest import Fleet
from tests.hosts.test_canary import PLACES, canary, token
from tests.hosts.trees import compare
from tests.hosts.watcher import Watch, watching
from tests.lab import Host

pytestmark = pytest.mark.hosts

#: What Borg is asked for, as far as it is looked for.
WORDS = (b"list", b"export", b"extract", b"change-passphrase")


@pytest.fixture
def account(fleet: Fleet) -> Iterator[pwd.struct_passwd]:
    with local_account() as made:
        fleet.cyborg.settings = attrs.evolve(fleet.cyborg.settings, controller_account=made.pw_name)
        yield made
        fleet.cyborg.close()


def etc(fleet: Fleet, **repository: object) -> cy.Policy:
    vault = fleet.repository(**repository)
    return fleet.cyborg.policies.add(
        cy.Policy("etc", type="config", repository=vault, clients=[fleet.client("web1")], retries=0)
    )


def catalog(fleet: Fleet) -> cy.Job:
    [job] = fleet.cyborg.finish(fleet.cyborg.catalog("vault"))
    return job


@contextmanager
def looking(host: Host) -> Iterator[dict[int, set[str]]]:
    """Look at this machine's own Borg processes that work on a vault of that host: as whom, and what they do."""
    seen: dict[int, set[str]] = {}
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            for pid, status in statuses():
                with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                    argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                    if b"--log-json" in argv and host.address.encode() in Path(f"/proc/{pid}/environ").read_bytes():
                        done = [word.decode() for word in WORDS if word in argv]
                        for uid in uids_of(status):
                            seen.setdefault(uid, set()).update(done)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def left(account: pwd.struct_passwd) -> list[str]:
    """What is there of jobs of the account's, when there should be nothing: processes, files in memory, folders."""
    found = [f"process {pid}" for pid in processes(account.pw_uid)]
    memory = Path(f"/dev/shm/cyborg-agent-{account.pw_uid}")
    found += map(str, memory.rglob("*"))
    for job in Path(account.pw_dir, ".local/state/cyborg").iterdir():
        # Ended jobs are told to the agent with the next one; what they hold then is a listing.
        found += [str(path) for path in job.rglob("*") if path.name in ("files", "ssh_key", "known_hosts")]
    return found


def test_a_listing_is_never_roots_and_leaves_no_secret(fleet: Fleet, account: pwd.struct_passwd) -> None:
    began, mark = time.time() - 1, token()
    policy = etc(fleet, passphrase=canary(mark))
    memory = f"/dev/shm/cyborg-agent-{account.pw_uid}"
    with watching([mark], [account.pw_dir, memory, f"/dev/shm/cyborg-{os.getuid()}", str(fleet.folder)]) as seen:
        with looking(fleet.hosts["nas"]) as uids:
            [job] = fleet.run(policy)
            assert catalog(fleet).status == "successful", fleet.said()
        assert uids == {account.pw_uid: {"list", "export"}}
        assert fleet.only(job).confirmed_at
        # A restore brings owners back, so it is the engine's own; and it believes no cache of the account's.
        with looking(fleet.hosts["nas"]) as uids:
            back = fleet.folder / "back"
            assert fleet.restore(fleet.only(job), destination=back).status == "successful", fleet.said()
        assert uids.keys() == {os.getuid()}
        compare(fleet.hosts["web1"].root / "etc", back / "etc")
        # A drill brings no owners back: it compares what the account can read.
        with looking(fleet.hosts["nas"]) as uids:
            [job] = fleet.cyborg.finish(fleet.cyborg.drill(fleet.only(job)))
            assert job.status == "successful", fleet.said()
        assert uids.keys() == {account.pw_uid}
        [proof] = fleet.cyborg.proofs.find(job=job.id)
        assert (proof.how, proof.files > 0) == ("sample", True)
        assert list(Path(account.pw_dir, ".local/state/cyborglib/drills").iterdir()) == []
    assert seen["hits"] == []
    [vault] = fleet.cyborg.vaults
    base = Path(account.pw_dir, f".local/state/cyborglib/borg/vault-{vault.id}")
    assert any(base.rglob("*"))
    owners = {(path.lstat().st_uid, path.lstat().st_mode & 0o077) for path in base.parents[2].rglob("*")}
    assert owners == {(account.pw_uid, 0)}
    assert left(account) == []
    keys = vault.controller_key.reveal().splitlines()[2]
    found = Watch([mark, keys])
    found.files([account.pw_dir, memory, str(fleet.folder), str(fleet.hosts["nas"].folder / "upper")])
    found.files(PLACES, since=began)
    found.search("told", "\n".join(map(repr, fleet.told)).encode())
    found.search("said", fleet.said().encode())
    assert sorted(found.hits) == []


def test_the_key_is_a_file_of_the_accounts_own_in_memory(fleet: Fleet, account: pwd.struct_passwd) -> None:
    fleet.run(etc(fleet))
    seen: dict[str, tuple[int, int]] = {}
    memory = Path(f"/dev/shm/cyborg-agent-{account.pw_uid}")
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            with suppress(FileNotFoundError):  # What goes meanwhile ends this look.
                for path in (memory, *memory.rglob("*")):
                    status = path.lstat()
                    seen[path.name] = status.st_uid, status.st_mode & 0o777

    thread = threading.Thread(target=look)
    thread.start()
    assert catalog(fleet).status == "successful", fleet.said()
    over.set()
    thread.join()
    assert seen["ssh_key"] == seen["known_hosts"] == (account.pw_uid, 0o600)
    assert seen[memory.name] == (account.pw_uid, 0o700)
    assert left(account) == []


def test_a_canceled_listing_ends_and_leaves_nothing(fleet: Fleet, account: pwd.struct_passwd) -> None:
    fleet.run(etc(fleet))
    [vault] = fleet.cyborg.vaults
    nas = fleet.hosts["nas"]
    with subprocess.Popen(
        [*nas.enter, "runuser", "-u", "borg", "--", "env", "BORG_PASSPHRASE=" + vault.passphrase.reveal(), "borg",
         "with-lock", vault.where.path, "sleep", "120"], env={"PATH": os.environ["PATH"]},
    ) as holder:  # fmt: skip
        folder = nas.root / vault.where.path.lstrip("/")
        deadline = time.monotonic() + 30
        while not (folder / "lock.exclusive").exists():
            assert time.monotonic() < deadline
            time.sleep(0.1)
        [queued] = fleet.cyborg.catalog("vault")

        def cancel() -> None:
            while not processes(account.pw_uid):
                time.sleep(0.05)
            time.sleep(2)
            asked.append(time.monotonic())
            fleet.cyborg.cancel(queued)

        asked: list[float] = []
        thread = threading.Thread(target=cancel)
        thread.start()
        [job] = fleet.cyborg.finish([queued])
        thread.join()
        took = time.monotonic() - asked[0]
        holder.terminate()
    assert job.status == "canceled", fleet.said()
    assert took < 20, "far more than the seconds it takes on a quiet machine"
    assert left(account) == []
    for pid in nas._inner():
        with suppress(OSError):
            if b"sleep\x00120" in Path(f"/proc/{pid}/cmdline").read_bytes():
                os.kill(pid, 9)


def test_a_client_that_fills_its_readers_memory_makes_the_listing_fail(
    fleet: Fleet, account: pwd.struct_passwd
) -> None:
    [job] = fleet.run(etc(fleet))
    confirmed = fleet.only(job)
    [vault] = fleet.cyborg.vaults
    folder = fleet.hosts["nas"].root / vault.where.path.lstrip("/")
    owner = folder.stat()
    write_manifest(folder, vault.passphrase.reveal(), 700_000_000, user=0)
    subprocess.run(["chown", "-R", f"{owner.st_uid}:{owner.st_gid}", str(folder)], check=True)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert size < 20_000_000, "it is small where it lies"
    for name in (account.pw_name, ""):
        fleet.cyborg.settings = attrs.evolve(fleet.cyborg.settings, controller_account=name)
        listed = catalog(fleet)
        assert (listed.status, listed.error.code, listed.attempt) == ("failed", "limit_reached", 1), fleet.said()
        assert "put something there to harm" in str(listed.error)
        assert fleet.only(job) == confirmed, "nothing is concluded of what was not read"
    assert left(account) == []


def test_a_storage_box_needs_a_key_of_the_accounts(fleet: Fleet, account: pwd.struct_passwd) -> None:
    client, nas = fleet.client("web1"), fleet._make("nas", borg="1.2")
    box = fleet.cyborg.repositories.add(
        cy.Repository(
            "box", f"ssh://root@{nas.address}:{nas.port}/srv/box/{{client}}", managed=False, host_key=nas.host_key
        )
    )
    policy = fleet.cyborg.policies.add(cy.Policy("etc", "config", repository=box, clients=[client], retries=0))
    # Its key is made when the vault is prepared, and let in by a person.
    [job] = fleet.cyborg.run(policy)
    assert job.status == "skipped", fleet.said()
    keys = nas.read("/root/.ssh/authorized_keys").decode()
    keys += fleet.hosts["web1"].run(["sh", "-c", "cat /etc/cyborg/keys/vault-*.pub"]).stdout
    nas.write("/root/.ssh/authorized_keys", keys, 0o600)
    [job] = fleet.run(policy)
    assert not fleet.only(job).confirmed_at
    # Root has an ssh agent here whose key opens the box. It is not the account's.
    [listed] = fleet.cyborg.finish(fleet.cyborg.catalog("box"))
    assert (listed.status, listed.error.code) == ("failed", "key_not_authorized"), fleet.said()
    assert f"~{account.pw_name}/.ssh" in str(listed.error)
    become = ["setpriv", f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}", "--clear-groups", "--"]
    key = f"{account.pw_dir}/.ssh/id_ed25519"
    subprocess.run([*become, "mkdir", "-m", "700", f"{account.pw_dir}/.ssh"], check=True)
    subprocess.run([*become, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    nas.write("/root/.ssh/authorized_keys", keys + Path(key + ".pub").read_text(), 0o600)
    [listed] = fleet.cyborg.finish(fleet.cyborg.catalog("box"))
    assert listed.status == "successful", fleet.said()
    assert fleet.only(job).confirmed_at
    assert left(account) == []


def test_the_passphrase_of_a_vault_that_was_lent_is_changed_as_that_account(
    fleet: Fleet, account: pwd.struct_passwd
) -> None:
    policy = etc(fleet)
    target = fleet.client("web2")
    archive = fleet.only(fleet.run(policy)[0])
    fleet.cyborg.finish(fleet.cyborg.prepare(target))
    [before] = fleet.cyborg.vaults
    with looking(fleet.hosts["nas"]) as seen:
        job = fleet.restore(archive, ("/etc/hostname",), to=fleet.cyborg.clients.get("web2"))
    assert (job.status, job.warnings) == ("successful", ()), fleet.said()
    assert [uid for uid, words in seen.items() if "change-passphrase" in words] == [account.pw_uid]
    [after] = fleet.cyborg.vaults
    assert after.passphrase not in (None, before.passphrase)
    assert left(account) == []
    assert catalog(fleet).status == "successful", fleet.said()
