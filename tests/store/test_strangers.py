"""Archives that were found in vaults: recorded once, marked together."""

from __future__ import annotations

from attrs import evolve

import cyborglib as cy
from cyborglib.store import Store
from tests.store.conftest import NOON
from tests.store.fleet import Fleet


def test_a_stranger_is_recorded_once_in_each_vault(store: Store, fleet: Fleet) -> None:
    vaults = [vault.id or 0 for vault in fleet.store.vaults][:2]
    many = [
        cy.Archive(name=f"{{x}} {count}", borg_id=f"{count:064x}", vault=vaults[0], foreign=True)
        for count in range(1200)
    ]
    assert store.archives.meet([]) == []
    assert store.archives.meet(many[:700]) == many[:700]
    assert store.archives.meet(many) == many[700:]
    assert store.archives.meet(many) == []
    other = evolve(many[0], vault=vaults[1])
    assert store.archives.meet([other]) == [other]
    assert len(store.archives.find(vault=vaults[0], foreign=True)) == 1200
    ids = [archive.id or 0 for archive in store.archives]
    store.archives.note(ids[:-1], missing_at=NOON)
    assert [archive.missing_at for archive in store.archives] == [NOON] * 1200 + [None]
    store.archives.note([*ids, 10**6], missing_at=None)
    assert {archive.missing_at for archive in store.archives} == {None}
    store.archives.note([], missing_at=NOON)
