"""The catalogue by the verbs of the facade, with an executor that makes listings up."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from attrs import evolve

import cyborglib as cy
from cyborglib.errors import Invalid, NotFound
from cyborglib.model import Item
from cyborglib.testing import FakeExecutor, FixedClock
from tests.engine.fleet import Fleet, sql


@pytest.fixture
def executor() -> FakeExecutor:
    return FakeExecutor()


@pytest.fixture
def fleet(executor: FakeExecutor) -> Iterator[Fleet]:
    with cy.Cyborg("sqlite://", executor=executor, clock=FixedClock()) as cyborg:
        yield Fleet(cyborg, clients=2).ready()


def backed_up(fleet: Fleet, executor: FakeExecutor, *items: Item) -> cy.Archive:
    """The newest archive of the first client, which holds this."""
    [job] = fleet.cyborg.launch(fleet.policy, [fleet.clients[0]])
    executor.contents = Holding(items)  # type: ignore[assignment]
    fleet.cyborg.finish([job])
    return fleet.cyborg.archives.get(fleet.cyborg.jobs.get(job.id or 0).archives[0])


class Holding(dict[str, object]):
    """Says of every archive that it holds the same."""

    def __init__(self, items: tuple[Item, ...]) -> None:
        super().__init__()
        self.items_ = items

    def __contains__(self, name: object) -> bool:
        return True

    def __getitem__(self, name: str) -> tuple[Item, ...]:
        return self.items_


HOSTS, ODD = Item("etc/hosts", size=1), Item("etc/caf\udce9")


def test_what_was_backed_up_can_be_browsed_found_compared_and_restored(fleet: Fleet, executor: FakeExecutor) -> None:
    cyborg = fleet.cyborg
    first = backed_up(fleet, executor, HOSTS, ODD)
    second = backed_up(fleet, executor, HOSTS._replace(size=2), Item("etc/new"))
    assert first.cataloged_at is not None
    assert [entry.path for entry in cyborg.browse(first)] == ["/etc"]
    assert [entry.path for entry in cyborg.browse(second.name, "etc")] == ["/etc/hosts", "/etc/new"]
    [odd] = cyborg.search("CAF")
    assert (odd.path, odd.archive, odd.client) == ("/etc/caf\udce9", first.id, fleet.clients[0].id)
    job = cyborg.restore(odd.archive, [odd.path])
    assert job.options["paths"] == ("etc/caf\udce9",)
    versions = cyborg.versions("web1", "/etc/hosts")
    assert [(version.entry.size, version.archives) for version in versions] == [(2, (second.id,)), (1, (first.id,))]
    assert sorted((change.kind, change.path) for change in cyborg.diff(first, second)) == [
        ("added", "/etc/new"),
        ("changed", "/etc/hosts"),
        ("removed", "/etc/caf\udce9"),
    ]
    assert cyborg.search("hosts", client="web2") == []
    assert cyborg.search("hosts", since=datetime(2030, 1, 1, tzinfo=UTC)) == []


def test_what_cannot_be_asked_says_why(fleet: Fleet, executor: FakeExecutor) -> None:
    cyborg = fleet.cyborg
    archive = backed_up(fleet, executor, HOSTS)
    with pytest.raises(NotFound, match="has nothing at"):
        cyborg.browse(archive, "/etc/nothing")
    for text in ("", "//"):
        with pytest.raises(Invalid, match="part of a name"):
            cyborg.search(text)
    with pytest.raises(Invalid, match="above 0"):
        cyborg.search("x", limit=0)
    with pytest.raises(Invalid, match="fsdecode"):
        cyborg.versions("web1", b"etc")  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="the object itself"):
        cyborg.rebuild(archive.id)  # type: ignore[arg-type]
    executor.contents = {}
    [job] = cyborg.run(fleet.policy, [fleet.clients[1]])
    with pytest.raises(NotFound, match="not in the catalogue: catalog"):
        cyborg.browse(job.archives[0])


def test_what_was_in_a_pruned_archive_is_not_found_any_more(fleet: Fleet, executor: FakeExecutor) -> None:
    cyborg = fleet.cyborg
    fleet.policy = cyborg.policies.replace(evolve(fleet.policy, retention=cy.Retention(daily=1)))
    first = backed_up(fleet, executor, Item("etc/old", size=1), HOSTS)
    clock = cyborg._clock
    assert isinstance(clock, FixedClock)
    clock.forward(days=1)
    second = backed_up(fleet, executor, HOSTS)
    assert len(cyborg.search("old")) == 1
    [job] = cyborg.finish(cyborg.prune(fleet.policy, [fleet.clients[0]]))
    assert job.status == "successful", job.error
    assert cyborg.archives.get(first.id or 0).missing_at is not None
    assert cyborg.search("old") == []
    assert [entry.path for entry in cyborg.browse(second, "etc")] == ["/etc/hosts"]


def test_contents_can_be_read_anew(fleet: Fleet, executor: FakeExecutor) -> None:
    cyborg = fleet.cyborg
    archive = backed_up(fleet, executor, Item("wrong"))
    executor.contents = Holding((Item("right"),))  # type: ignore[assignment]
    jobs = cyborg.rebuild(archive)
    assert [job.kind for job in jobs] == ["catalog"]
    assert [entry.path for entry in cyborg.browse(archive)] == ["/wrong"]
    cyborg.finish(jobs)
    assert [entry.path for entry in cyborg.browse(archive)] == ["/right"]
    assert len(cyborg.rebuild(fleet.repository)) == 2


def test_contents_that_cannot_be_read_fail_the_listing_alone(fleet: Fleet, executor: FakeExecutor) -> None:
    """It is tried again; the backup stays good, and what the listing found stays confirmed."""
    cyborg = fleet.cyborg
    unread = {"code": "unparsable", "message": "What is in the archive x could not be read: it was cut."}

    def answer(job: cy.Job) -> cy.Outcome:
        return cy.Outcome(facts={"contents_error": unread} if job.kind == "catalog" and job.attempt == 1 else {})

    executor._answer = answer
    [job] = cyborg.run(fleet.policy, [fleet.clients[0]])
    cyborg.work()
    [listing] = fleet.kind("catalog")
    assert (job.status, listing.status, listing.attempt) == ("successful", "successful", 2)
    retried = [event for event in fleet.told if isinstance(event, cy.JobRetried)]
    assert [(event.job.id, event.error.code) for event in retried] == [(listing.id, "unparsable")]
    told = [type(event).__name__ for event in fleet.told]
    assert told.index("ArchiveConfirmed") < told.index("JobRetried")
    assert cyborg.archives.get(job.archives[0]).confirmed_at is not None


def test_what_was_pruned_leaves_the_catalogue(executor: FakeExecutor) -> None:
    clock = FixedClock()
    with cy.Cyborg("sqlite://", executor=executor, clock=clock) as cyborg:
        fleet = Fleet(cyborg, retention=cy.Retention(daily=2)).ready()
        fleet.set(prune_every=366, max_prune_share=1.0)
        made = []
        for day in range(4):
            clock.forward(days=1)
            made.append(backed_up(fleet, executor, HOSTS, Item(f"only/{day}")))
        assert len(cyborg.versions("web1", "/etc/hosts")[0].archives) == 4
        [job] = cyborg.finish(cyborg.prune(fleet.policy))
        assert job.status == "successful", job.error
        [version] = cyborg.versions("web1", "/etc/hosts")
        assert version.archives == (made[2].id, made[3].id)
        assert cyborg.search("0") == []
        with pytest.raises(NotFound, match="it was pruned"):
            cyborg.browse(made[0])
        assert cyborg.archives.get(made[0].id or 0).cataloged_at is None
        # What they alone held is removed with the next listing.
        clock.forward(days=1)
        backed_up(fleet, executor, HOSTS)
        names = {name for (name,) in sql(cyborg, "SELECT name FROM cyborg_paths")}
        assert names == {"etc", "hosts", "only", "2", "3"}
