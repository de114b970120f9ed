"""What a launch becomes: which jobs, in which order, and what each holds."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import cyborglib as cy
from cyborglib import planning
from cyborglib.model import Variables
from cyborglib.planning import Key, Target

NAS = cy.Repository("nas", "borg@nas:/srv/{client}", id=1)
DISK = cy.Repository("disk", "/srv/borg", id=2)
ONE_FOR_ALL = cy.Repository("all", "borg@nas:/srv/all", shared=True, id=3)
DEFAULT = cy.Settings()
#: Kinds in the order in which they are planned, short.
SHORT = {"prepare_client": "C", "prepare_repository": "R", "backup": "b", "catalog": "l"}


def client(number: int, *, ready: bool = True, access: tuple[int, ...] = ()) -> cy.Client:
    return cy.Client(f"web{number}", id=number, ready=ready, access=access)


def vault(number: int, repository: cy.Repository = NAS, *, ready: bool = True, owner: int | None = 1) -> cy.Vault:
    return cy.Vault(
        repository.id, owner, str(repository.location.expand(f"web{number}-{number}")), id=number, ready=ready
    )


def plan(*targets: Target, repository: cy.Repository = NAS, settings: cy.Settings = DEFAULT, **fields: object):
    policy = cy.Policy("etc", "config", repository=repository, id=9, retries=4, timeout=77, **fields)
    wanted = [evolve(target, extra_vars=Variables({"x": 1})) for target in targets]
    return planning.backup(policy, repository, wanted, settings, launched_by="schedule", due=NOON)


NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("client_ready", "vault_ready", "access", "options", "kinds", "after"),
    [
        (True, True, True, {}, "bl", [(), (0,)]),
        (True, True, True, {"catalog": False}, "b", [()]),
        (False, False, False, {}, "CRbl", [(), (0,), (0, 1), (2,)]),
        (True, False, False, {}, "Rbl", [(), (0,), (1,)]),
        (True, True, False, {}, "Rbl", [(), (0,), (1,)]),
        (True, False, True, {}, "Rbl", [(), (0,), (1,)]),
        # It may have been installed anew, and then the vault does not know its key.
        (False, True, True, {}, "CRbl", [(), (0,), (0, 1), (2,)]),
        (False, False, False, {"prepare": False}, "bl", [(), (0,)]),
        (False, False, False, {"prepare": False, "catalog": False}, "b", [()]),
    ],
)
def test_what_one_client_needs(client_ready, vault_ready, access, options, kinds, after):
    target = Target(client(1, ready=client_ready, access=(5,) if access else ()), vault(5, ready=vault_ready))
    planned = plan(target, settings=cy.Settings(**options))
    assert "".join(SHORT[new.job.kind] for new in planned) == kinds
    assert [new.after for new in planned] == after


def test_what_a_backup_carries():
    job = plan(Target(client(1, access=(5,)), vault(5)))[0].job
    assert (job.policy, job.client, job.repository, job.vault) == (9, 1, 1, 5)
    assert (job.policy_name, job.client_name, job.repository_name) == ("etc", "web1", "nas")
    assert (job.attempts, job.timeout, job.due, job.launched_by) == (5, 77, NOON, "schedule")
    assert job.extra_vars == {"x": 1}
    assert job.status == "pending"


def test_what_goes_before_and_after_is_not_the_schedules():
    planned = plan(Target(client(1, ready=False), vault(5, ready=False)))
    assert [new.job.launched_by for new in planned] == ["dependency", "dependency", "schedule", "dependency"]
    assert [new.job.due for new in planned] == [None, None, NOON, None]


def test_several_clients_wait_only_for_their_own():
    planned = plan(
        Target(client(1, ready=False), vault(5, ready=False)),
        Target(client(2, access=(6,)), vault(6, owner=2)),
        Target(client(3), vault(7, owner=3, ready=False)),
    )
    assert "".join(SHORT[new.job.kind] for new in planned) == "CRblblRbl"
    for new in planned:
        assert {planned[place].job.client for place in new.after} <= {new.job.client}


def test_a_shared_vault_is_prepared_for_each_of_its_clients():
    shared = vault(5, ONE_FOR_ALL, ready=False, owner=None)
    planned = plan(*(Target(client(number), shared) for number in (1, 2)), repository=ONE_FOR_ALL)
    assert [(SHORT[new.job.kind], new.job.client, new.job.vault) for new in planned] == [
        ("R", 1, 5),
        ("b", 1, 5),
        ("l", 1, 5),
        ("R", 2, 5),
        ("b", 2, 5),
        ("l", 2, 5),
    ]
    assert {key for new in planned for key in new.keys if key.name == "vault:5"} == {
        Key("vault:5", True),
        Key("vault:5", False),
    }


WRITES = {"prepare_repository": True, "backup": True, "catalog": False, "restore": False}


@pytest.mark.parametrize("hold", [True, False])
def test_keys_of_each_kind(hold):
    options = cy.Settings(hold_client=hold)
    planned = plan(Target(client(1, ready=False), vault(5, ready=False)), settings=options)
    held = Key("client:1", hold)
    assert {new.job.kind: new.keys for new in planned} == {
        "prepare_client": (Key("client:1", True),),
        # Alone whatever the setting says: it changes what the client may open.
        "prepare_repository": (Key("vault:5", True), Key("client:1", True)),
        "backup": (Key("vault:5", True), held),
        "catalog": (Key("vault:5", False),),
    }
    archive = cy.Archive(name="a", borg_id="b" * 64, vault=5, id=8, policy=9, client=1)
    new = planning.restore(archive, NAS, vault(5), client(1), options, options=Variables())
    assert new.keys == (Key("vault:5", False), held)
    assert (new.job.archive, new.job.client, new.job.policy, new.job.attempts) == (8, 1, 9, 1)
    assert planning.restore(archive, NAS, vault(5), None, options, options=Variables()).keys == (Key("vault:5", False),)
    # One that the archive is not of learns the passphrase, which is changed then.
    lent = planning.restore(archive, NAS, vault(5), client(2), options, options=Variables())
    assert lent.keys == (Key("vault:5", True), Key("client:2", hold))


def test_a_listing_in_a_folder_of_a_client_holds_that_client():
    new = planning.catalog(DISK, vault(5, DISK), client(1), DEFAULT, launched_by="call")
    assert new.keys == (Key("vault:5", False), Key("client:1", True))
    assert new.job.launched_by == "call"
    assert planning.catalog(ONE_FOR_ALL, vault(6, ONE_FOR_ALL, owner=None), None, DEFAULT).job.client is None


def test_accessible():
    assert planning.accessible(client(1, access=(5,)), vault(5))
    assert not planning.accessible(client(1, access=(5,)), vault(5, ready=False))
    assert not planning.accessible(client(1, access=(6,)), vault(5))


@st.composite
def targets(draw: st.DrawFn) -> list[Target]:
    shared = draw(st.booleans())
    found = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        place = 5 if shared else number
        access = (place,) if draw(st.booleans()) else ()
        box = vault(place, ONE_FOR_ALL if shared else NAS, ready=draw(st.booleans()), owner=None if shared else number)
        found.append(Target(client(number, ready=draw(st.booleans()), access=access), box))
    return found


options = st.builds(cy.Settings, prepare=st.booleans(), catalog=st.booleans(), hold_client=st.booleans())


@settings(max_examples=100, deadline=None)
@given(targets=targets(), options=options)
def test_whatever_is_launched(targets, options):
    planned = plan(*targets, settings=options)
    assert [new.job.client for new in planned if new.job.kind == "backup"] == [target.client.id for target in targets]
    for place, new in enumerate(planned):
        assert all(0 <= need < place for need in new.after), (
            "it waits only for what comes before, so there is no circle"
        )
        assert len({key.name for key in new.keys}) == len(new.keys)
        if new.job.vault is not None:
            [key] = [key for key in new.keys if key.name.startswith("vault:")]
            assert key == Key(f"vault:{new.job.vault}", WRITES[new.job.kind])
        if new.job.kind == "catalog":
            assert [planned[need].job.kind for need in new.after] == ["backup"]
    if not options.prepare:
        assert {new.job.kind.value for new in planned} <= {"backup", "catalog"}
