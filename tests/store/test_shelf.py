"""Shelves: adding, finding, replacing, removing, observing; and what is refused."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from attrs import evolve
from sqlalchemy import create_engine

from cyborglib.errors import AlreadyExists, InUse, Invalid, NotFound, SealBroken, Stale, StoreError
from cyborglib.model import Client, Policy, Repository, Schedule, Vault
from cyborglib.planning import NewJob
from cyborglib.store import Store, unavailable
from cyborglib.testing import FixedClock
from tests.store.conftest import KEY
from tests.store.fleet import Fleet


def test_what_is_added_is_found_again(store: Store) -> None:
    client = store.clients.add(Client("web1", tags=("a", "b"), become_password="secret!"))
    assert (client.id, client.revision) == (1, 0)
    assert store.clients.get(1) == store.clients.get("web1") == store.clients.get("WEB1") == client
    assert client in store.clients
    assert 1 in store.clients
    assert "web1" in store.clients
    assert "web2" not in store.clients
    assert object() not in store.clients
    assert len(store.clients) == 1


def test_a_secret_too_short_to_be_taken_out_of_texts_is_told(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    client = store.clients.add(Client("web1", become_password="eightlet"))
    store.repositories.add(Repository("vault", "borg@nas:/srv/{client}"))
    assert not caplog.records
    store.clients.replace(evolve(client, become_password="seven 7"))
    [record] = caplog.records
    assert "become password of the client web1 has fewer than 8 characters" in record.message
    assert "seven 7" not in caplog.text


def test_find_compares_fields(store: Store) -> None:
    one = store.clients.add(Client("web1", port=22, tags=("a",)))
    two = store.clients.add(Client("web2", tags=("b", "a"), enabled=False))
    assert store.clients.find() == list(store.clients) == [one, two]
    assert store.clients.find(port=None) == [two]
    assert store.clients.find(port=22, enabled=True) == [one]
    assert store.clients.find(tags=["b", "a"]) == [two]
    assert store.clients.find(hostname="web3") == []
    assert store.clients.many([2, 9, 1]) == [one, two]


def test_find_takes_objects_and_texts(fleet: Fleet, store: Store) -> None:
    assert store.policies.find(repository=fleet.repository) == [fleet.policy]
    assert store.vaults.find(client=fleet.clients[1]) == [fleet.vaults[1]]
    store.jobs.queue(fleet.chain())
    assert [job.id for job in store.jobs.find(kind="backup", status="waiting")] == [3]


@pytest.mark.parametrize(
    ("criterion", "sentence"),
    [
        ({"hostnam": "x"}, "did you mean hostname"),
        ({"xyz": "x"}, "known are"),
        ({"become_password": "x"}, "cannot be found by become_password"),
    ],
)
def test_find_refuses_what_it_cannot_compare(store: Store, criterion: dict[str, str], sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence):
        store.clients.find(**criterion)


def test_find_refuses_what_no_field_can_be(store: Store) -> None:
    with pytest.raises(Invalid, match="kind='backups' cannot be searched for"):
        store.jobs.find(kind="backups")
    with pytest.raises(Invalid, match="cannot be found by clients"):
        store.policies.find(clients=1)


@pytest.mark.parametrize(("key", "sentence"), [(7, "the id 7"), ("wbe1", "did you mean 'web1'"), ("x", "1 clients")])
def test_what_is_not_there_is_said(store: Store, key: int | str, sentence: str) -> None:
    store.clients.add(Client("web1"))
    with pytest.raises(NotFound, match=sentence):
        store.clients.get(key)
    with pytest.raises(NotFound, match=sentence):
        store.clients.remove(key)


@pytest.mark.parametrize("key", [True, 1.5, None, b"web1"])
def test_what_is_no_key_is_refused(store: Store, key: object) -> None:
    with pytest.raises(Invalid, match="is not the id or name of a client"):
        store.clients.get(key)  # type: ignore[arg-type]


def test_a_key_out_of_every_range_is_not_there(store: Store) -> None:
    for key in (2**63, 2**100, -(2**70), "\x00", "web1\x00"):
        with pytest.raises(NotFound):
            store.clients.get(key)


def test_names_differ_in_more_than_case(store: Store) -> None:
    store.clients.add(Client("web1"))
    other = store.clients.add(Client("web2"))
    with pytest.raises(AlreadyExists, match="a client called 'WEB1' already"):
        store.clients.add(Client("WEB1"))
    with pytest.raises(AlreadyExists):
        store.clients.replace(evolve(other, hostname="Web1"))
    assert store.clients.replace(evolve(other, hostname="WEB2")).hostname == "WEB2"
    assert [client.hostname for client in store.clients] == ["web1", "WEB2"]


def test_ids_are_never_given_twice(store: Store) -> None:
    for n in (1, 2):
        store.clients.add(Client(f"web{n}"))
    store.clients.remove(2)
    assert store.clients.add(Client("web3")).id == 3
    store.clients.remove("web1")
    store.clients.remove(store.clients.get(3))
    assert store.clients.add(Client("web1")).id == 4


def test_what_was_added_is_not_added_again(store: Store) -> None:
    client = store.clients.add(Client("web1"))
    with pytest.raises(Invalid, match="has the id 1 already"):
        store.clients.add(evolve(client, hostname="web2"))
    with pytest.raises(Invalid, match="keeps clients"):
        store.clients.add(Schedule("nightly", "@daily"))  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="has no id"):
        store.clients.replace(Client("web1"))


def test_replace_writes_what_the_user_says_and_nothing_else(store: Store) -> None:
    old = store.clients.add(Client("web1"))
    store.clients.observe(1, ready=True, host_key="ssh-ed25519 AAAA", facts={"os": "debian"})
    new = store.clients.replace(evolve(old, port=2222, become_password="pw"))
    assert (new.ready, new.host_key, new.facts, new.port) == (True, "ssh-ed25519 AAAA", {"os": "debian"}, 2222)
    assert (new.revision, new.become_password) == (1, evolve(old, become_password="pw").become_password)
    assert store.clients.replace(evolve(new, become_password=None)).become_password is None


def test_a_stale_value_is_refused(store: Store) -> None:
    old = store.clients.add(Client("web1"))
    store.clients.replace(evolve(old, port=1))
    with pytest.raises(Stale, match=r"web1 was changed since it was read \(revision 0, now 1\)"):
        store.clients.replace(evolve(old, port=2))
    assert store.clients.get(1).port == 1
    store.clients.remove(1)
    with pytest.raises(NotFound):
        store.clients.replace(evolve(old, port=3))


def test_observing_makes_nothing_stale(store: Store) -> None:
    old = store.clients.add(Client("web1"))
    assert store.clients.observe(1, ip="10.0.0.1", access=(3,)).revision == 0
    assert store.clients.replace(evolve(old, port=1)).ip == "10.0.0.1"


@pytest.mark.parametrize("field", ["hostname", "id", "revision", "nonsense", "become_password"])
def test_only_what_jobs_fill_is_observed(store: Store, field: str) -> None:
    store.clients.add(Client("web1"))
    with pytest.raises(Invalid, match="is not one of the fields that jobs fill"):
        store.clients.observe(1, **{field: "x"})
    with pytest.raises(NotFound):
        store.clients.observe(9, ready=True)


def test_what_is_used_is_not_removed(fleet: Fleet, store: Store) -> None:
    store.jobs.queue(fleet.chain())
    for shelf, sentence in (
        (store.clients, "client web1.example.org is used by the policy etc, 4 unfinished jobs .*, the vault ssh://"),
        (store.repositories, "repository nas is used by the policy etc, 3 unfinished jobs .*, 3 vaults"),
        (store.schedules, "schedule nightly is used by the policy etc; disable it instead, or remove"),
        (store.policies, r"policy etc is used by 2 unfinished jobs \(3, 4\)"),
        (store.vaults, r"vault 1 is used by 3 unfinished jobs \(2, 3, 4\); remove those first"),
    ):
        with pytest.raises(InUse, match=sentence):
            shelf.remove(1)  # type: ignore[attr-defined]


def test_an_archive_keeps_what_it_came_from(fleet: Fleet, store: Store) -> None:
    store.jobs.queue([NewJob(fleet.job("backup"))])
    store.jobs.succeed(1, fleet.take().fence, archives=[fleet.archive()])
    with pytest.raises(InUse, match="the archive first"):
        store.policies.remove(fleet.policy)
    with pytest.raises(InUse, match="the archive first"):
        store.vaults.remove(fleet.vaults[0])


def test_what_was_used_can_be_removed_later(fleet: Fleet, store: Store) -> None:
    store.jobs.queue([NewJob(fleet.job("backup"))])
    store.jobs.cancel(1)
    for vault in fleet.vaults:
        store.vaults.remove(vault)
    store.policies.remove("etc")
    store.schedules.remove("nightly")
    store.repositories.remove("nas")
    store.clients.remove(1)
    job = store.jobs.get(1)
    assert (job.client, job.client_name, job.policy_name) == (1, "web1.example.org", "etc")


def test_a_policy_keeps_the_order_of_its_clients(fleet: Fleet, store: Store) -> None:
    policy = store.policies.replace(evolve(fleet.policy, clients=(3, 1)))
    assert policy.clients == (3, 1)
    assert store.policies.find() == [policy]
    assert store.policies.replace(evolve(policy, clients=())).clients == ()


def test_references_must_be_there(fleet: Fleet, store: Store) -> None:
    with pytest.raises(Invalid, match="the repository 9 of this policy does not exist"):
        store.policies.add(Policy("x", "config", repository=9))
    with pytest.raises(Invalid, match="the schedule 9 of this policy does not exist"):
        store.policies.replace(evolve(fleet.policy, schedule=9))
    with pytest.raises(Invalid, match="no client with the id 9"):
        store.policies.replace(evolve(fleet.policy, clients=(1, 9)))
    assert list(store.policies) == [fleet.policy]


def test_a_path_stays_while_vaults_lie_there(fleet: Fleet, store: Store) -> None:
    with pytest.raises(Invalid, match="path of the repository nas cannot change, as 3 vaults"):
        store.repositories.replace(evolve(fleet.repository, path="borg@other:/srv/{client}"))
    assert store.repositories.replace(evolve(fleet.repository, enabled=False)).revision == 1
    assert store.clients.replace(evolve(fleet.clients[0], hostname="renamed")).hostname == "renamed"
    free = store.repositories.add(Repository("free", "/srv/a"))
    assert store.repositories.replace(evolve(free, path="/srv/b")).path == "/srv/b"


def test_a_client_has_one_vault_in_a_repository(fleet: Fleet, store: Store) -> None:
    with pytest.raises(AlreadyExists):
        store.vaults.add(Vault(fleet.repository, fleet.clients[0], "/other"))
    store.vaults.add(Vault(fleet.repository, None, "/shared"))
    with pytest.raises(AlreadyExists):
        store.vaults.add(Vault(fleet.repository, None, "/shared"))
    assert len(store.vaults) == 4


def test_moments_count_from_when_something_about_them_changed(fleet: Fleet, store: Store, clock: FixedClock) -> None:
    noon = clock()
    assert fleet.schedule.counted_from == fleet.policy.counted_from == noon
    store.policies.observe(1, next_run=noon)
    clock.forward(hours=1)
    policy = store.policies.replace(evolve(store.policies.get(1), timeout=60))
    assert (policy.counted_from, policy.next_run) == (noon, noon)
    schedule = store.schedules.replace(evolve(fleet.schedule, name="dark"))
    assert (schedule.counted_from, store.policies.get(1).next_run) == (noon, noon)
    schedule = store.schedules.replace(evolve(schedule, timezone="Europe/Paris"))
    assert (schedule.counted_from, store.policies.get(1).next_run) == (clock(), None)
    policy = store.policies.replace(evolve(store.policies.get(1), enabled=False))
    assert (policy.counted_from, policy.next_run) == (clock(), None)


def test_policies_that_are_due(fleet: Fleet, store: Store, clock: FixedClock) -> None:
    def due() -> list[str]:
        return [policy.name for policy in store.policies.due(clock())]

    store.policies.add(Policy("never", "config", repository=1))
    assert due() == ["etc"]
    clock.forward(seconds=1)
    later = clock.forward(hours=1)
    store.policies.observe(1, next_run=later)
    clock.forward(seconds=-1)
    assert due() == []
    clock.forward(seconds=1)
    assert due() == ["etc"]
    schedule = store.schedules.replace(evolve(fleet.schedule, enabled=False))
    assert due() == []
    store.schedules.replace(evolve(schedule, enabled=True))
    assert due() == ["etc"]
    store.policies.replace(evolve(store.policies.get(1), enabled=False))
    assert due() == []


def test_a_policy_is_checked_before_it_is_kept(open_store: Callable[..., Store], clock: FixedClock) -> None:
    seen = []

    def check(policy: Policy) -> Policy:
        seen.append((policy.name, policy.counted_from, len(store.repositories)))
        if policy.name == "bad":
            raise Invalid("not this one")
        return evolve(policy, extra_vars={"checked": True}, next_run=clock())

    store = open_store(check_policy=check)
    store.repositories.add(Repository("nas", "/srv"))
    kept = store.policies.add(Policy("good", "config", repository=1))
    assert (kept.extra_vars, kept.next_run) == ({"checked": True}, clock())
    with pytest.raises(Invalid, match="not this one"):
        store.policies.add(Policy("bad", "config", repository=1))
    with pytest.raises(Invalid, match="not this one"):
        store.policies.replace(evolve(kept, name="bad"))
    assert seen == [("good", clock(), 1), ("bad", clock(), 1), ("bad", clock(), 1)]
    assert list(store.policies) == [kept]


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("hostname", "not a host!", "hostname 'not a host!' cannot be used"),
        ("tags", "not json", "tags: Expecting value"),
        ("host_vars", "[1]", "host_vars"),
        ("host_vars", '{"ansible_connection": "local"}', "host_vars"),
        ("facts", "7", "facts"),
        ("port", "99999", "port 99999 must be"),
    ],
)
def test_a_row_that_cannot_be_used_stops_nobody_else(
    fleet: Fleet, store: Store, caplog: pytest.LogCaptureFixture, column: str, value: str, sentence: str
) -> None:
    with store.transaction() as connection:
        connection.exec_driver_sql(f"UPDATE cyborg_clients SET {column} = '{value}' WHERE id = 2")
    with caplog.at_level(logging.ERROR, "cyborglib"):
        assert [client.id for client in store.clients] == [1, 3]
        assert [client.id for client in store.clients.find()] == [1, 3]
    assert "the client 2 in the table cyborg_clients cannot be used as it is" in caplog.text
    with pytest.raises(StoreError, match=sentence):
        store.clients.get(2)


def test_a_job_of_a_kind_that_only_a_later_release_knows_stops_nobody_else(fleet: Fleet, store: Store) -> None:
    store.jobs.queue(fleet.chain())
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE cyborg_jobs SET kind = 'polish' WHERE id = 2")
        connection.exec_driver_sql("UPDATE cyborg_jobs SET error = '{\"colour\": 1}' WHERE id = 3")
    assert [job.id for job in store.jobs] == [1, 4]
    assert [claim.job.id for claim in fleet.claim()] == [1]
    with pytest.raises(StoreError, match=r"job 2 .*'polish' is not a valid JobKind"):
        store.jobs.get(2)
    with pytest.raises(StoreError, match=r"job 3 .*colour"):
        store.jobs.get(3)


def test_a_seal_moved_to_another_row_does_not_open(store: Store) -> None:
    for n in (1, 2):
        store.clients.add(Client(f"web{n}", become_password=f"password {n}"))
    with store.transaction() as connection:
        connection.exec_driver_sql(
            "UPDATE cyborg_clients SET become_password = "
            "(SELECT become_password FROM cyborg_clients WHERE id = 1) WHERE id = 2"
        )
    assert store.clients.get(1).become_password is not None
    with pytest.raises(SealBroken, match=r"clients/become_password/2 was moved there from clients/become_password/1"):
        store.clients.get(2)


def test_a_seal_moved_to_another_field_does_not_open(store: Store) -> None:
    store.repositories.add(Repository("nas", "borg@nas:/srv", passphrase="a passphrase", admin_become_password="pw"))
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE cyborg_repositories SET admin_become_password = passphrase")
    with pytest.raises(SealBroken, match="was moved there from repositories/passphrase/1"):
        store.repositories.get(1)


def test_a_transaction_is_undone_as_a_whole(store: Store) -> None:
    told: list[object] = []

    def fail() -> None:
        with store.transaction():
            store.clients.add(Client("web1"))
            store.after_commit(lambda: told.append("rolled back"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (len(store.clients), told) == (0, [])
    with store.transaction():
        store.clients.add(Client("web1"))
        with pytest.raises(AlreadyExists):
            store.clients.add(Client("web1"))
        store.clients.add(Client("web2"))
        store.after_commit(lambda: told.append(len(store.clients)))
        assert told == []
    assert told == [2]
    store.after_commit(lambda: told.append("at once"))
    assert told == [2, "at once"]


def test_a_part_that_fails_leaves_the_rest(store: Store) -> None:
    def fail() -> None:
        with store.transaction():
            store.clients.add(Client("web2"))
            raise RuntimeError

    with store.transaction():
        store.clients.add(Client("web1"))
        with pytest.raises(RuntimeError):
            fail()
    assert [client.hostname for client in store.clients] == ["web1"]


def test_reading_waits_for_no_writer(open_store: Callable[..., Store]) -> None:
    store, other = open_store(), open_store()
    with store.transaction():
        store.clients.add(Client("web1"))
        assert list(other.clients) == []
    assert len(other.clients) == 1


@pytest.mark.parametrize("more", [0, 1])
def test_shelves_longer_than_a_page(store: Store, monkeypatch: pytest.MonkeyPatch, more: int) -> None:
    monkeypatch.setattr("cyborglib.store.reading.PAGE", 5)
    count = 20 + more
    with store.transaction():
        for n in range(count):
            store.schedules.add(Schedule(f"s{n}", "@daily"))
    assert [schedule.id for schedule in store.schedules] == list(range(1, count + 1))
    assert len(store.schedules.find()) == len(store.schedules) == len(store.schedules.many(range(50))) == count


def test_a_database_that_fails_is_said_as_an_error_of_ours(store: Store) -> None:
    def ask() -> None:
        with store.transaction() as connection:
            connection.exec_driver_sql("SELECT * FROM nothing_of_this_name")

    if store._database.sqlite:
        with pytest.raises(StoreError, match="does not answer as it should: no such table") as caught:
            ask()
        assert unavailable(caught.value)
    assert len(store.clients) == 0


def test_what_a_part_that_failed_promised_is_not_told(store: Store) -> None:
    told: list[str] = []

    def fail() -> None:
        with store.transaction():
            store.after_commit(lambda: told.append("inner"))
            raise RuntimeError

    with store.transaction():
        store.after_commit(lambda: told.append("outer"))
        with pytest.raises(RuntimeError):
            fail()
    assert told == ["outer"]


def test_a_writer_that_waits_too_long_is_told(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/a.db", connect_args={"timeout": 0.1})
    store = Store(engine, key=KEY)
    other = create_engine(f"sqlite:///{tmp_path}/a.db")
    with other.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="database is locked") as caught:
            store.clients.add(Client("web1"))
        assert unavailable(caught.value)
        assert list(store.clients) == []
    store.clients.add(Client("web1"))
    for one in (engine, other):
        one.dispose()
