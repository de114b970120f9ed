"""A restore that is asked for: what becomes a job, and what is refused with nothing queued."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import cyborglib as cy
from cyborglib import restoring
from cyborglib.planning import NewJob
from cyborglib.store import Store


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """web1 and web2 with vaults elsewhere, web3 and this machine with vaults in a folder of their own.

    web1 has another vault on a host without a shell.
    """
    found = Store("sqlite://")
    nas = found.repositories.add(cy.Repository("nas", "borg@nas:/srv/{client}"))
    disk = found.repositories.add(cy.Repository("disk", "/srv/borg"))
    box = found.repositories.add(cy.Repository("box", "u1@box:backup/{client}", managed=False))
    for name, repository in (("web1", nas), ("web2", nas), ("web3", disk), ("here", disk), ("box", box)):
        if name == "box":
            client = found.clients.get("web1")
        else:
            client = found.clients.add(cy.Client(name, connection="local" if name == "here" else "ssh"))
        place = str(repository.location.expand(f"{name}-{client.id}"))
        vault = found.vaults.add(cy.Vault(repository, client, place, ready=True))
        found.archives.add(cy.Archive(name=f"etc+{name}", borg_id="ab" * 32, vault=vault.id, client=client.id))
    yield found
    found.close()


Ask = Callable[..., NewJob]


@pytest.fixture
def ask(store: Store) -> Ask:
    """Plan a restore of web1's archive, or of `archive`."""

    def plan(paths=(), archive="etc+web1", **asked) -> NewJob:
        asked = {"to": None, "destination": None, "overwrite": False, "options": None, "dry_run": False} | asked
        return restoring.plan(store, archive, paths, **asked)

    return plan


def test_all_of_an_archive_to_the_controller(ask, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    new = ask()
    assert (new.job.kind, new.job.client, new.job.archive) == ("restore", None, 1)
    assert new.job.options == {
        "paths": [],
        "destination": "",
        "overwrite": False,
        "dry_run": False,
        "on_client": False,
        "here": str(tmp_path),
    }
    assert len(new.keys) == 1


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/etc/hosts", "etc/hosts"),
        ("etc/hosts/", "etc/hosts"),
        ("//etc/./hosts", "etc/hosts"),
        ("/srv/re:.*", "srv/re:.*"),
        ("sh:**", "sh:**"),
        ("/srv/-x", "srv/-x"),
        ("/srv/{now}", "srv/{now}"),
        ("/srv/a\nb", "srv/a\nb"),
        ("/srv/ü\udcff", "srv/ü\udcff"),
        ("/srv/..a", "srv/..a"),
    ],
)
def test_paths_are_exact(ask, store, path, kept):
    new = ask([path])
    assert new.job.options["paths"] == (kept,)
    [queued] = store.jobs.queue([new])
    assert store.jobs.get(queued.id).options == new.job.options


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"paths": "/etc/hosts"}, "paths: give a list"),
        ({"paths": None}, "paths: give a list"),
        ({"paths": [b"/etc"]}, "paths: give a list"),
        ({"paths": [None]}, "paths: give a list"),
        ({"paths": [""]}, "none for all"),
        ({"paths": ["/"]}, "none for all"),
        ({"paths": ["/etc", "/./"]}, "none for all"),
        ({"paths": ["/etc\x00"]}, "none for all"),
        ({"paths": ["/etc/../root"]}, r"'\.\.'"),
        ({"paths": [".."]}, r"'\.\.'"),
        ({"destination": ""}, "no folder"),
        ({"destination": 5}, "no folder"),
        ({"destination": "/a\nb"}, "newline"),
        ({"destination": "/a\x00b"}, "NUL"),
        ({"destination": "restored", "to": "web1"}, "full path on the client"),
        ({"destination": Path("restored"), "to": "web1"}, "full path on the client"),
        ({"overwrite": "no"}, "overwrite must be True or False"),
        ({"overwrite": None}, "overwrite"),
        ({"dry_run": 1}, "dry_run"),
        ({"options": {"numeric-ids": True}}, "known are numeric_ids, force"),
        ({"options": {"force": "yes"}}, "force must be True or False"),
        ({"to": True}, "not the id or name of a client"),
        ({"to": ["web1"]}, "not the id or name of a client"),
        ({"archive": cy.Archive(name="made up", borg_id="ab" * 32, vault=1)}, "not read from this store"),
    ],
)
def test_what_cannot_be_done_is_refused(ask, asked, word):
    with pytest.raises(cy.Invalid, match=word):
        ask(**asked)


@pytest.mark.parametrize("asked", [{"archive": "none"}, {"archive": 99}, {"to": "web9"}, {"to": 99}])
def test_what_is_not_there(ask, asked):
    with pytest.raises(cy.NotFound):
        ask(**asked)


def test_to_the_client_it_came_from(ask, store):
    for to in (store.clients.get("web1"), store.clients.get("web1").id, "web1", cy.Client("web1")):
        new = ask(to=to, destination="/srv/restored", overwrite=True, options={"numeric_ids": True})
        assert new.job.client == store.clients.get("web1").id
        assert (new.job.options["destination"], new.job.options["overwrite"]) == ("/srv/restored", True)
        assert new.job.options["numeric_ids"] is True
        assert {key.name for key in new.keys} == {"vault:1", "client:1"}


def test_a_vault_in_a_folder_is_read_where_it_lies(ask, store):
    assert ask(archive="etc+web3", to="web3").job.client == store.clients.get("web3").id
    assert ask(archive="etc+here").job.client == store.clients.get("here").id, "this machine is the client itself"


@pytest.mark.parametrize(
    ("asked", "held"),
    [
        ({"archive": "etc+web3"}, ["web3"]),
        ({"archive": "etc+web3", "to": "web1"}, ["web1", "web3"]),
        ({"archive": "etc+here", "to": "web1"}, ["web1", "here"]),
        ({"archive": "etc+web3", "to": "here"}, ["here", "web3"]),
        # Lent, or carried by the controller: no other client has to do with it.
        ({"archive": "etc+web1", "to": "web2"}, ["web2"]),
        ({"archive": "etc+box", "to": "web2"}, ["web2"]),
        ({"archive": "etc+box", "to": "web1"}, ["web1"]),
        ({"archive": "etc+box"}, []),
    ],
)
def test_whoever_has_to_do_with_it_is_held(ask, store, asked, held):
    new = ask(**asked)
    assert new.job.client == (store.clients.get(asked["to"]).id if "to" in asked else None)
    clients = [key.name for key in new.keys if key.name.startswith("client:")]
    assert clients == [f"client:{store.clients.get(name).id}" for name in held]
    # Where a vault is lent its passphrase is changed, which nobody may be reading by then.
    lent = asked == {"archive": "etc+web1", "to": "web2"}
    assert [(key.name, key.alone) for key in new.keys if key.name.startswith("vault:")] == [
        (f"vault:{new.job.vault}", lent)
    ]


@pytest.mark.parametrize("given", ["restored", Path("restored")])
def test_a_destination_here_is_made_whole_at_once(ask, tmp_path, monkeypatch, given):
    monkeypatch.chdir(tmp_path)
    # Also where this machine is the client with the vault.
    assert ask(archive="etc+here", destination=given).job.options["destination"] == str(tmp_path / "restored")
    assert ask(destination=given).job.options["destination"] == str(tmp_path / "restored")


def test_a_destination_in_a_home(ask, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ask(destination="~/restored").job.options["destination"] == str(tmp_path / "restored")


def test_an_archive_by_itself_its_id_and_its_name(ask, store):
    [archive] = store.archives.find(name="etc+web1")
    assert {ask(archive=by).job.archive for by in (archive, archive.id, archive.name)} == {archive.id}
