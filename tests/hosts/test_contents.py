"""The catalogue on real hosts: what was backed up is found by name, and comes back by what was found."""

from __future__ import annotations

import os

import pytest

import cyborglib as cy
from tests.hosts.conftest import Fleet

pytestmark = pytest.mark.hosts

ODD = [
    b"new\nline",
    b"latin-\xe9",
    b"\xff\xfe",
    b"{now}",
    b"re:.*",
    b"a'b\"c",
    b"back\\u20ac",
    b"-x",
    b"tab\t",
    "ä".encode(),
]


def test_odd_names_are_found_in_the_catalogue_and_restored_by_it(fleet: Fleet) -> None:
    """A vault on another host, listed by the controller's Borg 1.2, and one in the client's folder, by its own 1.4."""
    web = fleet.client("web", borg="1.4")
    root = fleet.hosts["web"].root
    tree = os.fsencode(root / "srv/tree")
    os.makedirs(tree)
    for name in ODD:
        os.makedirs(tree + b"/" + name)
        with open(tree + b"/" + name + b"/" + name, "wb") as file:
            file.write(name)
    for n in range(300):
        (root / f"srv/tree/many-{n}").write_text(str(n))
    os.symlink(b"many-1", tree + b"/link")
    os.chmod(tree + b"/many-1", 0o4751)
    options = {"type": "folders", "extra_vars": {"folders": ["/srv/tree"]}, "clients": [web]}
    far, near = fleet.repository(), fleet.cyborg.repositories.add(cy.Repository("disk", "/srv/borg/{client}"))
    policies = [
        fleet.cyborg.policies.add(cy.Policy(name, repository=repository, **options))  # type: ignore[arg-type]
        for name, repository in (("far", far), ("near", near))
    ]
    first = [fleet.only(fleet.run(policy)[0]) for policy in policies]
    os.unlink(tree + b"/many-7")
    (root / "srv/tree/many-8").write_text("changed")
    (root / "srv/tree/new").write_text("new")
    second = [fleet.only(fleet.run(policy)[0]) for policy in policies]
    cyborg = fleet.cyborg
    for one, other in zip(first, second, strict=True):
        assert (one.cataloged_at is not None, other.cataloged_at is not None) == (True, True), fleet.said()
        there = {os.fsencode(entry.name): entry for entry in cyborg.browse(one, "/srv/tree")}
        assert there.keys() == set(os.listdir(tree)) - {b"new"} | {b"many-7"}
        assert (there[b"link"].type, there[b"link"].target) == ("l", "many-1")
        entry, real = there[b"many-1"], os.lstat(tree + b"/many-1")
        assert (entry.type, entry.size, entry.mode, entry.user, entry.uid) == ("-", 1, 0o4751, "root", 0)
        assert entry.mtime is not None
        assert int(entry.mtime.timestamp()) == int(real.st_mtime)
        changes = {change.path: change.kind for change in cyborg.diff(one, other)}
        del changes["/srv/tree"]
        assert changes == {
            "/srv/tree/many-7": "removed", "/srv/tree/many-8": "changed", "/srv/tree/new": "added",
        }  # fmt: skip
    states = [(version.entry.size, version.archives) for version in cyborg.versions(web, "/srv/tree/many-8")]
    assert sorted(states) == sorted([(7, (one.id,)) for one in second] + [(1, (one.id,)) for one in first])
    unchanged = cyborg.versions(web, "/srv/tree/many-9")
    assert sorted(version.archives for version in unchanged) == sorted(
        (one.id, other.id) for one, other in zip(first, second, strict=True)
    )
    # By what a search gave, with whatever bytes: to the controller, and to the client from its own folder.
    for wanted, archive, to in ((b"\xff\xfe", second[0], None), (b"latin-\xe9", second[1], web)):
        [entry] = [
            found
            for found in cyborg.search(os.fsdecode(wanted), client=web)
            if found.archive == archive.id and found.type == "-"
        ]
        job = fleet.restore(
            entry.archive, (entry.path,), to=to, destination="/var/tmp/back" if to else fleet.folder / "back"
        )
        assert job.status == "successful", fleet.said()
        back = os.fsencode(root / "var/tmp/back" if to else fleet.folder / "back")
        files = [os.path.join(folder, name) for folder, _, names in os.walk(back) for name in names]
        assert files == [back + os.fsencode(entry.path)]
        with open(files[0], "rb") as file:
            assert file.read() == wanted
    # Read anew, it is the same.
    jobs = cyborg.finish(cyborg.rebuild(far))
    assert [job.status for job in jobs] == ["successful"], fleet.said()
    assert {os.fsencode(entry.name) for entry in cyborg.browse(first[0], "/srv/tree")} == there.keys()
