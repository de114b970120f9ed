"""What a prune and a compact get told, and when jobs of ours may have written a vault."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import attrs
import pytest
from attrs import evolve

import cyborglib as cy
from cyborglib.kinds import KINDS, Assignment, Refused
from cyborglib.kinds.upkeep import windows
from cyborglib.model import Baseline
from tests.kinds.scene import ARCHIVE, CANARIES, DISK, NOON, POLICY, REPOSITORY, STORAGE_BOX, VAULT, work

KEEP = evolve(POLICY, retention=cy.Retention(daily=1))


def archive(number: int, **fields: object) -> cy.Archive:
    at = NOON - timedelta(days=number)
    known = {"name": f"a{number}", "borg_id": f"{number:064x}", "id": number, "recorded_at": at, "confirmed_at": at}
    return evolve(ARCHIVE, **known | fields)


RECORDED = (
    *(archive(number) for number in range(1, 5)),
    archive(5, missing_at=NOON),  # given up as lost
    archive(6, pruned_at=NOON),  # decided, and maybe still there
    archive(7, pruned_at=NOON, missing_at=NOON),  # gone as it was to go
    archive(8, foreign=True, policy=None),
    archive(9, client=4),
)


def assigned(kind: str = "prune", **changes: object) -> Assignment:
    given = {"policy": KEEP, "recorded": RECORDED, "archive": None} | changes
    return KINDS[cy.JobKind(kind)].assign(work(kind, **given))


def test_a_prune_is_told_what_goes_and_what_must_stay() -> None:
    found = assigned()
    variables = found.host_run.variables
    # Half of four go at most, the oldest first; and what was decided before.
    assert sorted(variables["upkeep_archives"]) == ["a3", "a4", "a6"]
    assert sorted(found.deletes) == [3, 4, 6]
    assert sorted(variables["upkeep_known"]) == ["a1", "a2", "a3", "a4", "a9"]
    assert sorted(variables["upkeep_decided"]) == ["a5", "a6"]
    assert variables["upkeep_archives"]["a4"] == f"{4:064x}"
    assert variables["upkeep_compact"] is False
    assert variables["upkeep_leftovers"] == "etc+web1.example.org+"


@pytest.mark.parametrize("kind", ["prune", "compact"])
def test_it_runs_on_the_controller_and_the_vaults_host_hears_no_secret(kind: str) -> None:
    found = assigned(kind)
    run = found.host_run
    text = json.dumps(attrs.asdict(run), default=str)
    assert not [secret for secret in CANARIES if secret in text]
    assert (run.host.local, run.host.title) == (True, "the controller")
    assert [host.name for host in run.others] == ["repository-1"]
    assert set(found.secrets) == {"borg_passphrase", "ssh_key", "admin_become_password"}
    variables = run.variables
    assert (variables["cyborg_repository_host"], variables["upkeep_account"]) == ("repository-1", "borg")
    assert (variables["upkeep_folder"], variables["upkeep_by"]) == ("/srv/web1.example.org-3", "42.2")
    assert variables["upkeep_seconds"] == run.timeout == 77
    account = assigned(kind, settings=cy.Settings(controller_account="lister")).host_run
    assert account.host.account == "lister"
    assert account.variables["borg_base_dir"].startswith("~lister/")


@pytest.mark.parametrize(
    ("kind", "repository", "unsettled", "settings", "expected"),
    [
        # counted by its host, checked, verified
        ("prune", REPOSITORY, None, {}, (True, False, False)),
        ("compact", REPOSITORY, None, {}, (True, False, False)),
        # A change of ours was broken off: nobody counted what it freed.
        ("prune", REPOSITORY, NOON, {}, (True, True, True)),
        ("compact", REPOSITORY, NOON, {"verify_compact": False}, (True, True, True)),
        # No host to ask, or one whose word is none, as the client's own key deletes for good.
        ("prune", STORAGE_BOX, None, {}, (False, True, False)),
        ("compact", STORAGE_BOX, None, {}, (False, True, True)),
        ("compact", STORAGE_BOX, None, {"verify_compact": False}, (False, True, False)),
        ("compact", evolve(REPOSITORY, append_only=False), None, {}, (False, True, True)),
        ("compact", DISK, None, {}, (False, True, True)),
    ],
)
def test_what_is_asked_before_anything_is_final(
    kind: str, repository: cy.Repository, unsettled: datetime | None, settings: dict[str, bool], expected: object
) -> None:
    baseline = Baseline(freeable_bytes=1, stored_bytes=2, transaction=3, log_bytes=4, at=5)
    local = {"location": "/srv/borg"} if repository is DISK else {}
    vault = evolve(VAULT, unsettled_at=unsettled, baseline=baseline, **local)
    found = assigned(kind, repository=repository, vault=vault, settings=cy.Settings(**settings)).host_run
    variables = found.variables
    asked = (variables["upkeep_counted"], variables["upkeep_check"], variables["upkeep_verify"])
    assert asked == expected
    since = {"freeable_bytes": 1, "stored_bytes": 2, "transaction": 3, "log_bytes": 4} if expected[0] else {}
    # What that change freed or took away is no attack.
    grows = ("transaction", "log_bytes")
    assert variables["upkeep_since"] == ({name: since[name] for name in grows} if unsettled else since)
    assert found.host.local is (repository is not DISK)
    assert bool(variables["cyborg_repository_host"]) is (repository.managed and repository is not DISK)


@pytest.mark.parametrize("kind", ["prune", "compact"])
@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"vault": evolve(VAULT, suspect="it was tampered with")}, "vault_damaged"),
        ({"clock": "it is years ahead"}, "clock_doubtful"),
    ],
)
def test_held_with_a_reason_and_an_event(kind: str, changes: dict[str, object], code: str) -> None:
    with pytest.raises(Refused) as caught:
        assigned(kind, **changes)
    assert (caught.value.error.code, caught.value.skip) == (code, True)
    [event] = caught.value.events
    assert isinstance(event, cy.PruneHeld)
    assert event.reason == str(caught.value)


def job(number: int, began: int, ended: int | None, **fields: object) -> cy.Job:
    """A backup between two minutes after noon."""
    ends = NOON + timedelta(minutes=ended) if ended is not None else None
    values = {"status": "successful", "attempt": 1} | fields
    queued, started = NOON - timedelta(hours=1), NOON + timedelta(minutes=began)
    return cy.Job(kind="backup", id=number, created_at=queued, started_at=started, ended_at=ends, **values)


def minutes(*jobs: cy.Job) -> list[tuple[float, float]]:
    found = windows(jobs, NOON + timedelta(minutes=100))
    return [((a - NOON.timestamp()) / 60, (b - NOON.timestamp()) / 60) for a, b in found]


def test_when_jobs_of_ours_may_have_written_a_vault() -> None:
    failed = {"status": "failed", "error": cy.JobError("source_missing", "x")}
    lost = {"status": "failed", "error": cy.JobError("lost", "x")}
    assert minutes(job(1, 0, 5), job(2, 10, 15, **failed)) == [(0, 5), (10, 15)]
    # Nobody saw its Borg end: it may have gone on until the next one was done, or still does.
    assert minutes(job(1, 0, 5, **lost), job(2, 10, 15)) == [(0, 15), (10, 15)]
    assert minutes(job(1, 0, 5, **lost)) == [(0, 100)]
    assert minutes(job(1, 0, None, status="running")) == [(0, 100)]
    # When an earlier attempt began is not kept: since it was queued, then.
    assert minutes(job(1, 0, 5, attempt=3)) == [(-60, 5)]
    # One that was never begun wrote nothing.
    assert minutes(evolve(job(1, 0, 5, status="canceled", attempt=0), started_at=None)) == []
