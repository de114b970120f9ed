"""Every field of every value comes back as it was put in, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
from attrs import evolve
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import insert, update

from cyborglib.errors import Invalid
from cyborglib.model import (
    Archive,
    Client,
    Job,
    JobStatus,
    Policy,
    Progress,
    Proof,
    Repository,
    Schedule,
    Settings,
    Stats,
    Vault,
)
from cyborglib.model.fields import sealed_fields
from cyborglib.planning import NewJob
from cyborglib.store import Store, schema
from cyborglib.store.mapped import ALL, JOBS, Mapped, fields_of
from tests.lab.postgresql import PostgreSQL
from tests.store import values
from tests.store.conftest import KEY, NOON
from tests.store.fleet import Fleet, free_job

SHELVES = {
    "clients": (values.clients, ()),
    "repositories": (values.repositories, ()),
    "schedules": (values.schedules, ("counted_from",)),
    "policies": (values.policies, ("counted_from", "next_run", "drills_from", "next_drill")),
    "vaults": (values.vaults, ()),
    "archives": (values.archives, ()),
}


class Undone(Exception):
    pass


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with a fleet in it, for all examples."""
    folder: Path = tmp_path_factory.mktemp("store")
    server: PostgreSQL | None = None
    url = f"sqlite:///{folder}/cyborg.db"
    if request.param == "postgresql":
        server = request.getfixturevalue("postgresql")
        url = server.database()
    store = Store(url, key=KEY, clock=lambda: NOON)
    Fleet(store)
    for vault in store.vaults:
        store.vaults.remove(vault)
    store.vaults.add(Vault(store.repositories.add(Repository("other", "/srv")), None, "/srv"))
    yield store
    store.close()


@contextmanager
def undone(store: Store) -> Iterator[None]:
    """What an example writes is gone with it, so examples do not meet."""
    try:
        with store.transaction():
            yield
            raise Undone
    except Undone:
        pass


examples = hypothesis_settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("name", SHELVES)
@examples
@given(data=st.data())
def test_what_is_added_comes_back(kept: Store, name: str, data: st.DataObject) -> None:
    strategy, ours = SHELVES[name]
    value: Any = data.draw(strategy)
    shelf: Any = getattr(kept, name)
    with undone(kept):
        added = shelf.add(value)
        given = {field: getattr(added, field) for field in ours}
        assert added == evolve(value, id=added.id, **given)
        assert type(added) is type(value)
        assert shelf.get(added.id) == added
        assert shelf.find(id=added.id) == [added]


@pytest.mark.parametrize("name", ["clients", "repositories", "schedules", "policies", "vaults"])
@examples
@given(data=st.data())
def test_what_is_replaced_comes_back(kept: Store, name: str, data: st.DataObject) -> None:
    strategy, ours = SHELVES[name]
    first: Any = data.draw(strategy)
    second: Any = data.draw(strategy)
    shelf: Any = getattr(kept, name)
    with undone(kept):
        old = shelf.add(first)
        new = shelf.replace(evolve(second, id=old.id, revision=old.revision))
        seen = [field.name for field in attrs.fields(type(first)) if field.metadata.get("observed")]
        assert new == evolve(
            second,
            **{field: getattr(old, field) for field in seen if field not in ours}
            | {field: getattr(new, field) for field in ours}
            | {"revision": 1},
        )


@examples
@given(job=values.jobs)
def test_every_field_of_a_job_comes_back(kept: Store, job: Job) -> None:
    """Written past the verbs, which set many of the fields themselves."""
    with undone(kept), kept.transaction() as connection:
        fields = fields_of(job)
        row = JOBS.row(fields) | {"fence": 0}
        del row["id"]
        number = connection.execute(insert(schema.jobs).values(row).returning(schema.jobs.c.id)).scalar_one()
        sealed = JOBS.sealed_row(fields, number, kept._database.sealer)
        connection.execute(update(schema.jobs).where(schema.jobs.c.id == number).values(sealed))
        found = kept.jobs.get(number)
        if job.status in (JobStatus.WAITING, JobStatus.PENDING):
            found = evolve(found, reason=job.reason)  # what it waits for is asked anew each time
        assert found == evolve(job, id=number)


@examples
@given(job=values.jobs, progress=values.progress, stats=values.stats, lines=st.lists(values.texts))
def test_a_job_through_its_verbs(kept: Store, job: Job, progress: Progress, stats: Stats, lines: list[str]) -> None:
    job = evolve(job, policy=None, client=None, repository=None, vault=None, not_before=None)
    with undone(kept):
        (queued,) = kept.jobs.queue([NewJob(job)])
        number = queued.id or 0
        same = ("kind", "launched_by", "due", "extra_vars", "options", "client_name", "attempts", "timeout", "archive")
        assert [getattr(queued, name) for name in same] == [getattr(job, name) for name in same]
        if queued.cancel_requested:
            return
        (claim,) = kept.jobs.claim("me", limit=1, now=NOON, lease=9)
        kept.jobs.progress(number, claim.fence, progress)
        kept.jobs.output(number, lines)
        assert kept.jobs.get(number).progress == progress
        assert kept.jobs.output_of(number) == lines
        (done,) = kept.jobs.succeed(number, claim.fence, stats=stats, warnings=job.warnings)
        assert (done.stats, done.warnings, done.extra_vars) == (stats, job.warnings, job.extra_vars)


@examples
@given(archive=values.archives, proof=values.proofs)
def test_what_was_proved_comes_back(kept: Store, archive: Archive, proof: Proof) -> None:
    with undone(kept):
        wanted = evolve(proof, archive=kept.archives.add(archive).id or 0)
        added = kept.proofs.add(wanted)
        assert added == evolve(wanted, id=added.id)
        assert kept.proofs.find(archive=wanted.archive) == [added]


@examples
@given(value=values.settings)
def test_settings_come_back(kept: Store, value: Settings) -> None:
    with undone(kept):
        kept.settings = value
        assert kept.settings == value


@pytest.mark.parametrize(
    ("strategy", "cls"),
    [
        (values.clients, Client),
        (values.repositories, Repository),
        (values.schedules, Schedule),
        (values.policies, Policy),
        (values.vaults, Vault),
        (values.archives, Archive),
        (values.proofs, Proof),
        (values.jobs, Job),
        (values.settings, Settings),
    ],
)
def test_the_strategies_leave_no_field_out(strategy: Any, cls: type[Any]) -> None:
    """Or a new field would not be tested."""
    given = set(strategy.wrapped_strategy.kwargs)
    names = [field.name for field in attrs.fields(cls)]
    positional = len(strategy.wrapped_strategy.args)
    left_out = set(names[positional:]) - given
    assert left_out <= {"id", "revision", "counted_from", "next_run", "after", "archives", "managed", "job"} | {
        "drills_from", "next_drill",
    }  # fmt: skip


@pytest.mark.parametrize("mapped", ALL, ids=lambda mapped: mapped.cls.__name__)
def test_each_field_has_a_column_and_secrets_are_sealed(mapped: Mapped[Any]) -> None:
    names = {field.name for field in attrs.fields(mapped.cls)}
    assert names - mapped.linked <= set(mapped.table.c.keys())
    assert set(sealed_fields(mapped.cls)) <= mapped.sealed
    extra = set(mapped.table.c.keys()) - names
    assert extra == ({"fence", "owner", "lease_until", "parked"} if mapped is JOBS else {"id"} - names)


def test_a_field_without_a_column_is_refused() -> None:
    @attrs.frozen
    class Wider(Schedule):
        colour: str = "red"

    with pytest.raises(TypeError, match=r"Wider\.colour has no column in cyborg_schedules"):
        Mapped(Wider, schema.schedules)


@pytest.mark.parametrize("text", ["a\x00b", "a\udc80b", "\ud83d"])
def test_texts_that_a_database_cannot_keep_are_refused(kept: Store, text: str) -> None:
    with pytest.raises(Invalid, match="NUL or half a character"):
        kept.archives.add(Archive(name=text, borg_id="x", vault=4))
    assert kept.archives.find(borg_id="x") == []


def test_numbers_that_a_database_cannot_keep_are_refused(kept: Store) -> None:
    with pytest.raises(Invalid, match="too large"):
        kept.archives.add(Archive(name="x", borg_id="x", vault=4, files=2**63))


def test_halves_that_would_become_one_character_are_refused(kept: Store) -> None:
    with pytest.raises(Invalid, match="two halves"):
        kept.jobs.queue([NewJob(evolve(free_job(), extra_vars={"a": "\ud83d\ude00"}))])
    assert len(kept.jobs) == 0
