"""Where keys are looked for, in which order, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cyborglib.errors import Invalid, MissingKey, StoreError
from cyborglib.keys import Key, Standing, find_keys, read_key_file, write_key_file
from cyborglib.sealing import Sealer

A, B, C, D = (Sealer.generate_key() for _ in range(4))
NEW = Standing(file=Path("/data/fleet.db"), fresh=True)
SERVER = Standing(fresh=True)


def keep(path: Path, *keys: str, mode: int = 0o600) -> Path:
    path.write_text("\n".join(keys) + "\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("standing", [NEW, SERVER, Standing(memory=True, fresh=True)])
def test_what_is_given_goes_first_then_the_environment(tmp_path: Path, standing: Standing) -> None:
    file = keep(tmp_path / "given.key", C)
    other = keep(tmp_path / "other.key", D)
    everything = {"CYBORG_KEY": B, "CYBORG_KEY_FILE": str(other)}
    folder = tmp_path / "config"
    rows: list[tuple[Key, dict[str, str], tuple[str, ...]]] = [
        (A, everything, (A,)),
        ([A, B], everything, (A, B)),
        ((B,), {}, (B,)),
        (file, everything, (C,)),
        (str(file), everything, (C,)),
        (None, everything, (B,)),
        (None, {"CYBORG_KEY": f" {B}\n{A} "}, (B, A)),
        (None, {"CYBORG_KEY_FILE": str(other)}, (D,)),
        (None, {"CYBORG_KEY": "", "CYBORG_KEY_FILE": str(other)}, (D,)),
    ]
    for key, environ, found in rows:
        assert find_keys(key, standing, environ, folder) == found
    assert not folder.exists()


def test_a_server_needs_to_be_told(tmp_path: Path) -> None:
    with pytest.raises(MissingKey, match=r"give key=, or set \$CYBORG_KEY"):
        find_keys(None, SERVER, {}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_memory_gets_a_key_for_as_long_as_it_lasts(tmp_path: Path) -> None:
    (key,) = find_keys(None, Standing(memory=True, fresh=True), {}, tmp_path)
    assert Sealer([key])
    assert list(tmp_path.iterdir()) == []


def test_an_empty_sqlite_file_gets_a_key_in_the_users_folder(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "config"
    (key,) = find_keys(None, NEW, {}, folder)
    (file,) = folder.iterdir()
    key_id = Sealer([key]).key_id
    assert file.name == f"fleet-{key_id}.key"
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_key_file(file) == (key,)
    there = Standing(file=Path("/data/fleet.db"), fresh=False, key_id=key_id)
    assert find_keys(None, there, {}, folder) == (key,)
    assert find_keys(None, Standing(file=Path("/else/renamed.db"), fresh=False, key_id=key_id), {}, folder) == (key,)


def test_two_databases_of_one_name_have_a_key_each(tmp_path: Path) -> None:
    assert find_keys(None, NEW, {}, tmp_path) != find_keys(None, NEW, {}, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_key_that_is_gone_is_not_made_anew(tmp_path: Path) -> None:
    standing = Standing(file=Path("/data/fleet.db"), fresh=False, key_id="0123456789ab")
    with pytest.raises(MissingKey, match=r"fleet-0123456789ab\.key does not exist. Put that file back"):
        find_keys(None, standing, {}, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_the_users_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    find_keys(None, NEW, {})
    assert [path.name[:6] for path in (tmp_path / "cyborglib").iterdir()] == ["fleet-"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
@pytest.mark.parametrize("way", ["path", "environment", "default"])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int, way: str) -> None:
    name = f"fleet-{Sealer([A]).key_id}.key"
    file = keep(tmp_path / name, A, mode=mode)
    key = file if way == "path" else None
    environ = {"CYBORG_KEY_FILE": str(file)} if way == "environment" else {}
    standing = Standing(file=Path("/data/fleet.db"), fresh=False, key_id=Sealer([A]).key_id)
    with pytest.raises(StoreError, match=f"run: chmod 600 {file}"):
        find_keys(key, standing, environ, tmp_path)


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("x" * 44, "neither a Fernet key"),
        ("", "neither a Fernet key"),
        ("no/such/file", "neither a Fernet key"),
        ("x" * 300, "neither a Fernet key"),
        (b"x", "not a bytes"),
        (3, "not a int"),
        ([], "key=: no key was given"),
        ([A, "x"], "key=: key 2 of 2 is not a Fernet key"),
    ],
)
def test_what_is_no_key_is_refused(key: Key, sentence: str) -> None:
    with pytest.raises(Invalid, match=sentence) as caught:
        find_keys(key, NEW, {})
    assert A not in str(caught.value)


def test_a_bad_key_in_the_environment_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"\$CYBORG_KEY: key 1 of 1"):
        find_keys(None, NEW, {"CYBORG_KEY": "nonsense"}, tmp_path)
    with pytest.raises(MissingKey, match=r"cannot be read: .*No such file"):
        find_keys(None, NEW, {"CYBORG_KEY_FILE": str(tmp_path / "none")}, tmp_path)
    for content in (b"nonsense", b"\xff\xfe", b""):
        file = tmp_path / "bad.key"
        file.write_bytes(content)
        file.chmod(0o600)
        with pytest.raises((Invalid, MissingKey), match=r"bad\.key"):
            find_keys(file, NEW, {})


def test_a_key_file_is_never_written_over(tmp_path: Path) -> None:
    file = keep(tmp_path / "a.key", A)
    with pytest.raises(StoreError, match="cannot be written"):
        write_key_file(file, B)
    assert read_key_file(file) == (A,)
    (tmp_path / "link.key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError):
        write_key_file(tmp_path / "link.key", B)
    assert not (tmp_path / "elsewhere").exists()


def test_the_umask_does_not_matter(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_key_file(tmp_path / "new" / "a.key", A)
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "a.key").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
