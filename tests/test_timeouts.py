"""How long a job of each kind may take, and what is said of one whose time is over."""

from __future__ import annotations

import re

import attrs
import pytest

import cyborglib as cy
from cyborglib import planning
from cyborglib.sealing import Sealer
from cyborglib.testing import FakeExecutor
from tests.engine.fleet import Fleet

KEY = Sealer.generate_key()
OVER = "Borg was not done within the time that the job has; it was ended."


def test_every_kind_but_the_backup_has_a_setting_of_its_own() -> None:
    assert planning.TIMEOUTS.keys() == set(cy.JobKind) - {cy.JobKind.BACKUP}
    for number, name in enumerate(sorted(set(planning.TIMEOUTS.values())), 1000):
        settings = cy.Settings(**{name: number})
        kinds = [kind for kind, setting in planning.TIMEOUTS.items() if setting == name]
        assert [planning.timeout(kind, settings) for kind in kinds] == [number] * len(kinds)


def test_jobs_get_the_limits_that_hold_when_they_are_queued() -> None:
    with cy.Cyborg("sqlite://", key=KEY, executor=FakeExecutor()) as cyborg:
        fleet = Fleet(cyborg, timeout=77)
        fleet.set(prepare_timeout=11, catalog_timeout=22, restore_timeout=33)
        [backup] = cyborg.run(fleet.policy)
        job = cyborg.restore(backup.archives[0])
        found = {job.kind: job.timeout for job in cyborg.jobs}
    assert job.timeout == 33
    assert found == {"prepare_client": 11, "prepare_repository": 11, "backup": 77, "catalog": 22, "restore": 33}


@pytest.mark.parametrize("kind", ["backup", "catalog", "prepare_client", "restore"])
def test_the_sentence_says_which_limit_it_was_and_how_it_is_changed(kind: str) -> None:
    late = FakeExecutor(lambda job: cy.Outcome(error=cy.JobError("timeout", OVER) if job.kind == kind else None))
    with cy.Cyborg("sqlite://", key=KEY, executor=late) as cyborg:
        fleet = Fleet(cyborg, timeout=77)
        [backup] = cyborg.run(fleet.policy)
        if kind == "restore":
            cyborg.finish([cyborg.restore(backup.archives[0])])
        [job] = fleet.kind(kind)
    said = str(job.error)
    assert said.startswith(OVER)
    assert f"{job.timeout} seconds" in said
    if kind == "backup":
        assert "give etc a longer `timeout`" in said
    else:
        [name] = re.findall(r"the setting `(\w+)`", said)
        assert getattr(attrs.evolve(cy.Settings(), **{name: 5}), name) == 5


def test_a_step_that_took_too_long_is_not_taken_for_the_job() -> None:
    said = "virsh list gave no answer in 60 seconds. Is libvirt well on this host?"
    late = FakeExecutor(lambda job: cy.Outcome(error=cy.JobError("timeout", said)))
    with cy.Cyborg("sqlite://", key=KEY, executor=late) as cyborg:
        fleet = Fleet(cyborg)
        fleet.ready()
        [job] = cyborg.run(fleet.policy)
    assert str(job.error) == said
