"""Existing Borg repositories become vaults, or nothing at all, on an executor that touches nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

import cyborglib as cy
from cyborglib.adopting import location
from cyborglib.testing import FakeExecutor, FixedClock

GIVEN = {"passphrase": "what it has now", "path": "/srv/old/web1"}
KEY = "BORG_KEY " + "ab" * 32 + "\nhqlhbGdv\n"
OLD = {"web1-2026-01-01": f"{1:064x}", "by hand": f"{2:064x}"}


class Scene:
    """A client, a repository's host, and how the adoption of it goes."""

    def __init__(self, **repository: Any) -> None:
        self.failing: dict[str, str] = {}
        self.facts: dict[str, Any] = {}
        self.executor = FakeExecutor(self.answer)
        self.cyborg = cy.Cyborg("sqlite://", executor=self.executor, clock=FixedClock(datetime(2026, 3, 1, tzinfo=UTC)))
        self.cyborg.settings = attrs.evolve(self.cyborg.settings, retry_delays=(0,))
        self.web1 = self.cyborg.clients.add(cy.Client("web1"))
        self.repository = self.cyborg.repositories.add(
            cy.Repository("nas", **({"path": "borg@nas:/srv/borg/{client}"} | repository))
        )
        self.told: list[cy.Event] = []
        self.cyborg.on(cy.Event)(self.told.append)

    def answer(self, job: cy.Job) -> cy.Outcome:
        if code := self.failing.get(job.kind):
            return cy.Outcome(error=cy.JobError(code, "no"))
        if job.kind == "prepare_repository":
            self.executor.vaults[job.vault or 0].update(OLD)
            return cy.Outcome(facts=self.facts)
        return cy.Outcome()

    def adopt(self, **more: Any) -> list[cy.Job]:
        return self.cyborg.finish(self.cyborg.adopt(self.repository, self.web1, **(GIVEN | more)))

    def handed(self, kind: str) -> Any:
        return [host for run in self.executor.runs if run.playbook == kind for host in run.hosts][-1]


@pytest.fixture
def scene() -> Iterator[Callable[..., Scene]]:
    made: list[Scene] = []

    def make(**repository: Any) -> Scene:
        made.append(Scene(**repository))
        return made[-1]

    yield make
    for one in made:
        one.cyborg.close()


def test_it_becomes_a_vault_and_what_is_in_it_foreign(scene):
    it = scene()
    jobs = it.adopt()
    assert [(job.kind, job.status) for job in jobs] == [("prepare_repository", "successful"), ("catalog", "successful")]
    [vault] = it.cyborg.vaults
    assert (vault.location, vault.client) == ("ssh://borg@nas/srv/old/web1", it.web1.id)
    assert (vault.ready, vault.adopted, vault.foundling, vault.encryption) == (True, True, False, "repokey-blake2")
    assert vault.passphrase == cy.Secret("what it has now")
    assert vault.key_export is not None
    assert (vault.baseline, vault.unsettled_at) == (None, it.cyborg._clock()), "nobody counted what was done before"
    handed = it.handed("prepare_repository")
    assert handed.variables["prepare_repository_existing"] is True
    assert handed.variables["prepare_repository_folder"] == "/srv/old/web1"
    assert "what it has now" not in repr(handed)
    assert {one.name: (one.borg_id, one.foreign, one.policy, one.client) for one in it.cyborg.archives} == {
        name: (borg_id, True, None, it.web1.id) for name, borg_id in OLD.items()
    }
    assert [event.archive for event in it.told if isinstance(event, cy.ArchiveForeign)] == list(OLD)
    # Backups go there, and nothing is adopted twice.
    policy = it.cyborg.policies.add(cy.Policy("etc", "config", repository=it.repository, clients=[it.web1]))
    [job] = it.cyborg.run(policy)
    assert (job.status, job.vault) == ("successful", vault.id)
    assert [one.foreign for one in it.cyborg.archives] == [True, True, False]
    assert len([event for event in it.told if isinstance(event, cy.ArchiveForeign)]) == 2
    it.cyborg.finish(it.cyborg.prepare(it.repository))
    assert "prepare_repository_existing" not in it.handed("prepare_repository").variables


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("prepare_repository", "wrong_passphrase"),
        ("prepare_repository", "vault_missing"),
        ("prepare_repository", "unreachable"),
        ("prepare_client", "auth_failed"),
    ],
)
def test_what_cannot_be_opened_leaves_no_vault(scene, kind, code):
    it = scene()
    it.failing = {kind: code}
    opened, listed = it.adopt()
    assert (opened.status, listed.status) == ("failed" if kind == "prepare_repository" else "skipped", "skipped")
    assert len(it.cyborg.vaults) == 0
    # The same again, and a new vault of this client at its usual place, are both as if nothing had been.
    it.failing = {}
    policy = it.cyborg.policies.add(cy.Policy("etc", "config", repository=it.repository, clients=[it.web1]))
    assert it.cyborg.run(policy)[0].status == "successful"
    [vault] = it.cyborg.vaults
    assert (vault.location, vault.adopted) == ("ssh://borg@nas/srv/borg/web1-1", False)


def test_one_that_is_canceled_before_it_began_leaves_no_vault(scene):
    it = scene()
    opened, listed = it.cyborg.adopt(it.repository, it.web1, **GIVEN)
    with pytest.raises(cy.AlreadyExists, match="just being adopted"):
        it.cyborg.adopt(it.repository, it.web1, **GIVEN)
    it.cyborg.cancel(opened)
    assert it.cyborg.jobs.get(listed.id).status == "skipped"
    assert len(it.cyborg.vaults) == 0


def test_a_backup_that_is_launched_meanwhile_waits_and_makes_no_new_vault(scene):
    it = scene()
    policy = it.cyborg.policies.add(cy.Policy("etc", "config", repository=it.repository, clients=[it.web1]))
    opened, _listed = it.cyborg.adopt(it.repository, it.web1, **GIVEN)
    [job] = it.cyborg.launch(policy)
    assert it.cyborg.jobs.get(job.id).vault == opened.vault
    it.failing = {"prepare_repository": "wrong_passphrase"}
    [job] = it.cyborg.finish([job])
    assert job.status == "skipped"
    assert len(it.cyborg.vaults) == 0


def test_where_a_person_has_to_let_the_key_in_it_waits_for_that(scene):
    it = scene(path="u1@box.example:backup/{client}", managed=False)
    it.failing = {"prepare_repository": "key_not_authorized"}
    opened, _ = it.adopt(path="old/web1")
    assert opened.status == "failed"
    [vault] = it.cyborg.vaults
    assert (vault.foundling, vault.ready, vault.location) == (True, False, "ssh://u1@box.example/./old/web1")
    # Never made anew, whoever comes for it.
    policy = it.cyborg.policies.add(cy.Policy("etc", "config", repository=it.repository, clients=[it.web1]))
    assert it.cyborg.run(policy)[0].status == "skipped"
    assert it.handed("prepare_repository").variables["prepare_repository_existing"] is True
    it.failing = {}
    opened, _ = it.adopt(path="old/web-1", passphrase="another one")
    assert (opened.status, opened.vault) == ("successful", vault.id)
    [vault] = it.cyborg.vaults
    assert (vault.location, vault.passphrase) == ("ssh://u1@box.example/./old/web-1", cy.Secret("another one"))


def test_a_vault_is_adopted_once(scene):
    it = scene()
    it.adopt()
    web2 = it.cyborg.clients.add(cy.Client("web2"))
    other = it.cyborg.repositories.add(cy.Repository("other", "borg@nas:/srv/{client}"))
    for repository, client, path, why in [
        (it.repository, it.web1, "/srv/old/web1", "has a vault"),
        (it.repository, it.web1, "/srv/old/web2", "has a vault"),
        (it.repository, web2, "/srv/old//web1/", "vault 1 already"),
        (other, web2, "/srv/old/web1", "vault 1 already"),
    ]:
        with pytest.raises(cy.AlreadyExists, match=why):
            it.cyborg.adopt(repository, client, **(GIVEN | {"path": path}))
    # At another address it is known by its id.
    it.facts = {"borg_id": it.cyborg.vaults.get(1).borg_id}
    opened, _ = it.cyborg.finish(it.cyborg.adopt(other, web2, **(GIVEN | {"path": "/mnt/old/web1"})))
    assert (opened.status, opened.error.code) == ("failed", "vault_exists")
    assert it.handed("prepare_repository").variables["borg_others"] == [it.cyborg.vaults.get(1).borg_id]
    assert len(it.cyborg.vaults) == 1


@pytest.mark.parametrize(("mode", "code"), [("none", "unsupported"), ("", "unsupported"), (7, "unsupported")])
def test_a_mode_that_is_not_taken_leaves_no_vault(scene, mode, code):
    it = scene()
    it.facts = {"encryption": mode}
    assert it.adopt()[0].error.code == code
    assert len(it.cyborg.vaults) == 0


def test_a_key_in_a_file_goes_with_each_job(scene):
    it = scene()
    it.facts = {"encryption": "keyfile-blake2"}
    assert it.adopt(key=KEY)[0].status == "successful"
    [vault] = it.cyborg.vaults
    assert vault.key_export != cy.Secret(KEY), "what was exported when it had been opened"
    web2 = it.cyborg.clients.add(cy.Client("web2", ready=True))
    policy = it.cyborg.policies.add(cy.Policy("etc", "config", repository=it.repository, clients=[it.web1]))
    it.cyborg.run(policy)
    for kind in ("prepare_repository", "catalog", "backup"):
        assert "borg_key_file" in it.handed(kind).secrets
    # Nor is it lent, as it could not be given another passphrase.
    it.cyborg.finish([it.cyborg.restore("by hand", to=web2)])
    assert it.executor.runs[-1].playbook == "restore_carried"


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"passphrase": ""}, "empty"),
        ({"passphrase": None}, "passphrase="),
        ({"passphrase": "a\n"}, "line end"),
        ({"passphrase": 7}, "text"),
        ({"key": "ssh-ed25519 AAAA"}, "borg key export"),
        ({"path": None}, "path="),
        ({"path": "/srv/{client}"}, "one folder"),
        ({"path": "/srv/../etc"}, "lead out"),
        ({"path": "ssh://borg@nas/srv/x"}, "on which host"),
        ({"path": "borg@nas:/srv/x"}, "on which host"),
        ({"path": "old/web1"}, "from /"),
        ({"path": 7}, "text"),
        ({"path": ""}, "path"),
        ({"takeover": 1}, "True or False"),
    ],
    ids=str,
)
def test_what_is_given_wrongly_is_said_and_nothing_is_written(scene, more, why):
    it = scene()
    with pytest.raises(cy.Invalid, match=why):
        it.cyborg.adopt(it.repository, it.web1, **(GIVEN | more))
    assert (len(it.cyborg.vaults), len(it.cyborg.jobs)) == (0, 0)


def test_disabled_things_adopt_nothing(scene):
    it = scene()
    it.cyborg.clients.replace(attrs.evolve(it.web1, enabled=False))
    with pytest.raises(cy.Disabled, match="web1"):
        it.cyborg.adopt(it.repository, it.web1, **GIVEN)


@pytest.mark.parametrize(
    ("repository", "path", "expected"),
    [
        (cy.Repository("a", "borg@nas:/srv/{client}"), "/x/ y", None),
        (cy.Repository("a", "nas:/srv/{client}"), "/x//y/", "ssh://borg@nas/x/y"),
        (cy.Repository("a", "ssh://b@[::1]:7/srv/{client}"), "/x", "ssh://b@[::1]:7/x"),
        (cy.Repository("a", "nas:x/{client}", managed=False), "~/y", "ssh://nas/~/y"),
        (cy.Repository("a", "/srv/{client}"), "/x", "/x"),
        (cy.Repository("a", "/srv/{client}"), "x", None),
        (cy.Repository("a", "/srv/one"), None, "/srv/one"),
        (cy.Repository("a", "nas:/srv/one"), None, "ssh://borg@nas/srv/one"),
        (cy.Repository("a", "nas:/srv/one"), "/srv/one/", "ssh://borg@nas/srv/one"),
        (cy.Repository("a", "nas:/srv/one"), "/srv/two", None),
    ],
)
def test_where_it_lies(repository, path, expected):
    if expected is None:
        with pytest.raises(cy.Invalid):
            location(repository, path)
    else:
        assert str(location(repository, path)) == expected
