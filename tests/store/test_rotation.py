"""Another key for a store: at every instant a key on the disk opens it; nothing is sealed with the old one later."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cyborglib.errors import InUse, Invalid, MissingKey, SealBroken, StoreError, WrongKey
from cyborglib.model import Client
from cyborglib.planning import NewJob
from cyborglib.sealing import Sealer
from cyborglib.store import Store
from tests.store.conftest import KEY
from tests.store.fleet import Fleet, alone, free_job

#: Ends its process at a step of a change of the key.
KILLED = """
import os, signal, sys
from pathlib import Path
from cyborglib import newkey
from cyborglib.store import Store, store as module

url, key, folder, step = sys.argv[1:]
store = Store(url, key=Path(key) if key else None, key_folder=Path(folder))
assert store.clients.get("web1").become_password.reveal() == "pw"


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


def first(call):
    def then_die(*arguments):
        call(*arguments)
        die()
    return then_die


if step == "resealed":
    newkey.NewKey.before = die
elif step == "written":
    newkey.NewKey.before = first(newkey.NewKey.before)
elif step == "half written":
    newkey.os.replace = die
elif step == "committed":
    newkey.NewKey.after = die
store.rotate()
"""


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A file with the key of the stores of these tests."""
    file = tmp_path / "seal.key"
    file.touch(mode=0o600)
    file.write_text(f"{KEY}\n")
    return file


def filled(url: str, **options: object) -> Store:
    store = Store(url, **options)  # type: ignore[arg-type]
    store.clients.add(Client("web1", become_password="pw"))
    return store


def password(store: Store, name: str = "web1") -> str:
    found = store.clients.get(name).become_password
    assert found is not None
    return found.reveal()


def test_a_key_file_holds_the_new_key_and_a_copy_the_old_one(empty_url: str, key_file: Path) -> None:
    store = filled(empty_url, key=key_file)
    assert store.rotate() == key_file
    new, copy = key_file.read_text().strip(), key_file.with_name(f"seal.key.{Sealer(KEY).key_id}")
    assert new != KEY
    assert copy.read_text().strip() == KEY
    assert [stat.S_IMODE(path.stat().st_mode) for path in (key_file, copy)] == [0o600] * 2
    assert password(store) == "pw"
    store.clients.add(Client("web2", become_password="later"))
    store.close()
    for old in (KEY, copy):
        with pytest.raises(WrongKey):
            Store(empty_url, key=old)
    again = Store(empty_url, key=key_file)
    assert (password(again), password(again, "web2")) == ("pw", "later")
    again.close()


@pytest.mark.parametrize("step", ["resealed", "half written", "written", "committed"])
def test_killed_at_a_step_a_key_on_the_disk_opens_it(empty_url: str, key_file: Path, step: str) -> None:
    filled(empty_url, key=key_file).close()
    argv = [sys.executable, "-c", KILLED, empty_url, str(key_file), "/nowhere", step]
    assert subprocess.run(argv, timeout=60).returncode == -signal.SIGKILL
    store = Store(empty_url, key=key_file)
    assert password(store) == "pw"
    # What is sealed now opens later too, and the next change leaves one key.
    store.clients.add(Client("web2", become_password="between"))
    store.close()
    store = Store(empty_url, key=key_file)
    store.rotate()
    store.close()
    assert len(key_file.read_text().split()) == 1
    store = Store(empty_url, key=key_file)
    assert (password(store), password(store, "web2")) == ("pw", "between")
    store.close()
    with pytest.raises(WrongKey):
        Store(empty_url, key=KEY)


@pytest.mark.parametrize("step", ["resealed", "written", "committed"])
def test_killed_at_a_step_a_default_key_file_opens_it(tmp_path: Path, step: str) -> None:
    url, folder = f"sqlite:///{tmp_path}/fleet.db", tmp_path / "keys"
    filled(url, key_folder=folder).close()
    argv = [sys.executable, "-c", KILLED, url, "", str(folder), step]
    assert subprocess.run(argv, timeout=60).returncode == -signal.SIGKILL
    store = Store(url, key_folder=folder)
    assert password(store) == "pw"
    store.rotate()
    store.close()
    store = Store(url, key_folder=folder)
    assert password(store) == "pw"
    store.close()


def test_a_given_key_goes_where_the_old_one_was(empty_url: str, key_file: Path, tmp_path: Path) -> None:
    one, two = Sealer.generate_key(), Sealer.generate_key()
    store = filled(empty_url, key=key_file)
    assert store.rotate(one) == key_file
    assert key_file.read_text().split() == [one]
    # A path is a file of its own; the other one stays as it is.
    given = tmp_path / "given.key"
    given.touch(mode=0o600)
    given.write_text(two)
    assert store.rotate(given) == given
    assert (key_file.read_text().split(), given.read_text().split()) == ([one], [two])
    made = store.rotate(tmp_path / "folder/made.key")
    assert made == tmp_path / "folder/made.key"
    store.close()
    again = Store(empty_url, key=made)
    assert password(again) == "pw"
    again.close()


def test_a_link_to_a_key_file_stays_one(empty_url: str, key_file: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(key_file)
    store = filled(empty_url, key=tmp_path / "link")
    store.rotate()
    store.close()
    assert (tmp_path / "link").is_symlink()
    Store(empty_url, key=tmp_path / "link").close()


def test_what_cannot_be_done_is_said_and_changes_nothing(empty_url: str, key_file: Path, tmp_path: Path) -> None:
    store = filled(empty_url, key=key_file)
    with pytest.raises(Invalid, match="seals this store already"):
        store.rotate(KEY)
    with pytest.raises(Invalid, match="neither a Fernet key"):
        store.rotate("mistyped" * 5)
    with pytest.raises(StoreError, match="cannot be written"):
        store.rotate(Path("/proc/new.key"))
    open_to_all = tmp_path / "open.key"
    open_to_all.write_text(Sealer.generate_key())
    open_to_all.chmod(0o644)
    with pytest.raises(StoreError, match="may be read or written by others"):
        store.rotate(open_to_all)
    assert key_file.read_text().split() == [KEY]
    assert sorted(path.name for path in tmp_path.glob("*.key*")) == ["open.key", "seal.key"]
    assert (store.key_id, password(store)) == (Sealer(KEY).key_id, "pw")
    store.close()
    by_text = Store(empty_url, key=KEY)
    with pytest.raises(MissingKey, match="give key="):
        by_text.rotate()
    by_text.close()


def test_something_that_does_not_open_leaves_the_files_alone(empty_url: str, key_file: Path) -> None:
    store = filled(empty_url, key=key_file)
    with store.transaction() as connection:
        connection.exec_driver_sql("UPDATE cyborg_clients SET become_password = 'broken'")
    with pytest.raises(SealBroken):
        store.rotate()
    assert key_file.read_text().split() == [KEY]
    assert not list(key_file.parent.glob("seal.key.*"))
    store.clients.add(Client("web2", become_password="pw"))
    assert password(store, "web2") == "pw"
    store.close()


def test_while_another_engine_is_at_work_it_is_refused(fleet: Fleet) -> None:
    store = fleet.store
    store.jobs.queue([NewJob(free_job(), alone("x"))])
    claim = fleet.take(owner="other")
    with pytest.raises(InUse, match=rf"\({claim.job.id}\).*wait for them"):
        store.rotate(Sealer.generate_key(), owner="mine")
    store.rotate(Sealer.generate_key(), owner="other")
    # One that went away keeps nothing: the next engine takes its jobs over, with the new key.
    store.jobs.release("other")
    store.rotate(Sealer.generate_key(), owner="mine")


def test_others_who_have_it_open_write_nothing_and_take_nothing(empty_url: str) -> None:
    store, other = filled(empty_url, key=KEY), Store(empty_url, key=KEY)
    store.jobs.queue([NewJob(free_job(), alone("x"))])
    new = Sealer.generate_key()
    store.rotate(new)
    sentence = "another process has given this database a new key"
    with pytest.raises(WrongKey, match=sentence):
        other.clients.add(Client("web2", become_password="lost"))
    with pytest.raises(WrongKey, match=sentence):
        other.jobs.claim("late", limit=1, now=other._database.clock(), lease=60)
    # Nor does it take what it cannot read for nothing, as if there were no clients.
    with pytest.raises(WrongKey, match=sentence):
        other.clients.get(1)
    with pytest.raises(WrongKey, match=sentence):
        list(other.clients)
    with pytest.raises(WrongKey, match=sentence):
        other.rotate(Sealer.generate_key())
    other.close()
    assert [client.hostname for client in store.clients] == ["web1"]
    assert [job.status for job in store.jobs] == ["pending"]
    store.close()
    again = Store(empty_url, key=new)
    assert password(again) == "pw"
    again.close()


def test_a_file_of_another_account_stays_its(empty_url: str, key_file: Path) -> None:
    os.chown(key_file, 65534, 65534)
    store = filled(empty_url, key=key_file)
    store.rotate()
    store.close()
    assert (key_file.stat().st_uid, key_file.stat().st_gid) == (65534, 65534)
