"""What goes wrong on real hosts, and what is said of it. Never a false success, never something left behind."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import attrs
import pytest

import cyborglib as cy
from cyborglib.secret import Secret
from tests.hosts.conftest import Fleet

pytestmark = [pytest.mark.hosts, pytest.mark.usefixtures("unlisted")]


def etc(fleet: Fleet, *names: str, retries: int = 0, **policy: object) -> cy.Policy:
    """A config policy of some new clients, on a new repository's host; tried once."""
    vault = fleet.repository()
    clients = [fleet.client(name) for name in names or ("web1",)]
    return fleet.cyborg.policies.add(
        cy.Policy("etc", type="config", repository=vault, clients=clients, retries=retries, **policy)
    )


def ended(fleet: Fleet, policy: cy.Policy) -> cy.Job:
    """The one job of a run that is not expected to go well."""
    [job] = fleet.cyborg.run(policy)
    assert job.finished
    return job


def unlocked(fleet: Fleet, vault: cy.Vault, on: str = "nas") -> bool:
    """True if nobody holds a Borg lock on the vault."""
    folder = fleet.hosts[on].root / vault.where.path.lstrip("/")
    return not (folder / "lock.exclusive").exists() and not (folder / "lock.roster").exists()


def borgs(fleet: Fleet) -> list[list[str]]:
    """The Borg processes on all hosts."""
    return [argv for host in fleet.hosts.values() if host.up for argv in host.processes() if "borg" in " ".join(argv)]


def test_a_wrong_passphrase_is_said_and_not_tried_again(fleet: Fleet) -> None:
    policy = etc(fleet, retries=2)
    fleet.run(policy)
    [vault] = fleet.cyborg.vaults
    fleet.cyborg._store.vaults.observe(vault.id, passphrase=Secret("another one entirely"))
    job = ended(fleet, policy)
    assert (job.status, job.error.code, job.attempt) == ("failed", "wrong_passphrase", 1)
    assert job.error.permanent


def test_a_host_that_is_down_fails_alone(fleet: Fleet) -> None:
    policy = etc(fleet, "web1", "web2")
    fleet.run(policy)
    fleet.hosts["web1"].stop()
    jobs = {job.client_name: job for job in fleet.cyborg.run(policy)}
    assert (jobs["web1"].status, jobs["web1"].error.code) == ("failed", "unreachable")
    assert jobs["web2"].status == "successful"
    fleet.hosts["web1"].start()
    fleet.run(policy)


def test_a_changed_host_key_is_refused_until_it_is_trusted(fleet: Fleet) -> None:
    policy = etc(fleet, retries=2)
    fleet.run(policy)
    host = fleet.hosts["web1"]
    host.reinstall()
    job = ended(fleet, policy)
    assert (job.status, job.error.code, job.attempt) == ("failed", "host_key_changed", 1)
    assert "trust" in str(job.error)
    fleet.cyborg.trust(fleet.cyborg.clients.get("web1"), host.host_key)
    # Installed anew: its keys are gone, so it is prepared again; its vault is the same.
    fleet.cyborg.finish(fleet.cyborg.prepare(fleet.cyborg.clients.get("web1")))
    fleet.run(policy)
    assert len(fleet.cyborg.vaults) == 1
    assert len(fleet.cyborg.archives) == 2


def test_an_unknown_host_key_is_refused_or_accepted_and_told(fleet: Fleet) -> None:
    vault = fleet.repository(host_key="")
    client = fleet.client("web1", host_key="")
    policy = fleet.cyborg.policies.add(cy.Policy("etc", type="config", repository=vault, clients=[client]))
    job = ended(fleet, policy)
    assert job.status == "skipped"
    assert "host key" in job.reason
    fleet.cyborg.settings = attrs.evolve(fleet.cyborg.settings, first_contact="accept")
    fleet.run(policy)
    accepted = [event for event in fleet.told if isinstance(event, cy.HostKeyAccepted)]
    assert sorted(event.name for event in accepted) == ["vault", "web1"]
    assert all(event.fingerprint.startswith("SHA256:") for event in accepted)
    assert fleet.cyborg.clients.get("web1").host_key == fleet.hosts["web1"].host_key


def test_a_cancel_ends_borg_everywhere_and_leaves_no_lock(fleet: Fleet) -> None:
    policy = etc(fleet)
    [client] = fleet.cyborg.clients
    fleet.hosts["web1"].run(["sh", "-c", "mkdir /srv/big && head -c 1500000000 /dev/urandom > /srv/big/data"])
    big = fleet.cyborg.policies.add(
        cy.Policy("big", type="folders", repository=policy.repository, clients=[client],
                  extra_vars={"folders": ["/srv/big"]}, compression="zstd,19")
    )
    asked: list[float] = []

    @fleet.cyborg.on(cy.JobProgressed)
    def cancel(event: cy.JobProgressed) -> None:
        if event.progress.original_bytes > 20_000_000 and not asked:
            asked.append(time.monotonic())
            fleet.cyborg.cancel(event.job)

    [job] = fleet.cyborg.run(big)
    assert job.status == "canceled", fleet.said()
    assert time.monotonic() - asked[0] < 20, "far more than the seconds it takes on a quiet machine"
    assert borgs(fleet) == []
    [vault] = fleet.cyborg.vaults
    assert unlocked(fleet, vault)
    assert len(fleet.cyborg.archives) == 0
    fleet.run(policy)


def test_progress_comes_with_an_estimate_against_the_last_run(fleet: Fleet) -> None:
    vault, client = fleet.repository(), fleet.client("web1")
    fill = "mkdir -p /srv/big; for n in 1 2 3 4 5 6; do head -c 60000000 /dev/urandom > /srv/big/$n; done"
    fleet.hosts["web1"].run(["sh", "-c", fill])
    policy = fleet.cyborg.policies.add(
        cy.Policy("big", type="folders", repository=vault, clients=[client], extra_vars={"folders": ["/srv/big"]})
    )
    fleet.run(policy)
    fleet.hosts["web1"].run(["sh", "-c", fill])
    fleet.told.clear()
    fleet.run(policy)
    progressed = [event for event in fleet.told if isinstance(event, cy.JobProgressed)]
    told = [event.progress for event in progressed if event.job.kind == "backup"]
    assert told, "a backup of seconds tells of its progress"
    assert any("srv/big/" in progress.path for progress in told)
    fractions = [progress.fraction for progress in told if progress.original_bytes]
    assert all(fraction is not None and 0 <= fraction < 1 for fraction in fractions)


def test_two_policies_of_one_client_do_not_overlap_and_a_shared_vault_serialises(fleet: Fleet) -> None:
    shared = fleet.repository("shared", path="/srv/one", shared=True)
    clients = [fleet.client("web1"), fleet.client("web2")]
    policies = [
        fleet.cyborg.policies.add(cy.Policy(name, type="config", repository=shared, clients=clients))
        for name in ("one", "two")
    ]
    jobs = [job for policy in policies for job in fleet.cyborg.launch(policy)]
    ended = fleet.cyborg.finish(jobs)
    assert {job.status for job in ended} == {"successful"}, fleet.said()
    spans = sorted((job.started_at, job.ended_at) for job in ended)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert len(fleet.cyborg.vaults) == 1


def test_sources_that_are_not_there_or_empty_never_make_a_success(fleet: Fleet) -> None:
    vault, client = fleet.repository(), fleet.client("web1")
    host = fleet.hosts["web1"]
    host.run(["mkdir", "-p", "/srv/empty", "/srv/real", "/srv/excluded"])
    host.write("/srv/real/file", b"x", 0o644)
    host.write("/srv/excluded/file", b"x", 0o644)
    expected = {
        ("/srv/missing",): "source_missing",
        ("/srv/empty",): "source_empty",
        ("/srv/real", "/srv/missing"): "source_missing",
    }
    for number, (folders, code) in enumerate(expected.items()):
        policy = fleet.cyborg.policies.add(
            cy.Policy(f"p{number}", type="folders", repository=vault, clients=[client],
                      extra_vars={"folders": list(folders)})
        )
        job = ended(fleet, policy)
        assert (job.status, job.error.code) == ("failed", code), fleet.said()
    policy = fleet.cyborg.policies.add(
        cy.Policy("all-excluded", type="folders", repository=vault, clients=[client],
                  extra_vars={"folders": ["/srv/excluded"], "exclude": [{"style": "shell", "pattern": "**"}]})
    )
    job = ended(fleet, policy)
    assert job.status == "failed", fleet.said()
    assert job.error.code in ("source_empty", "source_missing")
    assert len(fleet.cyborg.archives) == 0


def test_a_disk_that_was_unmounted_is_noticed(fleet: Fleet) -> None:
    vault, client = fleet.repository(), fleet.client("web1")
    host = fleet.hosts["web1"]
    host.run(["sh", "-c", "mkdir -p /srv/disk && mount -t tmpfs disk /srv/disk && echo data > /srv/disk/file"])
    policy = fleet.cyborg.policies.add(
        cy.Policy("disk", type="folders", repository=vault, clients=[client], extra_vars={"folders": ["/srv/disk"]},
                  retries=0)
    )
    fleet.run(policy)
    host.run(["sh", "-c", "umount /srv/disk && echo leftover > /srv/disk/other"])
    job = ended(fleet, policy)
    assert (job.status, job.error.code) == ("failed", "source_moved"), fleet.said()
    # Moved on purpose: it is allowed once, and then that is what is expected.
    (job,) = fleet.cyborg.run(policy, extra_vars={"allow_moved": True})
    assert job.status == "successful", fleet.said()
    assert ended(fleet, policy).status == "successful", fleet.said()


def test_what_is_taken_out_of_a_policy_is_not_missed(fleet: Fleet) -> None:
    vault, client = fleet.repository(), fleet.client("web1")
    fleet.hosts["web1"].run(["sh", "-c", "mkdir -p /srv/one /srv/two && touch /srv/one/file /srv/two/file"])
    policy = fleet.cyborg.policies.add(
        cy.Policy("some", type="folders", repository=vault, clients=[client], retries=0,
                  extra_vars={"folders": ["/srv/one", "/srv/two"]})
    )
    fleet.run(policy)
    fleet.cyborg.policies.replace(attrs.evolve(fleet.cyborg.policies.get("some"), extra_vars={"folders": ["/srv/one"]}))
    assert ended(fleet, policy).status == "successful", fleet.said()


def test_unreadable_files_are_counted(fleet: Fleet) -> None:
    from tests.lab.host import USER

    vault = fleet.repository()
    client = fleet.client("web1", user_sudo=True, user=USER, become=False)
    host = fleet.hosts["web1"]
    host.write("/srv/data/a", b"yes", 0o644)
    host.write("/srv/data/b", b"no", 0o600)
    options = {"folders": ["/srv/data"]}
    lax = fleet.cyborg.policies.add(
        cy.Policy("lax", type="folders", repository=vault, clients=[client], extra_vars=options | {"max_unreadable": 1})
    )
    [job] = fleet.run(lax)
    assert any("could not be read" in warning for warning in job.warnings)
    strict = fleet.cyborg.policies.add(
        cy.Policy("strict", type="folders", repository=vault, clients=[client],
                  extra_vars=options | {"max_unreadable": 0})
    )
    assert ended(fleet, strict).status == "failed"


def test_an_engine_that_is_interrupted_leaves_borg_at_work_and_the_next_takes_over(fleet: Fleet) -> None:
    vault, client = fleet.repository(), fleet.client("web1")
    fleet.hosts["web1"].run(["sh", "-c", "mkdir /srv/big && head -c 400000000 /dev/urandom > /srv/big/data"])
    policy = fleet.cyborg.policies.add(
        cy.Policy("big", type="folders", repository=vault, clients=[client], extra_vars={"folders": ["/srv/big"]},
                  compression="zstd,12", retries=0)
    )
    first = fleet.cyborg

    @first.on(cy.JobProgressed)
    def interrupt(event: cy.JobProgressed) -> None:
        if event.job.kind == "backup" and event.progress.original_bytes:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        first.run(policy)
    first.close()
    second = fleet.open()
    second.work()
    [job] = second.jobs.find(kind=cy.JobKind.BACKUP)
    assert (job.status, job.attempt) == ("successful", 1), fleet.said()
    assert len(second.archives) == 1


def test_a_client_that_loses_power_is_lost_and_the_vault_is_not_locked(fleet: Fleet) -> None:
    policy = etc(fleet)
    [client] = fleet.cyborg.clients
    host = fleet.hosts["web1"]
    host.run(["sh", "-c", "mkdir /srv/big && head -c 800000000 /dev/urandom > /srv/big/data"])
    big = fleet.cyborg.policies.add(
        cy.Policy("big", type="folders", repository=policy.repository, clients=[client],
                  extra_vars={"folders": ["/srv/big"]}, compression="zstd,12", retries=0)
    )
    gone = threading.Event()

    @fleet.cyborg.on(cy.JobProgressed)
    def pull(event: cy.JobProgressed) -> None:
        if event.progress.original_bytes > 10_000_000 and not gone.is_set():
            gone.set()
            host.stop()
            host.start()

    [job] = fleet.cyborg.run(big)
    assert (job.status, job.error.code) == ("failed", "lost"), fleet.said()
    fleet.run(policy)
    [vault] = fleet.cyborg.vaults
    assert unlocked(fleet, vault)
