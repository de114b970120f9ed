"""Backups that make several archives, secrets of a policy type, and hooks: what the engine makes of them."""

from __future__ import annotations

import attrs
import pytest

import cyborglib as cy
from cyborglib.executor import ArchiveMade, HostRun
from cyborglib.kinds.backup import ArchiveName
from cyborglib.testing import FakeExecutor

SECRET = "canary of the command"


def made(job: cy.Job, part: str, number: int) -> ArchiveMade:
    name = ArchiveName(
        policy=job.policy_name,
        client=job.client_name,
        moment=job.created_at,
        job=job.id,
        attempt=job.attempt,
        part=part,
    )
    stats = cy.Stats(files=1, original_bytes=100)
    return ArchiveMade(name=str(name), borg_id=f"{job.id:032x}{job.attempt:016x}{number:016x}", stats=stats, part=part)


def in_part(job: cy.Job) -> cy.Outcome:
    """Of three databases one fails, at each attempt."""
    if job.kind != "backup":
        return cy.Outcome()
    archives = (made(job, "orders", 1), made(job, "shop", 2))
    return cy.Outcome(error=cy.JobError("dump_failed", "wiki: no", permanent=False), archives=archives)


def site(executor: FakeExecutor) -> tuple[cy.Cyborg, cy.Client, cy.Repository]:
    cyborg = cy.Cyborg("sqlite://", executor=executor)
    web = cyborg.clients.add(cy.Client("web1"))
    return cyborg, web, cyborg.repositories.add(cy.Repository("vault", "borg@nas:/srv/borg/{client}"))


def handed(executor: FakeExecutor) -> HostRun:
    [host] = next(run for run in executor.runs if run.playbook == "backup").hosts
    return host


def test_what_was_made_before_it_failed_stays_of_each_attempt() -> None:
    cyborg, web, vault = site(FakeExecutor(in_part))
    with cyborg:
        cyborg.settings = attrs.evolve(cyborg.settings, retry_delays=(0,))
        policy = cyborg.policies.add(
            cy.Policy("export", "piped", vault, clients=[web], extra_vars={"command": "x"}, retries=1)
        )
        [job] = cyborg.run(policy)
        assert (job.status, job.attempt, job.error.code) == ("failed", 2, "dump_failed")
        archives = [cyborg.archives.get(archive) for archive in job.archives]
        assert [archive.part for archive in archives] == ["orders", "shop"] * 2
        assert len({archive.name for archive in archives}) == 4
        # The vault's next listing finds them where they were recorded.
        [looked] = cyborg.finish(cyborg.catalog(vault))
        assert looked.status == "successful"
        assert all(cyborg.archives.get(archive).confirmed_at for archive in job.archives)


def test_secrets_travel_by_name() -> None:
    executor = FakeExecutor()
    cyborg, web, vault = site(executor)
    with cyborg:
        policy = cyborg.policies.add(
            cy.Policy("export", "piped", vault, clients=[web], extra_vars={"command": SECRET, "file": "a"},
                      prehook=SECRET + "1", posthook=SECRET + "2")
        )  # fmt: skip
        cyborg.run(policy)
        host = handed(executor)
        assert host.variables["policy_piped_file"] == "a"
        assert host.variables["cyborg_policy"] == "export"
        assert SECRET not in repr(attrs.asdict(host))
        assert host.secret_variables == ("policy_piped_command",)
        assert set(host.secrets) >= {"policy_piped_command", "prehook", "posthook"}
        assert SECRET not in repr(policy)


def test_variables_go_from_policy_to_client_to_launch() -> None:
    executor = FakeExecutor()
    cyborg, web, vault = site(executor)
    with cyborg:
        policy = cyborg.policies.add(
            cy.Policy("export", "piped", vault, clients=[web], extra_vars={"command": "x", "file": "a", "ends": "a"},
                      client_extra_vars={web: {"file": "b", "ends": "b"}})
        )  # fmt: skip
        cyborg.run(policy, extra_vars={"ends": "c"})
        host = handed(executor)
        assert (host.variables["policy_piped_file"], host.variables["policy_piped_ends"]) == ("b", "c")
        assert cyborg.policies.get("export").client_extra_vars[web.id] == {"file": "b", "ends": "b"}


def test_variables_of_strangers_and_of_nobody_are_refused() -> None:
    cyborg, web, vault = site(FakeExecutor())
    with cyborg:
        known = {"type": "piped", "repository": vault, "extra_vars": {"command": "x"}}
        with pytest.raises(cy.Invalid, match="the client 7, which is not one of the policy's"):
            cy.Policy("a", clients=[web], client_extra_vars={7: {}}, **known)
        with pytest.raises(cy.Invalid, match="give the client, or its id"):
            cy.Policy("a", clients=[web], client_extra_vars={None: {}}, **known)
        with pytest.raises(cy.Invalid, match="twice"):
            cy.Policy("a", clients=[web], client_extra_vars={web: {}, web.id: {}}, **known)
        with pytest.raises(cy.Invalid, match="ansible_connection"):
            cy.Policy("a", clients=[web], client_extra_vars={web: {"ansible_connection": "local"}}, **known)


@pytest.mark.parametrize("command", [7, ["x"], "a\0b", "\ud800"])
def test_hooks_that_no_shell_takes(command: object) -> None:
    for name in ("prehook", "posthook"):
        with pytest.raises(cy.Invalid, match=name):
            cy.Policy("a", "config", 1, **{name: command})


def test_what_a_restore_takes_is_what_its_type_takes() -> None:
    executor = FakeExecutor()
    cyborg, web, vault = site(executor)
    with cyborg:
        policy = cyborg.policies.add(cy.Policy("export", "piped", vault, clients=[web], extra_vars={"command": SECRET}))
        etc = cyborg.policies.add(cy.Policy("etc", "config", vault, clients=[web]))
        [stream] = cyborg.run(policy)[0].archives
        [files] = cyborg.run(etc)[0].archives
        with pytest.raises(cy.Invalid, match="takes no option 'command'"):
            cyborg.restore(files, to=web, options={"command": "x"})
        with pytest.raises(cy.Invalid, match="did you mean 'command'"):
            cyborg.restore(stream, to=web, options={"comand": "x"})
        [job] = cyborg.finish([cyborg.restore(stream, to=web, options={"command": "tar -x"})])
        assert job.status == "successful"
        run = executor.runs[-1]
        assert run.variables["cyborg_restore_role"] == "cyborg.backup.policy_piped"
        [host] = run.hosts
        assert host.secret_variables == ("policy_piped_command",)
        assert SECRET not in repr(attrs.asdict(host)), "what made the archive has no part in bringing it back"
        # As a file, wherever it goes.
        for options in ({"destination": "/var/tmp/x", "to": web}, {"destination": "/tmp/x"}):
            cyborg.finish([cyborg.restore(stream, **options)])
            assert "cyborg_restore_role" not in executor.runs[-1].variables
