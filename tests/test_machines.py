"""Virtual machines: backed up on their hypervisors, which are prepared for it."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import pytest

import cyborglib as cy
from cyborglib.testing import FakeExecutor


class Site:
    """A hypervisor with a machine, a repository and a policy for it."""

    def __init__(self) -> None:
        self.executor = FakeExecutor()
        self.cyborg = cy.Cyborg("sqlite://", executor=self.executor)
        self.kvm = self.cyborg.clients.add(cy.Client("kvm1"))
        self.web = self.cyborg.clients.add(cy.Client("web1", hypervisor=self.kvm, vm_name="web one"))
        self.vault = self.cyborg.repositories.add(cy.Repository("vault", "borg@nas:/srv/borg/{client}"))
        self.policy = self.add("machines", [self.web])

    def add(self, name: str, clients: list[cy.Client], **fields: object) -> cy.Policy:
        values: dict[str, object] = {"type": "vm", "repository": self.vault, "clients": clients} | fields
        return self.cyborg.policies.add(cy.Policy(name, **values))

    def kinds(self) -> list[tuple[str, str]]:
        return [(job.kind.value, job.client_name) for job in self.cyborg.jobs]


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.cyborg.close()


def test_the_hypervisor_is_prepared_and_works_the_backup(site: Site) -> None:
    [job] = site.cyborg.run(site.policy)
    assert job.status == "successful"
    assert (job.client, job.hypervisor, job.client_name) == (site.web.id, site.kvm.id, "web1")
    assert site.kinds() == [
        ("prepare_client", "kvm1"), ("prepare_hypervisor", "kvm1"), ("prepare_repository", "kvm1"), ("backup", "web1"),
        ("catalog", "web1"),
    ]  # fmt: skip
    [run] = [run for run in site.executor.runs if run.playbook == "backup"]
    [host] = run.hosts
    assert host.host.title == "kvm1"
    assert host.variables["policy_vm_name"] == "web one"
    kvm, web = site.cyborg.clients.get("kvm1"), site.cyborg.clients.get("web1")
    assert (kvm.ready, kvm.providers, web.ready) == (True, ("libvirt",), False)
    [vault] = site.cyborg.vaults
    assert (vault.client, kvm.access) == (web.id, (vault.id,))
    # Another key than the machine's own for the same vault, should it have one.
    assert host.variables["borg_ssh_key"].endswith(f"/vault-{vault.id}-client-{kvm.id}")
    # The second time nothing is prepared.
    before = len(site.cyborg.jobs)
    site.cyborg.run(site.policy)
    assert site.kinds()[before:] == [("backup", "web1"), ("catalog", "web1")]


def test_what_another_provider_needs_is_prepared_for_it(site: Site) -> None:
    site.cyborg.run(site.policy)
    other = site.add("exports", [site.web], extra_vars={"provider": "command", "command": "true"})
    before = len(site.cyborg.jobs)
    site.cyborg.run(other)
    assert [kind for kind, _ in site.kinds()[before:]] == ["prepare_hypervisor", "backup", "catalog"]
    assert site.cyborg.clients.get("kvm1").providers == ("libvirt", "command")


def test_preparing_a_client_prepares_it_as_a_hypervisor_too(site: Site) -> None:
    jobs = site.cyborg.finish(site.cyborg.prepare(site.kvm))
    assert [job.kind.value for job in jobs] == ["prepare_client", "prepare_hypervisor"]
    assert site.cyborg.clients.get("kvm1").providers == ("libvirt",)
    [again] = site.cyborg.relaunch(jobs[1])
    assert again.kind == "prepare_hypervisor"


def test_the_folder_for_scratch_files_is_the_policys(site: Site) -> None:
    site.add("large", [site.web], extra_vars={"scratch": "/srv/scratch"})
    jobs = site.cyborg.finish(site.cyborg.prepare(site.kvm))
    options = [dict(job.options) for job in jobs if job.kind == "prepare_hypervisor"]
    assert options == [{"provider": "libvirt"}, {"provider": "libvirt", "scratch": "/srv/scratch"}]
    [again] = site.cyborg.relaunch(jobs[2])
    assert dict(again.options) == options[1]
    runs = [run for run in site.executor.runs if run.playbook == "prepare_hypervisor"]
    given = [dict(host.variables) for run in runs for host in run.hosts]
    assert {"prepare_hypervisor_provider": "libvirt", "prepare_hypervisor_scratch": "/srv/scratch"} in given


def test_a_client_that_is_no_machine_is_refused(site: Site) -> None:
    with pytest.raises(cy.Invalid, match=r"kvm1 has no hypervisor.*hypervisor=…"):
        site.add("wrong", [site.kvm])
    with pytest.raises(cy.Invalid, match="cannot be its own hypervisor"):
        site.cyborg.clients.replace(attrs.evolve(site.kvm, hypervisor=site.kvm))
    here = site.cyborg.repositories.add(cy.Repository("here", "/srv/backup"))
    with pytest.raises(cy.Invalid, match="on another host than the one they run on"):
        site.add("beside", [site.web], repository=here)
    with pytest.raises(cy.Invalid, match="takes no 'name'"):
        site.add("named", [site.web], extra_vars={"name": "x"})


def test_a_hypervisor_in_use_stays(site: Site) -> None:
    with pytest.raises(cy.InUse, match="the virtual machine web1"):
        site.cyborg.clients.remove(site.kvm)
    site.cyborg.clients.replace(attrs.evolve(site.kvm, enabled=False))
    with pytest.raises(cy.Disabled, match="web1 runs on kvm1, which is disabled"):
        site.cyborg.launch(site.policy)


def test_a_machine_and_its_hypervisor_are_held_together(site: Site) -> None:
    jobs = site.cyborg.launch(site.policy)
    keys = {key.name for key in _keys(site.cyborg, jobs[0])}
    assert keys >= {f"client:{site.web.id}", f"client:{site.kvm.id}"}
    site.cyborg.cancel(jobs[0])


def _keys(cyborg: cy.Cyborg, job: cy.Job) -> list[object]:
    from sqlalchemy import select

    from cyborglib.store import schema

    with cyborg._store._database.reading() as connection:
        query = select(schema.job_keys.c.key.label("name")).where(schema.job_keys.c.job == job.id)
        return list(connection.execute(query))


def test_a_hypervisor_that_is_off_keeps_only_its_own_machines_back(site: Site) -> None:
    other = site.cyborg.clients.add(cy.Client("kvm2"))
    db = site.cyborg.clients.add(cy.Client("db1", hypervisor=other))
    both = site.add("both", [site.web, db])
    site.cyborg.clients.replace(attrs.evolve(other, enabled=False))
    assert [job.client_name for job in site.cyborg.launch(both)] == ["web1"]
    assert {job.client_name for job in site.cyborg.prepare(site.vault)} == {"kvm1"}
    with pytest.raises(cy.Disabled, match="db1 runs on kvm2, which is disabled"):
        site.cyborg.launch(both, clients=[db])


def test_a_machine_of_a_policy_keeps_a_hypervisor(site: Site) -> None:
    with pytest.raises(cy.Invalid, match=r"web1 is backed up as a virtual machine by the policy machines.*first"):
        site.cyborg.clients.replace(attrs.evolve(site.web, hypervisor=None))


def test_a_queued_backup_is_never_worked_on_another_host_than_its_clients_data(site: Site) -> None:
    files = site.add("files", [site.web], type="config")
    other = site.cyborg.clients.add(cy.Client("kvm2"))
    [machine], [folder] = site.cyborg.launch(site.policy), site.cyborg.launch(files)
    site.cyborg.policies.replace(attrs.evolve(site.policy, type="config"))
    site.cyborg.policies.replace(attrs.evolve(files, type="vm"))
    moved = site.add("moved", [site.web])
    [third] = site.cyborg.launch(moved)
    site.cyborg.clients.replace(attrs.evolve(site.web, hypervisor=other))
    for job in (machine, folder, third):
        [done] = site.cyborg.finish(job)
        assert (done.status, done.error.code) == ("failed", "bad_arguments")
        assert "was changed after this job was queued" in done.error.message
    assert not [run for run in site.executor.runs if run.playbook == "backup"]
