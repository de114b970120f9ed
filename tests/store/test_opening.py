"""Opening a database: new, ours, somebody else's, later, earlier, readable by others; and its key."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, event, inspect, text

from cyborglib.errors import MissingKey, SchemaTooNew, SchemaTooOld, SealBroken, StoreError, WrongKey
from cyborglib.model import Client, Settings
from cyborglib.sealing import Sealer
from cyborglib.store import Store, metadata
from tests.store.conftest import KEY

SQL = Callable[[str], list[tuple[object, ...]]]


@pytest.fixture
def engine(empty_url: str) -> Iterator[Engine]:
    """A host application's engine."""
    engine = create_engine(empty_url)
    yield engine
    engine.dispose()


@pytest.fixture
def sql(engine: Engine) -> SQL:
    def run(statement: str) -> list[tuple[object, ...]]:
        with engine.begin() as connection:
            result = connection.execute(text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []

    return run


def opened(url: str | Engine, **options: object) -> Store:
    return Store(url, **{"key": KEY, **options})  # type: ignore[arg-type]


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_an_empty_database_gets_our_tables(empty_url: str, engine: Engine) -> None:
    opened(empty_url).close()
    assert tables(engine) == {*metadata.tables, "cyborg_alembic_version"}
    assert all(name.startswith("cyborg_") for name in metadata.tables)


def test_it_opens_again_with_what_was_kept(empty_url: str) -> None:
    first = opened(empty_url)
    client = first.clients.add(Client("web1", become_password="pw"))
    first.settings = Settings(parallel=7)
    first.set_meta("kit", "yesterday")
    first.set_meta("kit", "today")
    first.close()
    second = opened(empty_url)
    assert second.clients.get(1) == client
    assert (second.settings.parallel, second.get_meta("kit"), second.get_meta("nothing")) == (7, "today", None)
    second.close()


def test_a_hosts_tables_stay_as_they_are(engine: Engine, sql: SQL) -> None:
    sql("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    sql("INSERT INTO alembic_version VALUES ('theirs')")
    sql("CREATE TABLE clients (id INTEGER PRIMARY KEY, colour VARCHAR(10))")
    sql("INSERT INTO clients VALUES (1, 'red')")
    store = opened(engine)
    store.clients.add(Client("web1"))
    store.close()
    assert sql("SELECT * FROM alembic_version") == [("theirs",)]
    assert sql("SELECT * FROM clients") == [(1, "red")]
    assert tables(engine) == {*metadata.tables, "cyborg_alembic_version", "alembic_version", "clients"}


def test_a_hosts_engine_is_not_disposed_of(engine: Engine) -> None:
    disposed: list[object] = []
    event.listen(engine, "engine_disposed", disposed.append)
    opened(engine).close()
    assert disposed == []
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM cyborg_clients")).scalar_one() == 0


def test_a_commit_is_on_the_disk_whatever_the_server_is_set_to(postgresql_url: str) -> None:
    """What is deleted on hosts is in the store first: it must not be lost when the server dies. The lab's is lax."""
    query, engine = text("SHOW synchronous_commit"), create_engine(postgresql_url)
    with engine.connect() as connection:
        assert connection.scalar(query) == "off"
    engine.dispose()
    store = opened(postgresql_url)
    with store.transaction() as connection:
        assert connection.scalar(query) == "on"
    store.close()


@pytest.mark.parametrize("listens", [False, True], ids=["as it comes", "begins by itself"])
def test_a_hosts_sqlite_engine_works_as_ours_and_keeps_its_settings(tmp_path: Path, listens: bool) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/host.db")
    if listens:
        # The recipe of SQLAlchemy's documentation for a driver that does not begin where it should.
        event.listen(engine, "connect", lambda driver, _record: setattr(driver, "isolation_level", None))
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    store = opened(engine)
    store.clients.add(Client("web1"))
    with store.transaction() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
    threads = [threading.Thread(target=store.clients.add, args=(Client(f"host{n}"),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.clients) == 9
    with engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 0
    engine.dispose()


def test_migrate_false_alters_nothing(empty_url: str, engine: Engine) -> None:
    with pytest.raises(SchemaTooOld, match="holds no tables of this library yet"):
        opened(empty_url, migrate=False)
    assert tables(engine) == set()
    opened(empty_url).close()
    opened(empty_url, migrate=False).close()


def test_a_later_release_is_refused(empty_url: str, sql: SQL) -> None:
    opened(empty_url).close()
    sql("UPDATE cyborg_alembic_version SET version_num = '9999'")
    for migrate in (True, False):
        with pytest.raises(SchemaTooNew, match="its schema is 9999"):
            opened(empty_url, migrate=migrate)
    assert sql("SELECT version_num FROM cyborg_alembic_version") == [("9999",)]


def test_tables_that_a_host_made_are_taken_as_they_are(engine: Engine) -> None:
    metadata.create_all(engine)
    for migrate in (False, True):
        store = opened(engine, migrate=migrate)
        store.settings = Settings(parallel=3)
        assert store.settings.parallel == 3
    assert "cyborg_alembic_version" not in tables(engine)


def test_tables_that_a_host_made_long_ago_are_left_alone(engine: Engine, sql: SQL) -> None:
    metadata.create_all(engine)
    sql("ALTER TABLE cyborg_settings DROP COLUMN parallel")
    with pytest.raises(SchemaTooOld, match="the table cyborg_settings lacks parallel"):
        opened(engine)


def test_the_wrong_key_changes_nothing(empty_url: str, sql: SQL) -> None:
    store = opened(empty_url)
    store.clients.add(Client("web1", become_password="pw"))
    store.close()
    before = sql("SELECT * FROM cyborg_meta ORDER BY name")
    with pytest.raises(WrongKey, match=f"was sealed with the key {Sealer([KEY]).key_id}"):
        opened(empty_url, key=Sealer.generate_key())
    with pytest.raises(MissingKey if "postgresql" in empty_url else StoreError):
        opened(empty_url, key=None, key_folder=Path("/nonexistent"))
    assert sql("SELECT * FROM cyborg_meta ORDER BY name") == before
    opened(empty_url, key=[Sealer.generate_key(), KEY]).close()


def test_a_check_value_that_is_gone_is_no_new_database(empty_url: str, sql: SQL) -> None:
    opened(empty_url).close()
    sql("DELETE FROM cyborg_meta WHERE name = 'check'")
    with pytest.raises(WrongKey):
        opened(empty_url)


def test_a_new_key_seals_everything(empty_url: str, sql: SQL) -> None:
    store = opened(empty_url)
    client = store.clients.add(Client("web1", become_password="pw", trusted_vars={"x": "y"}))
    old = sql("SELECT become_password, trusted_vars FROM cyborg_clients")
    new_key = Sealer.generate_key()
    store.rotate([new_key])
    assert store.key_id == Sealer([new_key]).key_id
    assert store.clients.get(1) == client
    assert sql("SELECT become_password, trusted_vars FROM cyborg_clients") != old
    store.close()
    with pytest.raises(WrongKey):
        opened(empty_url)
    again = opened(empty_url, key=new_key)
    assert again.clients.get(1) == client
    again.close()


def test_a_new_key_is_made_where_the_next_opening_finds_it(tmp_path: Path) -> None:
    url, keys = f"sqlite:///{tmp_path}/fleet.db", tmp_path / "keys"
    store = Store(url, key_folder=keys)
    client = store.clients.add(Client("web1", become_password="pw"))
    old = store.key_id
    store.rotate()
    assert sorted(path.name for path in keys.iterdir()) == sorted(f"fleet-{one}.key" for one in (old, store.key_id))
    store.close()
    again = Store(url, key_folder=keys)
    assert (again.key_id, again.clients.get(1)) == (store.key_id, client)
    again.close()


def test_a_server_must_be_given_its_new_key(postgresql_url: str) -> None:
    store = opened(postgresql_url)
    with pytest.raises(MissingKey, match="give key="):
        store.rotate()
    assert store.key_id == Sealer([KEY]).key_id
    store.close()


def test_a_rotation_that_cannot_be_done_changes_nothing(empty_url: str, sql: SQL) -> None:
    store = opened(empty_url)
    for n in (1, 2):
        store.clients.add(Client(f"web{n}", become_password="pw"))
    sql("UPDATE cyborg_clients SET become_password = 'broken' WHERE id = 2")
    before = sql("SELECT become_password FROM cyborg_clients ORDER BY id")
    with pytest.raises(SealBroken, match="clients/become_password/2"):
        store.rotate([Sealer.generate_key()])
    assert store.key_id == Sealer([KEY]).key_id
    assert sql("SELECT become_password FROM cyborg_clients ORDER BY id") == before
    store.close()
    opened(empty_url).close()


def test_the_check_value_is_the_stores_own(empty_url: str) -> None:
    store = opened(empty_url)
    for name in ("check", "key_id"):
        with pytest.raises(StoreError.__bases__[0], match="the store's own"):
            store.set_meta(name, "x")
    store.close()


def test_two_that_open_an_empty_database_at_once_agree(empty_url: str, tmp_path: Path) -> None:
    """Each may find it empty; one makes the tables and the key, the other takes them."""
    found: list[str] = []
    errors: list[BaseException] = []

    def go() -> None:
        try:
            store = Store(empty_url, key=KEY if "postgresql" in empty_url else None, key_folder=tmp_path / "keys")
            found.append(store.key_id)
            store.close()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(set(found)) == 1
    if "sqlite" in empty_url:
        assert [path.name for path in (tmp_path / "keys").iterdir()] == [f"cyborg-{found[0]}.key"]


def test_files_are_nobody_elses_whatever_the_umask(tmp_path: Path) -> None:
    script = (
        "import os, sys; os.umask(0); from pathlib import Path; from cyborglib.store import Store; "
        "from cyborglib.model import Client; folder = Path(sys.argv[1]); "
        "store = Store(f'sqlite:///{folder}/a.db', key_folder=folder / 'keys'); store.clients.add(Client('web1')); "
        "print(*sorted(f'{p.name} {p.stat().st_mode & 0o777:o}' for p in folder.iterdir()), sep='\\n'); "
        "print(*sorted(f'{p.stat().st_mode & 0o777:o}' for p in (folder / 'keys').iterdir()))"
    )
    said = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert said.stdout.splitlines() == ["a.db 600", "a.db-shm 600", "a.db-wal 600", "keys 700", "600"]


@pytest.mark.parametrize("end", ["", "-wal", "-shm"])
def test_files_that_others_may_read_are_refused(tmp_path: Path, end: str) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    keep = opened(url)  # while it is open, -wal and -shm are there
    keep.clients.add(Client("web1"))
    file = tmp_path / f"a.db{end}"
    file.chmod(0o640)
    with pytest.raises(StoreError, match=f"run: chmod 600 {file}"):
        opened(url)
    file.chmod(0o600)
    opened(url).close()
    keep.close()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be made: No such file or directory"):
        opened(f"sqlite:///{tmp_path}/nowhere/a.db")


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("nonsense " * 1000)
    (tmp_path / "a.db").chmod(0o600)
    with pytest.raises(StoreError, match="not a database"):
        opened(f"sqlite:///{tmp_path}/a.db")
    assert (tmp_path / "a.db").read_text() == "nonsense " * 1000


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://root@localhost/x", "in SQLite or PostgreSQL, not in mysql"),
        ("nonsense", "cannot be opened"),
        ("", "cannot be opened"),
        ("postgresql//nobody:secretword@127.0.0.1/x", "cannot be opened"),
        ("postgresql+psycopg://nobody:secretword@127.0.0.1:port/x", "cannot be opened"),
        ("sqlite:///file:a.db?mode=ro&uri=true", "give the SQLite file plainly"),
        ("postgresql+psycopg://nobody:secretword@127.0.0.1:1/x", "the database cannot be opened"),
    ],
)
def test_what_cannot_be_opened_is_said_without_the_password(url: str, sentence: str) -> None:
    with pytest.raises(StoreError, match=sentence) as caught:
        opened(url)
    assert "secretword" not in str(caught.value)


def test_in_memory_it_needs_no_key_and_serves_all_threads() -> None:
    store = Store("sqlite://")
    threads = [threading.Thread(target=store.clients.add, args=(Client(f"host{n}"),)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.clients) == 16
    with store.transaction():
        store.clients.add(Client("web1", become_password="pw"))
    assert store.clients.get("web1").become_password is not None
    store.close()


def test_sqlite_is_set_up_to_lose_nothing(tmp_path: Path) -> None:
    store = opened(f"sqlite:///{tmp_path}/a.db")
    with store.transaction() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert found == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 60000}
    store.close()


def test_opening_needs_no_alembic(tmp_path: Path) -> None:
    script = (
        "import sys; from cyborglib.store import Store; Store('sqlite:///' + sys.argv[1], key=sys.argv[2]).close(); "
        "print([name for name in sys.modules if name.split('.')[0] in ('alembic', 'mako', 'platformdirs')])"
    )
    argv = [sys.executable, "-c", script, f"{tmp_path}/a.db", KEY]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_postgresql_url_needs_no_drivers_name(postgresql_url: str) -> None:
    store = opened(postgresql_url.replace("postgresql+psycopg:", "postgresql:"))
    assert len(store.clients) == 0
    store.close()


def test_a_key_file_of_the_users_folder_is_made_once(tmp_path: Path) -> None:
    url, keys = f"sqlite:///{tmp_path}/fleet.db", tmp_path / "config" / "keys"
    first = Store(url, key_folder=keys)
    first.clients.add(Client("web1", become_password="pw"))
    (file,) = keys.iterdir()
    assert file.name == f"fleet-{first.key_id}.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    first.close()
    second = Store(url, key_folder=keys)
    assert second.clients.get(1).become_password is not None
    second.close()
    os.rename(file, tmp_path / "away")
    with pytest.raises(MissingKey, match=f"{file} does not exist"):
        Store(url, key_folder=keys)
    assert list(keys.iterdir()) == []
