"""The disk of the library's own database is full: nothing is lost, nothing is said that is not so, and it goes on."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import InternalError, OperationalError

import cyborglib as cy
from cyborglib.engine import scribe
from cyborglib.store import unavailable
from cyborglib.testing import FakeExecutor
from tests.engine.fleet import Fleet, Meanwhile, assert_settled, made, until

CUT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"


class Disk:
    """A small disk of its own. `fill` leaves nothing free on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "test", path], check=True)

    def fill(self) -> None:
        with open(self.path / "filler", "wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                return

    def make_room(self) -> None:
        os.unlink(self.path / "filler")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    made_ = Disk(tmp_path / "small")
    yield made_
    subprocess.run(["umount", "--lazy", made_.path], check=True)


def add_many(it: Fleet) -> None:
    for n in range(10_000):
        it.add_policy(f"more{n}", extra_vars={"exclude": ["/" + "x" * 1000]})


def told(it: Fleet, *kinds: type[cy.Event]) -> list[cy.Event]:
    return [event for event in it.told if isinstance(event, kinds)]


def test_a_full_disk_loses_nothing_and_begins_nothing(in_hand, disk):
    it = in_hand(bind=f"sqlite:///{disk.path}/cyborg.db", clients=2)
    [one] = it.cyborg.launch(it.policy, clients=["web1"])
    long = ["a line that is long enough to need another page " * 20] * 400
    with Meanwhile(it.cyborg.serve):
        given = it.executor.next().start()
        [two] = it.cyborg.launch(it.policy, clients=["web2"])
        until(lambda: not it.executor.idle)
        second = it.executor.next()
        disk.fill()
        with pytest.raises(cy.StoreError, match=r"disk .*is full: make room there"):
            add_many(it)
        for line in long:
            given.control.output(one.id, line)
        assert given.control.ended(one.id, made(given.host)) is False, "who has the result must keep it"
        given.leave()
        until(lambda: told(it, cy.StoreAway), "the alarm")
        assert it.cyborg.jobs.get(one.id).status == "running", "it can be read, and says what is committed"
        assert it.of(one) == ["JobQueued", "JobStarted"]
        disk.make_room()
        until(lambda: it.cyborg.jobs.get(one.id).status == "successful")
        second.start().succeed().leave()
        until(lambda: told(it, cy.StoreBack))
        until(lambda: it.cyborg.jobs.get(two.id).status == "successful")
        it.cyborg.stop()
    assert it.cyborg.output(one) == long
    assert "make room there" in told(it, cy.StoreAway)[0].reason
    assert len(told(it, cy.StoreAway, cy.StoreBack)) == 2, "each once"
    assert len(it.cyborg.archives) == 2


def test_a_database_that_can_only_be_read(fleet, opened, postgresql_url, clock):
    """A server that becomes a standby: nothing is taken, and it goes on when it takes things again."""
    it = Fleet(opened(postgresql_url, executor=FakeExecutor(), clock=clock))
    it.ready().set(catalog=False)
    it.cyborg.launch(it.policy)
    name = make_url(postgresql_url).database
    admin = create_engine(postgresql_url, isolation_level="AUTOCOMMIT")

    def read_only(on: str) -> None:
        with admin.connect() as connection:
            connection.execute(text("SET default_transaction_read_only = off"))
            connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {on}'))
            connection.execute(text(f"{CUT} WHERE datname = '{name}' AND pid != pg_backend_pid()"))

    read_only("on")
    with Meanwhile(it.cyborg.work):
        until(
            lambda: [event for event in it.told if isinstance(event, cy.StoreAway) and "only be read" in event.reason]
        )
        assert it.statuses() == {"pending": 1}
        read_only("off")
    admin.dispose()
    assert it.statuses() == {"successful": 1}
    assert_settled(it.cyborg)


@pytest.mark.parametrize(
    ("kind", "said", "words"),
    [
        (OperationalError, {"sqlite_errorcode": 13}, "is full: make room"),
        (OperationalError, {"sqlite_errorcode": 1032}, "can only be read"),
        (OperationalError, {"sqlstate": "53100"}, "is full: make room"),
        (InternalError, {"sqlstate": "25006"}, "can only be read"),
        (OperationalError, {"sqlstate": "57P01"}, "see that its server runs"),
    ],
)
def test_what_databases_say_that_take_nothing(kind, said, words):
    from cyborglib.store import database

    error = kind("INSERT", {}, SimpleNamespace(**said))
    assert unavailable(error)
    assert words in database._what_to_do(error)
    assert not unavailable(InternalError("INSERT", {}, SimpleNamespace(sqlstate="XX000")))


def test_what_is_kept_meanwhile_is_bounded(monkeypatch):
    monkeypatch.setattr(scribe, "KEPT", 10)
    lines = [str(n) for n in range(100)]
    scribe._shorten(lines)
    assert lines == [
        "0",
        "1",
        "2",
        "3",
        "4",
        "… 90 lines are left out, as the database was away …",
        "95",
        "96",
        "97",
        "98",
        "99",
    ]
    lines = [str(n) for n in range(10)]
    scribe._shorten(lines)
    assert len(lines) == 10
