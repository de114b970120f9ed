"""A sample of a listing, and the comparison of what was restored with what Borg says of it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plugins.module_utils.agent.target import drilling
from plugins.module_utils.agent.target.frame import Refused

names = st.text(st.characters(exclude_characters="\0?", exclude_categories=["Cs"]), min_size=1, max_size=30)
listings = st.lists(
    st.tuples(st.sampled_from("---dlp"), st.integers(0, 5000), st.sampled_from(["", "", "s"]), names),
    max_size=40, unique_by=lambda entry: entry[3],
)  # fmt: skip


def listed(path: Path, entries: list[tuple[object, ...]], end: bytes = b"\0") -> str:
    lines = ["\t".join(map(str, entry)) + "\0" for entry in entries]
    path.write_bytes("".join(lines).encode("utf-8", "surrogateescape") + end)
    return str(path)


@given(listings, st.integers(1, 10), st.integers(1, 9000), st.text(max_size=3))
def test_a_sample_is_bounded_and_any_file_may_be_in_it(tmp_path_factory, entries, files, size, seed):
    where = listed(tmp_path_factory.getbasetemp() / "listing", entries)
    asked = {"listing": where, "files": files, "bytes": size, "seed": seed}
    told = drilling.op_drill_choose(asked)
    assert told == drilling.op_drill_choose(asked)
    regular = {path: length for kind, length, source, path in entries if kind == "-" and not source}
    assert told["files"] == len(regular)
    chosen = dict(told["chosen"])
    assert all(regular[path] == length for path, length in chosen.items())
    assert len(chosen) <= files
    assert sum(chosen.values()) <= size
    if any(length <= size for length in regular.values()):
        assert chosen
    else:
        assert told["large"] == len(regular)


def test_over_time_all_files_come(tmp_path):
    where = listed(tmp_path / "listing", [("-", 10, "", f"srv/{n}") for n in range(50)])
    seen = set()
    for job in range(200):
        told = drilling.op_drill_choose({"listing": where, "files": 3, "bytes": 100, "seed": f"drill {job}"})
        seen.update(path for path, _ in told["chosen"])
    assert len(seen) == 50


def test_names_that_cannot_be_asked_for_are_counted(tmp_path):
    where = listed(tmp_path / "listing", [("-", 1, "", "a?b"), ("-", 1, "", "new\nline\ttab")])
    told = drilling.op_drill_choose({"listing": where, "files": 5, "bytes": 9, "seed": ""})
    assert (told["chosen"], told["odd"]) == ([["new\nline\ttab", 1]], 1)


@pytest.mark.parametrize("data", [b"", b"-\t1\t\ta", b"-\t1\t\ta\0", b"nonsense\0\0"])
def test_a_listing_that_was_cut_is_no_listing(tmp_path, data):
    (tmp_path / "listing").write_bytes(data)
    with pytest.raises(Refused):
        drilling.op_drill_choose({"listing": str(tmp_path / "listing"), "files": 5, "bytes": 9, "seed": ""})


@pytest.fixture
def tree(tmp_path):
    folder = tmp_path / "files"
    (folder / "etc").mkdir(parents=True)
    (folder / "etc/a").write_bytes(b"one")
    (folder / "etc/closed").write_bytes(b"two")
    os.chmod(folder / "etc/closed", 0)
    (folder / "etc/link").symlink_to("/etc/passwd")
    return folder


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


GOOD = [
    ("d", 0, "", "", "etc"),
    ("-", 3, digest(b"one"), "", "etc/a"),
    ("-", 3, digest(b"two"), "", "etc/closed"),
    ("l", 0, "", "/", "etc/link"),
    ("-", 0, digest(b""), "e", "etc/closed"),
]


def compared(tree: Path, entries: list[tuple[object, ...]]) -> dict[str, object]:
    where = listed(tree.parent / "hashes", entries)
    return drilling.op_drill_compare({"listing": where, "folder": str(tree)})


def test_what_is_the_same(tree):
    assert compared(tree, GOOD) == {
        "state": "done", "files": 2, "bytes": 6, "entries": 5, "differ": 0, "wrong": [],
        "sampled": [["etc/a", 3], ["etc/closed", 3]],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (("-", 3, digest(b"ONE"), "", "etc/a"), "SHA-256"),
        (("-", 4, digest(b"one"), "", "etc/a"), "3 bytes, and had 4"),
        (("-", 3, digest(b"one"), "", "etc/gone"), "No such file"),
        (("-", 3, digest(b"one"), "", "etc/link"), "symbolic links"),
        (("-", 3, digest(b"one"), "", "etc"), "no file"),
        (("-", 3, digest(b"one"), "", "../etc/a"), "outside"),
        (("d", 0, "", "", "etc/a"), "another kind"),
        (("l", 0, "", "", "etc/a"), "another kind"),
        (("d", 0, "", "", "srv"), "No such file"),
        (("-", 0, digest(b""), "e", "etc/link"), "another kind"),
    ],
)  # fmt: skip
def test_what_differs_is_named(tree, entry, says):
    told = compared(tree, [*GOOD, entry])
    assert told["differ"] == 1
    assert says in told["wrong"][0]
    assert told["wrong"][0].startswith(entry[4])
