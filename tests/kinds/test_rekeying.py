"""A vault that is to get another passphrase: who is told which one, and on whose word it has got it."""

from __future__ import annotations

import pytest
from attrs import evolve

import cyborglib as cy
from cyborglib.executor import Outcome
from cyborglib.kinds import KINDS, Assignment, Settlement
from tests.kinds.scene import ARCHIVE, CLIENT, ID, NOON, OTHER_ID, PASSPHRASE, REPOSITORY, VAULT, made, work

NEXT = cy.Secret("canary of the next one")
PENDING = evolve(VAULT, next_passphrase=NEXT)
TARGET = evolve(CLIENT, id=4, hostname="web2", access=())
NEW = {"new_key_export": cy.Secret(f"BORG_KEY {ID}\nanother one\n")}
LISTED = {"archives": [{"name": ARCHIVE.name, "id": ARCHIVE.borg_id}], "borg_id": ID}


def assign(kind: str, **changes: object) -> Assignment:
    given = work(kind, **{"vault": PENDING, **changes})
    return KINDS[given.job.kind].assign(given)


def settle(kind: str, outcome: Outcome, kept: dict[str, cy.Secret] | None = None, **changes: object) -> Settlement:
    given = work(kind, **{"vault": PENDING, **changes})
    return KINDS[given.job.kind].settle(given, outcome, kept or {})


@pytest.mark.parametrize("kind", ["backup", "catalog", "prepare_repository", "restore"])
def test_who_may_open_the_vault_is_told_both(kind: str) -> None:
    found = assign(kind).secrets
    assert (found["borg_passphrase"], found["borg_next_passphrase"]) == (cy.Secret(PASSPHRASE), NEXT)
    assert "borg_next_passphrase" not in assign(kind, vault=VAULT).secrets
    assert not assign(kind).lends


def test_whom_the_vault_is_lent_is_told_the_old_one_only() -> None:
    found = assign("restore", client=TARGET, job={"client": 4})
    assert found.lends
    assert found.playbook == "restore_elsewhere"
    # By the names that tasks on the target ask for; the others are for the controller's own task.
    theirs = {name for name in found.secrets if name.startswith("borg_") or name == "ssh_key"}
    assert theirs == {"borg_passphrase"}
    assert found.secrets["borg_passphrase"] == cy.Secret(PASSPHRASE)
    assert found.secrets["rekey_next_passphrase"] == NEXT
    assert found.secrets["rekey_ssh_key"] == VAULT.controller_key
    names = [host.name for host in found.host_run.others]
    assert names == ["repository-1", "controller"]
    assert found.host_run.variables["cyborg_controller"] == "controller"
    assert found.host_run.variables["restore_base_dir"] == "/var/lib/cyborg/borg/vault-5"


@pytest.mark.parametrize(
    ("kind", "changes", "outcome"),
    [
        ("catalog", {"recorded": (ARCHIVE,)}, Outcome(facts=LISTED)),
        ("restore", {"client": TARGET, "job": {"client": 4}}, Outcome()),
        ("restore", {"client": TARGET, "job": {"client": 4}}, Outcome(error=cy.JobError("path_not_found", "no"))),
        ("catalog", {}, Outcome(error=cy.JobError("unreachable", "no"))),
    ],
)
def test_the_controllers_own_word_settles_it(kind: str, changes: dict, outcome: Outcome) -> None:
    settlement = settle(kind, outcome, NEW, **changes)
    assert settlement.error == outcome.error
    assert settlement.vault == {
        "passphrase": NEXT,
        "next_passphrase": None,
        "key_export": NEW["new_key_export"],
        "rekeyed_at": NOON,
    }
    assert settlement.events[0] == cy.VaultRekeyed(vault=5, at=settlement.events[0].at)
    assert settlement.warnings == ()


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("backup", Outcome(archives=(made("etc+web1.example.org+20260301T123000Z+42.2"),))),
        ("prepare_repository", Outcome(facts={"public_key": "", "borg_id": ID})),
        ("restore", Outcome()),
    ],
)
def test_a_clients_word_does_not(kind: str, outcome: Outcome) -> None:
    local = {"location": "/srv/x"} if kind == "prepare_repository" else {}
    kept = {**NEW, "key_export": NEW["new_key_export"]}
    settlement = settle(kind, outcome, kept, vault=evolve(PENDING, **local))
    assert settlement.error is None
    assert not {"passphrase", "next_passphrase", "key_export"} & settlement.vault.keys()


@pytest.mark.parametrize(
    ("vault", "kept"),
    [
        (PENDING, {}),
        (PENDING, {"new_key_export": cy.Secret(f"BORG_KEY {OTHER_ID}\nx")}),
        (VAULT, NEW),
        (evolve(PENDING, location="/srv/borg"), NEW),
    ],
    ids=["nothing", "another vault's", "nobody asked", "in a client's folder"],
)
def test_what_proves_nothing_changes_nothing(vault: cy.Vault, kept: dict[str, cy.Secret]) -> None:
    assert settle("catalog", Outcome(facts=LISTED), kept, vault=vault).vault == {}


def test_what_was_not_changed_is_a_warning_and_no_failure() -> None:
    changes = {"client": TARGET, "job": {"client": 4}}
    settlement = settle("restore", Outcome(warnings=("a",)), **changes)
    assert settlement.error is None
    assert settlement.vault == {}
    assert settlement.warnings[0] == "a"
    assert "web2 may know the passphrase" in settlement.warnings[1]
    assert "catalog(repository)" in settlement.warnings[1]


def test_a_passphrase_that_serves_several_vaults_is_said_to_be_known() -> None:
    repository = evolve(REPOSITORY, passphrase="one for all")
    settlement = settle("restore", Outcome(), NEW, client=TARGET, job={"client": 4}, repository=repository)
    [warning] = settlement.warnings
    assert "has one of its own now" in warning
    assert "knows it still" in warning


def test_a_changed_key_is_suspect_also_while_a_change_is_open() -> None:
    error = cy.JobError("vault_key_changed", "somebody changed it")
    settlement = settle("catalog", Outcome(error=error))
    assert (settlement.error, settlement.vault) == (error, {"suspect": "somebody changed it"})
