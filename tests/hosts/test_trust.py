"""A host key by its fingerprint, from adding a host to the day it is installed anew."""

from __future__ import annotations

import pytest

import cyborglib as cy
from cyborglib.sealing import fingerprint
from tests.hosts.conftest import Fleet
from tests.lab import Host

pytestmark = pytest.mark.hosts

WRONG = "SHA256:" + "B" * 43


def printed(host: Host) -> str:
    """What `ssh-keygen -lf` prints on the host itself."""
    return host.run(["ssh-keygen", "-lf", "/etc/ssh/ssh_host_ed25519_key.pub"]).stdout


def test_a_fingerprint_is_all_that_has_to_be_known(fleet: Fleet) -> None:
    vault = fleet.repository(host_key=WRONG)
    client = fleet.client("web1", host_key=WRONG)
    policy = fleet.cyborg.policies.add(cy.Policy("etc", "config", repository=vault, clients=[client], retries=2))
    nas, web1 = fleet.hosts["nas"], fleet.hosts["web1"]

    # Of the client, then of the repository: neither is taken, whatever the network says, and it is not tried again.
    [job] = fleet.cyborg.run(policy)
    assert job.status == "skipped", fleet.said()
    [prepared] = fleet.cyborg.jobs.find(kind=cy.JobKind.PREPARE_CLIENT)
    assert (prepared.status, prepared.error.code, prepared.attempt) == ("failed", "host_key_changed", 1), fleet.said()
    assert WRONG in str(prepared.error)
    assert fingerprint(web1.host_key) in str(prepared.error)
    fleet.cyborg.trust(client, printed(web1))
    [job] = fleet.cyborg.run(policy)
    [failed] = [job for job in fleet.cyborg.jobs if job.kind == "prepare_repository" and job.status == "failed"]
    assert failed.error.code == "host_key_changed", fleet.said()
    assert fingerprint(nas.host_key) in str(failed.error)
    fleet.cyborg.trust(vault, fingerprint(nas.host_key))
    [job] = fleet.run(policy)
    assert fleet.cyborg.clients.get("web1").host_key == web1.host_key, "the whole key is pinned"
    assert fleet.cyborg.repositories.get("vault").host_key == nas.host_key
    assert not [event for event in fleet.told if isinstance(event, cy.HostKeyAccepted)], "nobody's word was taken"

    # The repository's host is trusted anew: jobs that have nothing to do there find its key first.
    for given, status in ((WRONG, "failed"), (fingerprint(nas.host_key), "successful")):
        fleet.cyborg.trust(vault, given)
        [looked] = fleet.cyborg.finish(fleet.cyborg.catalog("vault"))
        assert looked.status == status, fleet.said()
        fleet.cyborg.trust(vault, given)
        [again] = fleet.cyborg.run(policy)
        assert again.status == status, fleet.said()
        fleet.cyborg.trust(vault, given)
        back = fleet.folder / f"back-{status}"
        assert fleet.restore(fleet.only(job), ("/etc/hostname",), destination=back).status == status, fleet.said()
    assert fleet.cyborg.repositories.get("vault").host_key == nas.host_key
    with pytest.raises(cy.Invalid, match="a fingerprint, 'SHA256:…'"):
        fleet.cyborg.trust(vault, "MD5:0a:0b")
