"""Listings of what is in archives: read by the parser, and handed over by a real run with a real Borg."""

from __future__ import annotations

import os
import re
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.cyborg.backup.plugins.plugin_utils import borg_argv
from hypothesis import example, given
from hypothesis import strategies as st

from cyborglib.ansible import AnsibleExecutor
from cyborglib.ansible.listing import DIGITS, LONGEST, Listing, Unreadable
from cyborglib.errors import ErrorCode
from cyborglib.model import Item
from tests.ansible.conftest import PASSPHRASE, Recorder, Vault, Works, play

ID = "0123456789abcdef" * 4
MODES = {0o644: "rw-r--r--", 0o755: "rwxr-xr-x", 0o7000: "--S--S--T", 0o7777: "rwsrwsrwt", 0: "---------"}


def line(item: Item) -> str:
    """An entry as Borg prints it, by its own means: `str.format` and `ascii`."""
    seconds, microseconds = divmod(item.mtime or 0, 10**6)
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{microseconds:06}"
    values: dict[str, Any] = {
        "archiveid": ID, "TAB": "\t", "type": "-" if item.type == "h" else item.type,
        "mode": item.type + MODES[item.mode or 0], "size": item.size, "isomtime": moment, "uid": item.uid,
        "gid": item.gid, "user": item.user or item.uid, "group": item.group or item.gid, "bpath": item.path,
        "source": item.target,
    }  # fmt: skip
    return borg_argv.ENTRY.format_map(values)


def read(text: str, portion: int = 1 << 20) -> list[Item]:
    listing = Listing(ID)
    found = [item for at in range(0, len(text), portion) for item in listing.feed(text[at : at + portion])]
    return found + listing.end()


byte = st.sampled_from([chr(0xDC80 + n) for n in range(128)])
names = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), byte, st.sampled_from("'\"\\\t\n ")), min_size=1)
account = st.one_of(st.just(""), names.filter(lambda name: len(name) <= 200))
items = st.builds(
    lambda *values: Item(*values), names, st.sampled_from("-dlhpcbs"), st.integers(0, 2**62),
    st.integers(0, 4_000_000_000_000_000), st.sampled_from(sorted(MODES)), st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1), account, account, st.one_of(st.just(""), names),
)  # fmt: skip


@given(st.lists(items, max_size=5), st.integers(1, 200))
def test_every_entry_is_read_as_borg_prints_it(told: list[Item], portion: int) -> None:
    assert read("".join(map(line, told)), portion) == told


GOOD = Item("etc/hosts", "-", 7, 1764267000123456, 0o644, 0, 0, "root", "root")


@pytest.mark.parametrize(
    "hostile",
    [
        line(GOOD)[:-1],
        line(GOOD)[:-10],
        line(GOOD).replace(ID[:DIGITS], "f" * DIGITS),
        line(GOOD) + line(GOOD).replace(ID[:DIGITS], "f" * DIGITS),
        line(GOOD).replace("\t7\t", "\t-\t"),
        line(GOOD).replace("\t7\t", "\t7\t8\t"),
        line(GOOD).replace("'etc/hosts'", "etc/hosts"),
        line(GOOD).replace("'etc/hosts'", "'etc\\q'"),
        line(GOOD).replace("'etc/hosts'", "'\\ud800'"),
        line(GOOD).replace("'etc/hosts'", "'a' + open('b')"),
        line(GOOD).replace("2025-", "20255-"),
        "Traceback (most recent call last):\n",
        "\t\t",
        "x" * (LONGEST + 1),
    ],
)
def test_what_is_no_listing_is_refused(hostile: str) -> None:
    with pytest.raises(Unreadable):
        read(hostile)


@given(st.text())
@example(ID[:DIGITS] + "\t" * 11)
def test_no_text_breaks_the_parser(text: str) -> None:
    for some in (text, ID[:DIGITS] + "\t" + text + "\t\t"):
        try:
            assert all(isinstance(item, Item) for item in read(some, 3))
        except Unreadable:
            continue


def test_numbers_beyond_all_bounds_are_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    [item] = read(line(GOOD._replace(uid=2**70, gid=-1)))
    assert (item.uid, item.gid) == (None, None)
    [item] = read(line(GOOD).replace("rw-r--r--", "rwqr--r--"))
    assert item.mode is None
    monkeypatch.setattr("cyborglib.ansible.listing.MOST", 2)
    with pytest.raises(Unreadable, match="more than 2"):
        read(line(GOOD) * 3)


ODD = [
    b"plain", b"new\nline", b"caf\xc3\xa9", b"latin-\xe9", b"{x}", b"a'b", b"a\"b'", b"back\\u20ac", b"\xff\xfe", b"\t",
    b"-x", b"re:.*", b"\xf0\x9f\x98\x80", b"a\x01\x7f",
]  # fmt: skip


@pytest.fixture
def control() -> Recorder:
    return Recorder({"borg_passphrase": PASSPHRASE})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    made = tmp_path / "source"
    made.mkdir()
    return made


def program(path: Path, then: str) -> str:
    """A Borg that does something else where it is asked what is in an archive."""
    path.write_text(f'#!/bin/sh\ncase "$*" in *bpath*) {then};; *) exec /usr/bin/borg "$@";; esac\n')
    path.chmod(0o755)
    return str(path)


def test_a_run_hands_over_what_is_in_archives_and_confirms_the_rest_in_any_case(
    executor: AnsibleExecutor, control: Recorder, local: Works, vault: Vault, source: Path, tmp_path: Path
) -> None:
    for name in ODD:
        (source / os.fsdecode(name)).write_bytes(name)
    (source / "link").symlink_to("plain")
    os.link(source / "plain", source / "hard")
    vault.borg("create", "::one", str(source))
    vault.borg("create", "::two", str(source / "plain"))
    ids = dict(entry.split() for entry in vault.borg("list", "--format", "{name} {id}{NL}").stdout.splitlines())

    def wanted(first: int, *names: str) -> dict[str, Any]:
        known = [{"archive": first + n, "name": name, "id": ids[name]} for n, name in enumerate(names)]
        return {"borg_repository": str(vault.path), "borg_contents": known}

    another = {"borg_repository": str(vault.path), "borg_contents": [{"archive": 20, "name": "one", "id": ID}]}
    control.unwanted = {60}
    works = [
        local(1, **wanted(10, "one", "two")),
        local(2, **another),
        local(3, **wanted(30, "one"), borg_program=program(tmp_path / "garbage", "echo garbage")),
        local(4, **wanted(40, "one"), borg_program=program(tmp_path / "failed", '/usr/bin/borg "$@"; exit 2')),
        local(5, **wanted(50, "one"), borg_program=program(tmp_path / "cut", '/usr/bin/borg "$@" | head -c 500')),
        local(6, **wanted(60, "one")),
    ]
    executor.execute(play("catalog", *works), control)
    for outcome in control.outcomes.values():
        assert outcome.error is None
        assert {entry["name"] for entry in outcome.facts["archives"]} == {"one", "two"}
    got = control.received
    assert {archive: received.end for archive, received in got.items()} == {
        10: "finished", 11: "finished", 30: "abandoned", 40: "abandoned", 50: "abandoned",
    }  # fmt: skip
    below = str(source).lstrip("/") + "/"
    paths = {os.fsencode(item.path) for item in got[10].items}
    assert {path[len(below) :] for path in paths if path.startswith(below.encode())} >= {*ODD, b"link", b"hard"}
    by_name = {item.path[len(below) :]: item for item in got[10].items}
    assert (by_name["link"].type, by_name["link"].target) == ("l", "plain")
    assert {by_name["plain"].type, by_name["hard"].type} == {"-", "h"}
    assert [os.path.basename(item.path) for item in got[11].items] == ["plain"]
    told = {job: outcome.facts.get("contents_error") for job, outcome in control.outcomes.items()}
    assert {job: error["code"] for job, error in told.items() if error} == {
        3: "unparsable", 4: "borg_failed", 5: "unparsable",
    }  # fmt: skip
    assert "archive one" in told[4]["message"]
    # Nothing of a listing stays on the host.
    agent = Path("/run/cyborg") if os.geteuid() == 0 else Path.home() / ".local/state/cyborg"
    ours = [folder for work in works for folder in agent.glob(f"0.{work.job}.{work.attempt}*")]
    assert [file for folder in ours for file in folder.glob("out.*")] == []


def test_a_listing_without_end_waits_for_who_takes_it_in_and_ends_with_its_job(
    executor: AnsibleExecutor, control: Recorder, local: Works, vault: Vault, source: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    vault.borg("create", "::one", str(source))
    borg_id = vault.borg("list", "--format", "{id}").stdout
    entry = re.sub(ID[:DIGITS], borg_id[:DIGITS], line(GOOD)).replace("\t", "\\t").replace("'", "'\\''")
    endless = program(tmp_path / "endless", f"while :; do printf '{entry}'; done")
    known = [{"archive": 7, "name": "one", "id": borg_id}]
    work = local(1, borg_repository=str(vault.path), borg_contents=known, borg_program=endless)
    run = threading.Thread(target=lambda: executor.execute(play("catalog", work), control))
    run.start()
    control.await_told("contents", 1)
    until = time.monotonic() + 60
    while not (7 in control.received and control.received[7].items):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert control.received[7].items[0] == GOOD
    control.cancels.add(1)
    run.join(60)
    assert not run.is_alive()
    assert control.outcomes[1].error is not None
    assert control.outcomes[1].error.code is ErrorCode.CANCELED
    assert control.received[7].end == "abandoned"
