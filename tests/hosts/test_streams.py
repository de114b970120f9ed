"""What commands print, backed up and brought back; hooks; and what single clients take otherwise."""

from __future__ import annotations

import json
import time

import attrs
import pytest

import cyborglib as cy
from tests.hosts.conftest import Fleet
from tests.hosts.test_canary import PLACES, job_folders, token
from tests.hosts.test_trouble import unlocked
from tests.hosts.watcher import watching

pytestmark = pytest.mark.hosts


def piped(fleet: Fleet, command: str, name: str = "export", **policy: object) -> cy.Policy:
    """A policy of what a command prints, on web1 with a vault on nas; both are made if they are not there."""
    if not len(fleet.cyborg.clients):
        fleet.client("web1")
        fleet.repository()
    [vault], clients = list(fleet.cyborg.repositories), list(fleet.cyborg.clients)
    variables = {"command": command, **policy.pop("extra_vars", {})}  # type: ignore[dict-item]
    known = {"clients": clients, "retries": 0, "extra_vars": variables}
    return fleet.cyborg.policies.add(cy.Policy(name, type="piped", repository=vault, **(known | policy)))


def fails(fleet: Fleet, policy: cy.Policy, code: str) -> cy.Job:
    """Run a policy that fails with this code, and leaves neither archive nor lock."""
    before = len(fleet.cyborg.archives)
    [job] = fleet.cyborg.run(policy)
    assert job.error is not None, fleet.said()
    assert (job.status, job.error.code) == ("failed", code), fleet.said()
    assert len(fleet.cyborg.archives) == before
    [vault] = fleet.cyborg.vaults
    assert unlocked(fleet, vault)
    return job


def sound(fleet: Fleet) -> None:
    """All archives of the vault are whole."""
    [vault] = fleet.cyborg.vaults
    kept = fleet.cyborg._store.vaults.get(vault.id)
    env = {"BORG_PASSPHRASE": kept.passphrase.reveal(), "BORG_BASE_DIR": "/tmp/borg"}
    fleet.hosts["nas"].run(["borg", "check", "--verify-data", vault.where.path], user="borg", env=env)


def text(fleet: Fleet, path: str) -> str:
    return fleet.hosts["web1"].read(path).decode()


def test_a_command_and_back(fleet: Fleet) -> None:
    policy = piped(fleet, "seq 200000 | tac", extra_vars={"file": "numbers.txt", "ends": "\n1\n"})
    [job] = fleet.run(policy)
    assert job.stats.files == 1
    archive = fleet.only(job)
    assert archive.confirmed_at is not None
    # Another one in the same minute.
    fleet.run(policy)
    assert len(fleet.cyborg.archives) == 2
    web1 = fleet.cyborg.clients.get("web1")
    # Into a command, a new file, a folder here.
    assert (
        fleet.restore(archive, to=web1, options={"command": "sort -n | tail -n 1 > /root/last"}).status == "successful"
    )
    assert text(fleet, "/root/last") == "200000\n"
    assert fleet.restore(archive, to=web1, options={"path": "/root/numbers"}).status == "successful", fleet.said()
    assert text(fleet, "/root/numbers").splitlines() == [str(n) for n in range(200000, 0, -1)]
    again = fleet.restore(archive, to=web1, options={"path": "/root/numbers"})
    assert again.error is not None
    assert again.error.code == "destination_exists"
    here = fleet.folder / "here"
    assert fleet.restore(archive, destination=here).status == "successful"
    assert (here / "numbers.txt").read_text() == text(fleet, "/root/numbers")
    bad = fleet.restore(archive, to=web1, options={"command": "cat >/dev/null; echo no room >&2; exit 3"})
    assert bad.error is not None
    assert (bad.status, bad.error.code) == ("failed", "load_failed")
    assert "no room" in str(bad.error)
    with pytest.raises(cy.Invalid, match="did you mean 'command'"):
        fleet.cyborg.restore(archive, to=web1, options={"comand": "x"})
    with pytest.raises(cy.Invalid, match="for files"):
        fleet.cyborg.restore(archive, to=web1, destination="/root/x", options={"command": "x"})


@pytest.mark.usefixtures("unlisted")
def test_back_onto_another_client_that_is_lent_the_vault(fleet: Fleet) -> None:
    [job] = fleet.run(piped(fleet, "seq 1000"))
    other = fleet.client("web2")
    fleet.cyborg.finish(fleet.cyborg.prepare(other))
    job = fleet.restore(fleet.only(job), to=other, options={"command": "tail -n 1 > /root/last"})
    assert job.status == "successful", fleet.said()
    assert fleet.hosts["web2"].read("/root/last") == b"1000\n"


@pytest.mark.usefixtures("unlisted")
def test_what_fails_leaves_no_archive_and_says_why(fleet: Fleet) -> None:
    job = fails(fleet, piped(fleet, "(seq 100000; echo no server >&2; exit 7) | gzip"), "dump_failed")
    assert "exit code 7" in str(job.error)
    assert "no server" in str(job.error)
    fails(fleet, piped(fleet, "true", "empty"), "source_empty")
    fails(fleet, piped(fleet, "seq 10", "cut", extra_vars={"ends": "-- done"}), "dump_failed")
    job = fails(fleet, piped(fleet, "seq 10; sleep 600", "slow", timeout=8), "timeout")
    assert not [argv for argv in fleet.hosts["web1"].processes() if "sleep" in argv]
    killed = piped(fleet, "head -c 9000000 /dev/urandom; kill -9 $$; head -c 9000000 /dev/urandom", "killed")
    assert "killed by signal 9" in str(fails(fleet, killed, "dump_failed"))
    fleet.run(piped(fleet, "seq 10", "good"))
    sound(fleet)


@pytest.mark.usefixtures("unlisted")
def test_a_full_disk_at_either_end(fleet: Fleet) -> None:
    fleet.client("web1")
    fleet.repository(tmpfs_vault="24m")
    fleet.cyborg.settings = attrs.evolve(fleet.cyborg.settings, quota_share=0)
    [small] = fleet.run(piped(fleet, "seq 1000"))
    fleet.hosts["web1"].run(["sh", "-c", "mkdir /root/tiny && mount -t tmpfs -o size=1m tiny /root/tiny"])
    job = fails(fleet, piped(fleet, "seq 10; seq 1000000 > /root/tiny/x", "own"), "client_full")
    job = fails(fleet, piped(fleet, "head -c 60000000 /dev/urandom", "big", compression="none"), "vault_full")
    assert "full" in str(job.error)
    # What was there before is whole; to look at it, Borg needs room.
    fleet.hosts["nas"].run(["mount", "-o", "remount,size=64m", "/srv/borg"])
    sound(fleet)
    done = fleet.restore(fleet.only(small), destination=fleet.folder / "small")
    assert done.status == "successful", fleet.said()


@pytest.mark.usefixtures("unlisted")
def test_each_client_has_variables_of_its_own(fleet: Fleet) -> None:
    one, two = fleet.client("web1"), fleet.client("web2")
    vault = fleet.repository()
    own = {one: {"command": "hostname"}, two: {"command": "echo second", "file": "b"}}
    policy = cy.Policy("export", type="piped", repository=vault, clients=[one, two], client_extra_vars=own, retries=0)
    added = fleet.cyborg.policies.add(policy)
    for job in fleet.run(added):
        assert fleet.restore(fleet.only(job), destination=fleet.folder / job.client_name).status == "successful"
    assert (fleet.folder / "web1/stream").read_text() == "web1\n"
    assert (fleet.folder / "web2/b").read_text() == "second\n"
    with pytest.raises(cy.Invalid, match=r"takes no 'comand' \(did you mean 'command'\?\)"):
        fleet.cyborg.policies.replace(attrs.evolve(added, client_extra_vars={**own, one: {"comand": "x"}}))
    with pytest.raises(cy.Invalid, match="needs 'command'"):
        fleet.cyborg.policies.replace(attrs.evolve(added, client_extra_vars={one: {"command": "x"}}))


@pytest.mark.usefixtures("unlisted")
def test_hooks_go_before_and_after_whatever_happens(fleet: Fleet) -> None:
    pre = 'env | grep ^CYBORG_ | sort > /root/hook; echo "from the hook"'
    post = 'echo "$CYBORG_OUTCOME:$CYBORG_ERROR" >> /root/hook'
    policy = piped(fleet, "cat /root/hook", prehook=pre, posthook=post)
    [job] = fleet.run(policy)
    assert text(fleet, "/root/hook").splitlines() == [
        "CYBORG_ATTEMPT=1", "CYBORG_CLIENT=web1", "CYBORG_ERROR=", f"CYBORG_JOB={job.id}", "CYBORG_OUTCOME=pending",
        "CYBORG_POLICY=export", "successful:",
    ]  # fmt: skip
    assert any("from the hook" in line for line in fleet.cyborg.output(job))
    # Around a backup of files as well; and what fails on the way does not keep the posthook from running.
    [vault] = fleet.cyborg.repositories
    etc = fleet.cyborg.policies.add(
        cy.Policy("etc", type="config", repository=vault, clients=list(fleet.cyborg.clients), retries=0,
                  prehook="echo broken >&2; exit 3", posthook=post)
    )  # fmt: skip
    job = fails(fleet, etc, "hook_failed")
    assert "broken" in str(job.error)
    assert text(fleet, "/root/hook").splitlines()[-1] == "failed:hook_failed"
    etc = fleet.cyborg.policies.replace(attrs.evolve(etc, prehook="", posthook="exit 5"))
    [job] = fleet.run(etc)
    assert any("posthook failed" in warning for warning in job.warnings)


@pytest.mark.usefixtures("unlisted")
def test_a_canceled_backup_runs_its_posthook(fleet: Fleet) -> None:
    post = 'sleep 1; echo "$CYBORG_OUTCOME" > /root/hook'
    policy = piped(fleet, "head -c 1500000000 /dev/urandom", posthook=post, compression="zstd,19")

    @fleet.cyborg.on(cy.JobProgressed)
    def cancel(event: cy.JobProgressed) -> None:
        if event.progress.original_bytes > 5_000_000 and not event.job.cancel_requested:
            fleet.cyborg.cancel(event.job)

    [job] = fleet.cyborg.run(policy)
    assert job.status == "canceled", fleet.said()
    assert text(fleet, "/root/hook") == "canceled\n"
    assert len(fleet.cyborg.archives) == 0


def test_the_command_and_the_hooks_are_seen_nowhere(fleet: Fleet) -> None:
    tokens = [token() for _ in range(3)]
    began = time.time() - 1
    fleet.client("web1")
    fleet.repository()
    policy = piped(
        fleet, f": {tokens[0]}; sleep 2; seq 10", prehook=f"x={tokens[1]}; sleep 1", posthook=f"x={tokens[2]}; sleep 1"
    )
    looked = [str(fleet.folder), *PLACES, *(place for host in fleet.hosts.values() for place in job_folders(host))]
    with watching(tokens, looked) as result:
        [job] = fleet.run(policy)
    assert result["hits"] == []
    assert "bash" in result["seen"]
    told = json.dumps([attrs.asdict(job, recurse=False), fleet.cyborg.output(job)], default=repr)
    assert not any(each in told for each in [*tokens, *map(repr, tokens)])
    assert not any(each in repr(policy) for each in tokens)
    [vault] = fleet.cyborg.vaults
    kept = fleet.cyborg._store.vaults.get(vault.id)
    shown = fleet.hosts["nas"].run(
        ["borg", "info", "--json", f"{vault.where.path}::{fleet.only(job).name}"],
        env={"BORG_PASSPHRASE": kept.passphrase.reveal()},
    )
    assert "content-from-command" in shown.stdout
    assert not any(each in shown.stdout for each in tokens)
    places = f"/etc /root /run /tmp /var /srv -xdev -type f -newermt @{began:.0f}"
    look = f"find {places} -print0 | xargs -0 grep -alE '{'|'.join(tokens)}' || true"
    for host in fleet.hosts.values():
        assert host.run(["sh", "-c", look]).stdout == ""
