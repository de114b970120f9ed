"""The catalogue of contents: archives come and go in any order, and each is read as it was told."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from cyborglib.errors import JobError, NotFound
from cyborglib.model import Archive, Entry
from cyborglib.model.contents import Item
from cyborglib.store import Store, contents_schema, ingest, names
from cyborglib.store.ingest import Overtaken
from tests.store.fleet import Fleet

Tree = dict[str, Item]
_NUMBERS = itertools.count(1)
TABLES = (contents_schema.versions, contents_schema.contents, contents_schema.paths)
#: Names that are no UTF-8, that a database or a search could take for something else, or that look alike.
ODD = (
    "a",
    "b",
    "B",
    "ä",
    "a\u0308",
    "\udcff",
    "x\udce9y",
    "\U0010ffff",
    "%",
    "_",
    "a\nb",
    " ",
    "'",
    '"',
    "\\u0041",
    "...",
)


class Line:
    """Archives of one policy and client, and what is in them."""

    def __init__(self, fleet: Fleet, n: int = 0, part: str = "") -> None:
        self.fleet, self.n, self.part = fleet, n, part
        self.contents = fleet.store.contents

    def archive(self, part: str | None = None, **fields: object) -> int:
        number = next(_NUMBERS)
        base = self.fleet.archive(self.n, f"a{number}")
        values = {"name": base.name, "vault": base.vault, "policy": base.policy, "client": base.client}
        values |= {"borg_id": f"{number:064x}", "part": self.part if part is None else part}
        added = self.fleet.store.archives.add(Archive(**(values | fields)))  # type: ignore[arg-type]
        assert added.id is not None
        return added.id

    def take(self, archive: int, tree: Tree, *, portion: int = 4) -> None:
        taking = self.contents.begin(archive)
        assert taking is not None
        told = list(tree.values())
        for start in range(0, len(told), portion):
            taking.take(told[start : start + portion])
        taking.finish()


def tree_of(*items: Item) -> Tree:
    return {item.path: item for item in items}


def seen(store: Store, archive: int, path: str = "/") -> dict[str, tuple[str, int, str]]:
    """All that is in an archive, as browsing finds it."""
    found: dict[str, tuple[str, int, str]] = {}
    for entry in store.contents.browse(archive, path) or []:
        found[entry.path] = (entry.type, entry.size, entry.target)
        if entry.type == "d":
            found |= seen(store, archive, entry.path)
    return found


def expected(tree: Tree) -> dict[str, tuple[str, int, str]]:
    """The same by the model: with the folders that are only on the way."""
    found: dict[str, tuple[str, int, str]] = {}
    for path in tree:
        for end in (n for n, letter in enumerate(path) if letter == "/"):
            found["/" + path[:end]] = ("d", 0, "")
    return found | {"/" + path: (item.type, item.size, item.target) for path, item in tree.items()}


def rows(store: Store) -> list[int]:
    with store.transaction() as connection:
        return [connection.scalar(select(func.count()).select_from(table)) or 0 for table in TABLES]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything in small portions, so that few entries come to their ends."""
    monkeypatch.setattr(ingest, "SOME", 3)
    monkeypatch.setattr(ingest, "FOLDERS", 2)
    monkeypatch.setattr(ingest, "OWNERS", 1)


names_ = st.sampled_from(ODD)
items = st.builds(
    lambda path, size, mtime, mode, user: Item(path, "-", size, mtime, mode, user=user),
    st.lists(names_, min_size=1, max_size=3).map("/".join),
    st.integers(0, 2),
    st.sampled_from([None, 0, 1764267000123456]),
    st.sampled_from([None, 0o644]),
    st.sampled_from(["root", "x\udcff"]),
)


def _tree(told: list[Item]) -> Tree:
    """What lies below another entry makes that a folder."""
    paths = {item.path for item in told}
    above = {path[:end] for path in paths for end, letter in enumerate(path) if letter == "/"}
    return {item.path: item._replace(type="d" if item.path in above else item.type) for item in told}


trees = st.lists(items, max_size=8).map(_tree)
#: Which archive, and whether it comes, goes, is read anew, or breaks off in the middle.
steps = st.lists(
    st.tuples(st.integers(0, 4), st.sampled_from(["take", "take", "take", "forget", "renew", "break", "kill"]), trees),
    min_size=1,
    max_size=9,
)


@pytest.mark.usefixtures("small")
def test_archives_come_and_go_in_any_order(fleet: Fleet) -> None:
    store = fleet.store

    @settings(max_examples=40, deadline=None, report_multiple_bugs=False, suppress_health_check=list(HealthCheck))
    @given(steps=steps)
    def walk(steps: list[tuple[int, str, Tree]]) -> None:
        line = Line(fleet, part=f"part {next(_NUMBERS)}")
        archives = [line.archive() for _ in range(5)]
        try:
            _walk(store, archives, fleet.clients[0].id or 0, steps)
        finally:
            store.contents.forget(archives)
            if (left := store.contents.begin(archives[0])) is not None:  # what was killed is cleared away by the next
                left.abandon()

    walk()
    store.contents.sweep()
    assert rows(store) == [0, 0, 0]


def _walk(store: Store, archives: list[int], client: int, steps: list[tuple[int, str, Tree]]) -> None:
    model: dict[int, Tree] = {}
    for which, step, tree in steps:
        archive = archives[which]
        if step == "forget":
            store.contents.forget([archive])
            model.pop(archive, None)
        elif step == "renew":
            store.contents.renew([archive])
        elif (taking := store.contents.begin(archive)) is not None:
            told = list(tree.values())
            if step == "take":
                # Whatever was told twice is what it was told last.
                for start in range(0, len(told), 4):
                    taking.take([*(item._replace(size=9) for item in told[start : start + 1]), *told[start:][:4]])
                taking.finish()
                model[archive] = tree
            else:
                taking.take(told)
                if step == "break":
                    taking.abandon()
        assert {one: seen(store, one) for one in model} == {one: expected(model[one]) for one in model}
    for one in archives:
        assert (store.archives.get(one).cataloged_at is not None) == (one in model)
        if one not in model:
            with pytest.raises(NotFound):
                store.contents.browse(one, "/")
    _compare(store, model)
    for path in {path for tree in model.values() for path in expected(tree)}:
        found = store.contents.versions(client, path)
        held = [one for one, tree in model.items() if path in expected(tree)]
        assert sorted(one for version in found for one in version.archives) == sorted(held)
        for version in found:
            states = {expected(model[one])[path] for one in version.archives}
            assert states == {(version.entry.type, version.entry.size, version.entry.target)}


def _compare(store: Store, model: dict[int, Tree]) -> None:
    for one, other in itertools.permutations(model, 2):
        before, after = expected(model[one]), expected(model[other])
        changes = {change.path: change for change in store.contents.diff(one, other)}
        for path in before.keys() | after.keys():
            # States differ in more than is compared here.
            if path in before and path in after:
                assert before[path] == after[path] or changes[path].kind == "changed"
            else:
                assert changes[path].kind == ("added" if path in after else "removed")
        assert changes.keys() <= before.keys() | after.keys()


def test_what_is_not_whole_is_not_seen_and_does_not_stay(fleet: Fleet) -> None:
    line, store = Line(fleet), fleet.store
    first, second = line.archive(), line.archive()
    line.take(first, tree_of(Item("etc", "d"), Item("etc/hosts", size=1), Item("etc/gone")))
    was = rows(store)
    taking = store.contents.begin(second)
    assert taking is not None
    taking.take([Item("etc/hosts", size=2), Item("etc/new")])
    assert store.archives.get(second).cataloged_at is None
    with pytest.raises(NotFound, match="not in the catalogue"):
        store.contents.browse(second, "/")
    assert [entry.name for entry in store.contents.browse(first, "/etc") or []] == ["gone", "hosts"]
    assert store.contents.search("new", client=None, since=None, limit=10) == []
    assert [len(version.archives) for version in store.contents.versions(fleet.clients[0].id or 0, "/etc/hosts")] == [1]
    taking.abandon()
    assert rows(store) == was
    with pytest.raises(Overtaken):
        taking.take([Item("etc/late")])
    with pytest.raises(Overtaken):
        taking.finish()


def test_an_archive_is_taken_in_by_one_job_at_a_time_and_by_its_engine_only(fleet: Fleet) -> None:
    store, line = fleet.store, Line(fleet)
    store.jobs.queue([*fleet.chain()[:1]])
    mine = fleet.take()
    number, archive = mine.job.id or 0, line.archive()
    taking = store.contents.begin(archive, number, mine.fence)
    assert taking is not None
    assert store.contents.begin(line.archive(), 0, 0) is None
    taking.take([Item("a")])
    adopted = _adopted(store, number)
    with pytest.raises(Overtaken):
        taking.take([Item("b")])
    anew = store.contents.begin(archive, number, adopted)
    assert anew is not None
    anew.take([Item("c")])
    with pytest.raises(Overtaken):
        taking.finish()
    taking.abandon()  # it is not its own any more
    anew.finish()
    assert [entry.path for entry in store.contents.browse(archive, "/") or []] == ["/c"]
    assert store.contents.begin(archive, number, adopted) is None


def _adopted(store: Store, job: int) -> int:
    """Another engine takes a job over; gives its fence."""
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE cyborg_jobs SET lease_until = 1")
    claim = store.jobs.adopt(job, "another", 60)
    assert claim is not None
    return claim.fence


def test_what_borg_never_writes_is_left_out_and_the_rest_is_kept_as_data(fleet: Fleet) -> None:
    archive = Line(fleet).archive()
    taking = fleet.store.contents.begin(archive)
    assert taking is not None
    hostile = ["../up", "a/../b", "/rooted", "", "a//b", "nul\x00", "./here", "x" * 5000, "d/" * 1100 + "e", "\ud800"]
    taking.take([*(Item(path) for path in hostile), Item("type", "?"), Item("size", size=2**63), Item("fine\udcff")])
    taking.finish()
    assert (taking.left_out, taking.entries) == (len(hostile) + 2, 1)
    assert [os.fsencode(entry.path) for entry in fleet.store.contents.browse(archive, "/") or []] == [b"/fine\xff"]


def test_series_do_not_mix(fleet: Fleet) -> None:
    """A client's archives of two policies, or two databases of one backup, come in turn: a span counts its own only."""
    store = fleet.store
    one, other = Line(fleet, part="one"), Line(fleet, part="two")
    turns = [(line, line.archive()) for line in (one, other, one, other)]
    for line, archive in turns:
        line.take(archive, tree_of(Item("dump", size=1 if line is one else 2)))
    found = store.contents.versions(fleet.clients[0].id or 0, "dump")
    ids = [archive for _, archive in turns]
    assert sorted(version.archives for version in found) == [(ids[0], ids[2]), (ids[1], ids[3])]
    assert rows(store) == [2, 4, 1]


def test_an_unchanged_archive_adds_no_version_wherever_it_comes_in(fleet: Fleet) -> None:
    line = Line(fleet)
    ids = [line.archive() for _ in range(5)]
    tree = tree_of(*(Item(f"srv/{n}", size=n) for n in range(20)))
    for which in (2, 4, 0, 1, 3):
        line.take(ids[which], tree)
        assert rows(fleet.store)[0] == 21
    [version] = fleet.store.contents.versions(fleet.clients[0].id or 0, "/srv/7")
    assert version.archives == tuple(ids)


def test_contents_that_are_read_anew_stay_until_they_are_whole(fleet: Fleet) -> None:
    store, line = fleet.store, Line(fleet)
    first, second = line.archive(), line.archive()
    for archive in (first, second):
        line.take(archive, tree_of(Item("wrong")))
    vault = fleet.vaults[0].id or 0
    assert store.contents.wanted(vault) == []
    store.contents.renew([first])
    assert store.contents.wanted(vault) == [second, first]
    taking = store.contents.begin(second)
    assert taking is not None
    taking.take([Item("right")])
    assert seen(store, second).keys() == {"/wrong"}
    taking.finish()
    assert (seen(store, first).keys(), seen(store, second).keys()) == ({"/wrong"}, {"/right"})
    assert {change.path: change.kind for change in store.contents.diff(first, second)} == {
        "/wrong": "removed",
        "/right": "added",
    }
    line.take(first, tree_of(Item("right")))
    assert rows(store) == [1, 2, 1]
    assert store.contents.wanted(vault) == []


def test_what_is_wanted_is_what_can_be_read(fleet: Fleet) -> None:
    store, line = fleet.store, Line(fleet)
    now = datetime(2026, 3, 1, tzinfo=UTC)
    ids = [line.archive(), line.archive(pruned_at=now), line.archive(missing_at=now), line.archive()]
    foreign = line.archive(foreign=True, policy=None, client=None)
    assert store.contents.wanted(fleet.vaults[0].id or 0) == [ids[3], ids[0], foreign]
    assert store.contents.begin(ids[1]) is None


@pytest.fixture
def searched(fleet: Fleet) -> tuple[Fleet, list[int]]:
    began = datetime(2026, 1, 1, tzinfo=UTC)
    made = []
    for n, day in ((0, 0), (0, 1), (1, 2)):
        line = Line(fleet, n)
        archive = line.archive(created_at=began + timedelta(days=day))
        told = [Item("etc/Nginx/nginx.conf", size=day), Item("home/Äpfel 100%.txt"), Item("home/old_file")]
        line.take(archive, tree_of(*told[: 3 if day == 0 else 2], Item(f"srv/{n}/Readme\udcff.md")))
        made.append(archive)
    return fleet, made


def test_search_goes_over_the_whole_fleet(searched: tuple[Fleet, list[int]]) -> None:
    fleet, ids = searched
    first, second = (client.id for client in fleet.clients[:2])

    def found(
        text: str, client: int | None = None, since: datetime | None = None, limit: int = 50
    ) -> set[tuple[str, int]]:
        got = fleet.store.contents.search(text, client=client, since=since, limit=limit)
        return {(entry.path, entry.archive) for entry in got}

    conf = "/etc/Nginx/nginx.conf"
    assert found("NGINX.c") == {(conf, ids[1]), (conf, ids[2])}
    assert found("nginx") == {(conf, ids[1]), (conf, ids[2]), ("/etc/Nginx", ids[1]), ("/etc/Nginx", ids[2])}
    assert found("nginx.conf", client=second) == {(conf, ids[2])}
    assert found("old_file") == {("/home/old_file", ids[0])}
    assert found("old_file", since=datetime(2026, 1, 2, tzinfo=UTC)) == set()
    assert found("nginx.conf", since=datetime(2026, 1, 3, tzinfo=UTC)) == {(conf, ids[2])}
    assert found("äPFEL") == found("a\u0308pfel") == {("/home/Äpfel 100%.txt", one) for one in ids[1:]}
    assert found("0%.") == found("äpfel")
    assert found("old%file") == found("\\") == set()
    assert found("readme\udcff", client=first) == {("/srv/0/Readme\udcff.md", ids[1])}
    assert found("nginx/ngi") == found("/etc/nginx/n") == found("c/nginx/nginx.conf") == found("nginx.conf")
    assert found("/nginx/n") == found("etc/n/") == set()
    assert found("/etc/nginx/") == {("/etc/Nginx", ids[1]), ("/etc/Nginx", ids[2])}
    assert len(found("e", limit=2)) == 2


def test_entries_say_what_the_listing_said(fleet: Fleet) -> None:
    line = Line(fleet)
    archive = line.archive()
    link = Item("a/link", "l", 7, 1764267000123456, 0o777, 0, 4294967295, "root", "gr\udcffp", "tärg\udcffet")
    line.take(archive, tree_of(link))
    [entry] = fleet.store.contents.browse(archive, "a/link") or []
    assert entry == Entry(
        archive=archive,
        client=fleet.clients[0].id,
        path="/a/link",
        type="l",
        size=7,
        mtime=datetime(2025, 11, 27, 18, 10, 0, 123456, tzinfo=UTC),
        mode=0o777,
        uid=0,
        gid=4294967295,
        user="root",
        group="gr\udcffp",
        target="tärg\udcffet",
    )
    assert fleet.store.contents.browse(archive, "//a/./") == [entry]
    [folder] = fleet.store.contents.browse(archive, "/") or []
    assert (folder.path, folder.type, folder.mode, folder.mtime, folder.name) == ("/a", "d", None, None, "a")
    for nowhere in ("/b", "/a/link/x", "/a/..", "/\x00"):
        assert fleet.store.contents.browse(archive, nowhere) is None


@given(st.text(st.one_of(st.characters(), st.sampled_from("\x00\udc80\udcff\U0010ffff\x80"))))
def test_every_name_can_be_kept(name: str) -> None:
    kept = names.kept(name)
    assert b"\x00" not in kept.encode()
    assert names.given(kept) == name


def test_what_a_dead_job_left_goes_also_where_all_is_read_anew(fleet: Fleet) -> None:
    store, line = fleet.store, Line(fleet)
    first, second = line.archive(), line.archive()
    line.take(first, tree_of(Item("old")))
    store.jobs.queue([*fleet.chain()[:1]])
    job = fleet.take()
    taking = store.contents.begin(second, job.job.id or 0, job.fence)
    assert taking is not None
    taking.take([Item("half")])
    store.contents.renew([first])
    store.jobs.fail(job.job.id or 0, job.fence, JobError("lost", "its engine was killed"))
    for archive in (second, first):
        line.take(archive, tree_of(Item("new")))
    assert rows(store) == [1, 2, 1]
